//! Rendering, reading back and digests of static pods.

use kubekeel::manifest::{Component, NodeInputs, Read, read, render};

use crate::sample;

#[test]
fn scratch() {
    let config = sample::config();
    for component in Component::ALL {
        let m = render(component, &config, &NodeInputs::default()).map_err(|e| format!("{e:#?}")).unwrap();
        println!("{}", m.text);
    }
}
