//! The documents of a file, told apart by `apiVersion` and `kind`.

use serde_json::{Map, Value as Json};

use super::cluster::{self, Cluster};
use super::fields::{Fields, Item, Path};
use super::given::{Given, Origin, Problems, Wrong, did_you_mean, quoted};
use super::init::{self, Init};
use super::schema::DOCUMENTS;
use super::shape::Shape;
use super::yaml::{self, Mark, Node, Stream, Value};
use super::{Upgrade, join, kube_proxy, kubelet, reset, upgrade};

/// What a file gives.
#[derive(Debug, Default)]
pub(super) struct Documents {
    pub(super) init: Init,
    pub(super) cluster: Cluster,
    pub(super) kubelet: Map<String, Json>,
    /// Fields of the kubelet that need a certain minor.
    pub(super) kubelet_since: Vec<(Origin, u32)>,
    pub(super) kube_proxy: Map<String, Json>,
    /// Something could not be read, so what is missing may well be there.
    pub(super) broken: bool,
    /// The kinds that the file has, in its order.
    pub(super) kinds: Vec<&'static str>,
    /// The file through which a joining node finds the cluster.
    pub(super) discovery_file: Option<Given<String>>,
    /// What the commands below `upgrade` take.
    pub(super) upgrade: Option<Upgrade>,
}

/// Who reads a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    /// Who makes a control plane of it: the documents of other commands do not matter, as in kubeadm.
    Init,
    /// Who judges all that the file says.
    Judge,
    /// Who upgrades: only that document matters.
    Upgrade,
}

const KUBEADM: &str = "kubeadm.k8s.io/v1beta4";
const KUBELET: &str = "kubelet.config.k8s.io/v1beta1";
const KUBE_PROXY: &str = "kubeproxy.config.k8s.io/v1alpha1";

pub(super) fn read(text: &str, reader: Reader, problems: &Problems) -> Documents {
    of(yaml::parse(text), reader, problems)
}

/// The documents of a stream that was parsed before.
pub(super) fn of(stream: Stream, reader: Reader, problems: &Problems) -> Documents {
    let mut documents = Documents { broken: !stream.broken.is_empty(), ..Documents::default() };
    for broken in stream.broken {
        problems.at("syntax", broken.mark, Wrong::new(broken.message).maybe(broken.hint));
    }
    let mut seen: Vec<(&'static str, Mark)> = vec![];
    for node in &stream.documents {
        let item = Item { node, path: Path::Root("document"), problems };
        if item.is_null() {
            continue;
        }
        let Some(kind) = kind(item) else {
            documents.broken = true;
            continue;
        };
        if let Some((_, first)) = seen.iter().find(|(name, _)| *name == kind) {
            let message =
                format!("the kind is given twice; the first is at line {}, column {}", first.line, first.column);
            problems.at(kind, node.mark, Wrong::new(message));
            // Its fields are checked, and then forgotten: the first document is judged.
            Documents::default().add(kind, node, reader, problems);
        } else {
            seen.push((kind, node.mark));
            documents.add(kind, node, reader, problems);
        }
    }
    let wanted = |(kind, _): &(&str, Mark)| matches!(*kind, "InitConfiguration" | "ClusterConfiguration");
    let message = match reader {
        Reader::Init if !seen.iter().any(wanted) => {
            "the file has neither an InitConfiguration nor a ClusterConfiguration"
        }
        Reader::Judge if seen.is_empty() => "the file has no document",
        Reader::Upgrade if !seen.iter().any(|(kind, _)| *kind == "UpgradeConfiguration") => {
            "the file has no UpgradeConfiguration"
        }
        _ => "",
    };
    if !documents.broken && !message.is_empty() {
        let kind = if reader == Reader::Upgrade { "UpgradeConfiguration" } else { "ClusterConfiguration" };
        let hint = format!("begin it with apiVersion: {KUBEADM} and kind: {kind}");
        problems.at("kind", Mark { line: 1, column: 1 }, Wrong::new(message).hint(hint));
    }
    documents.kinds = seen.into_iter().map(|(kind, _)| kind).collect();
    documents
}

impl Documents {
    fn add(&mut self, kind: &'static str, node: &Node, reader: Reader, problems: &Problems) {
        let item = Item { node, path: Path::Root(kind), problems };
        match (kind, reader) {
            ("UpgradeConfiguration", Reader::Judge | Reader::Upgrade) => self.upgrade = document(item, upgrade::read),
            (_, Reader::Upgrade) => {}
            ("InitConfiguration", _) => self.init = document(item, init::read).unwrap_or_default(),
            ("ClusterConfiguration", _) => self.cluster = document(item, cluster::read).unwrap_or_default(),
            ("KubeletConfiguration", _) => self.add_kubelet(item),
            ("KubeProxyConfiguration", _) => self.kube_proxy = component(&kube_proxy::CONFIGURATION, item),
            (_, Reader::Init) => {}
            ("JoinConfiguration", _) => self.discovery_file = document(item, join::judge).flatten(),
            ("ResetConfiguration", _) => _ = document(item, reset::judge),
            _ => {}
        }
    }

    fn add_kubelet(&mut self, item: Item<'_>) {
        self.kubelet = component(&kubelet::CONFIGURATION, item);
        for (name, since) in kubelet::SINCE {
            if self.kubelet.contains_key(name) {
                self.kubelet_since.push((Origin::Field(item.child(name).to_string(), item.mark_of(name)), since));
            }
        }
    }
}

/// The fields of one of kubeadm's documents.
fn document<T>(item: Item<'_>, read: impl FnOnce(&mut Fields<'_>) -> T) -> Option<T> {
    item.object(|fields| {
        fields.known(&["apiVersion", "kind"]);
        read(fields)
    })
}

/// The fields of a component's configuration, without those that say what it is.
fn component(shape: &Shape, item: Item<'_>) -> Map<String, Json> {
    let Some(Json::Object(mut fields)) = shape.read(item) else { return Map::new() };
    fields.remove("apiVersion");
    fields.remove("kind");
    fields
}

/// The kind of a document, if it and its `apiVersion` are known.
fn kind(item: Item<'_>) -> Option<&'static str> {
    let Value::Map(entries) = &item.node.value else {
        item.mismatch("a map with apiVersion and kind", None);
        return None;
    };
    let field = |name: &'static str| {
        let node = entries.iter().find(|entry| entry.key == name).map(|entry| &entry.node);
        let Some(node) = node else {
            item.problems.at(name, item.node.mark, Wrong::new(format!("the document has no {name}")));
            return None;
        };
        let field = Item { node, path: Path::Root(name), problems: item.problems };
        if field.is_null() {
            field.report(Wrong::new("has no value"));
        }
        field.string()
    };
    let (version, kind) = (field("apiVersion"), field("kind"));
    let (version, kind) = (version?, kind?);
    let known = DOCUMENTS.iter().find(|(name, ..)| *name == kind.value);
    if !DOCUMENTS.iter().any(|(_, known, _)| *known == version.value) {
        let suggestion = known.map(|(_, version, _)| *version);
        item.problems.add(&version.origin, unknown_version(&version.value, suggestion));
        return None;
    }
    let of_version = || DOCUMENTS.iter().filter(|(_, known, _)| *known == version.value).map(|(name, ..)| *name);
    if of_version().any(|name| name == kind.value) {
        return known.map(|(name, ..)| *name);
    }
    let hint = match known {
        Some((name, version, _)) => format!("{name} belongs to {version}"),
        None => did_you_mean(&kind.value, of_version())
            .unwrap_or_else(|| format!("one of {}", of_version().collect::<Vec<_>>().join(", "))),
    };
    let message = format!("{} has no kind {}", version.value, quoted(&kind.value));
    item.problems.add(&kind.origin, Wrong::new(message).hint(hint));
    None
}

fn unknown_version(version: &str, of_kind: Option<&str>) -> Wrong {
    match version.strip_prefix("kubeadm.k8s.io/") {
        Some("v1") => Wrong::new("kubeadm.k8s.io/v1 is experimental and not supported").hint(format!("use {KUBEADM}")),
        Some("v1beta3") => Wrong::new(format!("kubeadm.k8s.io/v1beta3 is too old; {KUBEADM} is read"))
            .hint("convert the file with `kubekeel config migrate --old-config FILE`"),
        Some(old) if old.starts_with("v1alpha") || matches!(old, "v1beta1" | "v1beta2") => {
            let hint = "convert the file with `kubeadm config migrate` of kubeadm 1.22, and the result with `kubekeel config migrate`";
            Wrong::new(format!("kubeadm.k8s.io/{old} is too old; {KUBEADM} is read")).hint(hint)
        }
        _ => {
            let suggestion = of_kind.map(|version| format!("did you mean \"{version}\"?"));
            let hint = suggestion.or_else(|| did_you_mean(version, DOCUMENTS.map(|(_, version, _)| version)));
            Wrong::new(format!("{} is not known", quoted(version)))
                .hint(hint.unwrap_or_else(|| format!("{KUBEADM}, {KUBELET} and {KUBE_PROXY} are read")))
        }
    }
}
