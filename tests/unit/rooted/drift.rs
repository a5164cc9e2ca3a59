//! Files that we wrote and somebody edited, and files of somebody else.

use kubekeel::layout;
use kubekeel::plan::Inventory;

use super::{Root, assert_same, verify};

const EDITED: [&str; 7] = [
    "/etc/kubernetes/manifests/etcd.yaml",
    "/etc/kubernetes/manifests/kube-apiserver.yaml",
    "/etc/kubernetes/manifests/kube-controller-manager.yaml",
    "/etc/kubernetes/manifests/kube-scheduler.yaml",
    layout::KUBELET_CONFIG,
    layout::KUBELET_INSTANCE_CONFIG,
    layout::KUBELET_FLAGS,
];

/// An edit that means something.
fn edit(path: &str, text: &str) -> String {
    if path.contains("/manifests/") {
        return text.replacen("spec:\n", "spec:\n  hostname: edited\n", 1);
    }
    text.to_owned() + "# edited\n"
}

#[test]
fn an_edit_stops_the_run_and_force_replaces_it() {
    let made = Root::made();
    for path in EDITED {
        let root = made.copy();
        let text = String::from_utf8(root.read(path)).unwrap();
        let edited = edit(path, &text);
        assert_ne!(text, edited);
        root.write(path, &edited);
        let before = root.settled();
        root.init(&[]).exits(5).says(&[path, "hint:", "--force", "nothing was changed"]);
        assert_same(&before, &root.settled());
        root.init(&["--force"]).succeeds().says(&["somebody edited it; what it said is kept in"]);
        assert_eq!(String::from_utf8(root.read(path)).unwrap(), text);
        let kept = std::fs::read_dir(root.at(layout::EDITED)).unwrap().next().expect("a copy").unwrap();
        assert_eq!(std::fs::read_to_string(kept.path()).unwrap(), edited);
        std::fs::remove_dir_all(root.at(layout::EDITED)).unwrap();
        verify::complete(&root, path);
    }
}

#[test]
fn all_edits_are_told_at_once() {
    let root = Root::made();
    for path in EDITED {
        let text = String::from_utf8(root.read(path)).unwrap();
        root.write(path, edit(path, &text));
    }
    root.init(&[]).exits(5).says(&EDITED);
}

#[test]
fn other_white_space_is_the_same_pod() {
    let root = Root::made();
    let path = "/etc/kubernetes/manifests/etcd.yaml";
    let text = String::from_utf8(root.read(path)).unwrap();
    root.write(path, format!("# a word of the administrator\n{text}\n"));
    let before = root.settled();
    root.init(&[]).succeeds();
    assert_same(&before, &root.settled());
}

#[test]
fn files_of_another_tool_stay() {
    let foreign =
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: etcd\n  namespace: kube-system\nspec:\n  containers: []\n";
    for path in EDITED {
        let root = Root::new();
        std::fs::create_dir_all(root.at(path).parent().unwrap()).unwrap();
        root.write(path, foreign);
        let before = root.settled();
        root.init(&[]).exits(2).says(&[path, "kubekeel did not write it", "hint:", "--force"]);
        assert_same(&before, &root.settled());
        root.init(&["--force"]).succeeds();
        assert!(!String::from_utf8(root.read(path)).unwrap().contains("containers: []"), "{path} was replaced");
    }
}

#[test]
fn an_edit_after_an_interrupted_run_is_seen() {
    let root = Root::made();
    // A run that was killed after its last rename and before recording it: claims without digests.
    let mut inventory = Inventory::parse(Some(&root.read(super::INVENTORY))).unwrap();
    inventory.entries.values_mut().for_each(|entry| entry.digest = None);
    root.write(super::INVENTORY, inventory.to_bytes());
    root.init(&[]).succeeds();
    verify::complete(&root, "settled");
    let path = EDITED[0];
    let text = String::from_utf8(root.read(path)).unwrap();
    root.write(path, edit(path, &text));
    root.init(&[]).exits(5).says(&[path]);
}

#[test]
fn a_removed_file_comes_back() {
    let made = Root::made();
    let paths: Vec<String> =
        made.tree().into_iter().filter(|(_, entry)| entry.content.is_some()).map(|(path, _)| path).collect();
    for path in paths.iter().filter(|path| !path.contains("/pki/") && !path.ends_with("inventory.json")) {
        let root = made.copy();
        root.remove(path);
        root.init(&[]).succeeds();
        verify::complete(&root, path);
        assert_eq!(super::keys(&made.tree()), super::keys(&root.tree()), "{path}");
    }
}
