//! `kubekeel render`: a pure function of its input.

use std::path::PathBuf;

use clap::{ArgMatches, Args, Command, FromArgMatches as _};
use zeroize::Zeroizing;

use super::{Global, Output, output, patches};
use crate::config::{Input, Overrides};
use crate::error::{Error, Kind, Result};
use crate::host::fs::{Files, Publish};
use crate::kubelet;
use crate::layout;
use crate::manifest::{self, NodeInputs};

const EXAMPLES: &str = "\
Examples:
  kubekeel render --config init.yaml                     print every file as one YAML stream
  kubekeel render --config init.yaml --out /tmp/node     write them below /tmp/node
  kubekeel render --config init.yaml --host              mount the CA directories that this machine has";

#[derive(Debug, Args)]
struct Render {
    /// Configuration file with kubeadm's documents; - for standard input
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Name of the Node
    #[arg(long, value_name = "NAME")]
    node_name: Option<String>,
    /// Address that the API server tells others
    #[arg(long, value_name = "IP")]
    apiserver_advertise_address: Option<String>,
    /// Directory of patches for what is rendered, named <target>[suffix][+type].yaml
    #[arg(long, value_name = "DIR")]
    patches: Option<String>,
    /// Write the files below DIR instead of printing them
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Mount the CA directories that exist on this machine, as init does
    #[arg(long)]
    host: bool,
}

pub(super) fn command() -> Command {
    Render::augment_args(Command::new("render"))
        .about("Renders the static pod manifests and the kubelet's files")
        .long_about("Renders the static pod manifests and the kubelet's files. Needs no root, no network and no clock, and reads nothing of the host but the patches it is told to: the same input gives the same bytes.")
        .after_help(EXAMPLES)
}

pub(super) fn run(global: &Global, matches: &ArgMatches) -> Result<()> {
    let args = Render::from_arg_matches(matches).map_err(|error| Error::new(Kind::Configuration, error.to_string()))?;
    let (name, text) = super::init::read_config(&args.config)?;
    let overrides = Overrides {
        node_name: args.node_name.clone(),
        advertise_address: args.apiserver_advertise_address.clone(),
        patches_directory: args.patches.clone(),
        ..Overrides::default()
    };
    let input = Input { source: Some((name, text)), overrides, ..Input::default() };
    let config = patches::read(input, &Files::new(&global.root))?.config()?;
    let inputs = if args.host { host_directories() } else { NodeInputs::default() };
    let mut files = vec![];
    for component in manifest::components(&config) {
        let manifest = manifest::render(component, &config, &inputs)?;
        files.push((component.path(), manifest.text, 0o600));
    }
    for file in kubelet::files(&config, false)? {
        files.push((file.path.to_owned(), file.text, file.mode));
    }
    match (&args.out, global.output) {
        (Some(out), form) => {
            let paths: Vec<_> = files.iter().map(|(path, ..)| path.clone()).collect();
            write(&Files::new(out), files)?;
            if form != Output::Text {
                output::data(form, &serde_json::json!({"event": "rendered", "below": out, "files": paths}));
            }
            Ok(())
        }
        (None, form @ (Output::Json | Output::Yaml)) => {
            let list: Vec<_> = files.iter().map(|(path, text, mode)| serde_json::json!({"path": path, "mode": format!("{mode:04o}"), "content": text})).collect();
            output::data(form, &serde_json::Value::from(list));
            Ok(())
        }
        (None, Output::Text) => {
            output::print(stream(&files).trim_end());
            Ok(())
        }
    }
}

/// One YAML stream; the kubelet's environment file is no YAML and becomes a block scalar of its own document.
fn stream(files: &[(String, String, u32)]) -> String {
    let mut stream = String::new();
    for (path, text, mode) in files {
        stream += &format!("---\n# {path} (mode {mode:04o})\n");
        if path == layout::KUBELET_FLAGS {
            stream += "content: |\n";
            for line in text.lines() {
                stream += &format!("  {line}\n");
            }
        } else {
            stream += text.trim_end();
            stream.push('\n');
        }
    }
    stream
}

fn write(files: &Files, rendered: Vec<(String, String, u32)>) -> Result<()> {
    let fail = |error| Error::new(Kind::Step, "cannot write the rendered files").because(&error);
    files.ensure_directory(layout::MANIFESTS, 0o700).map_err(fail)?;
    files.ensure_directory(layout::KUBELET, 0o700).map_err(fail)?;
    let batch = rendered.into_iter().map(|(path, text, mode)| Publish {
        path,
        content: Zeroizing::new(text.into_bytes()),
        mode,
        replace: true,
    });
    files.publish(&batch.collect::<Vec<_>>()).map_err(fail)
}

fn host_directories() -> NodeInputs {
    let files = Files::new("/");
    let exists = |directory: &&str| files.status(directory).is_ok_and(|status| status.is_some());
    let ca_directories =
        layout::HOST_CA_DIRECTORIES.iter().filter(|directory| exists(directory)).map(ToString::to_string);
    NodeInputs { ca_directories: ca_directories.collect(), ..NodeInputs::default() }
}
