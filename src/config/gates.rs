//! `featureGates`: kubeadm's own, which come and go with its minors (`features/features.go`).

use std::collections::BTreeMap;

use super::KeyAlgorithm;
use super::fields::{Item, Path};
use super::given::{Given, Origin, Problems, Wrong, did_you_mean};

/// A feature gate.
struct Gate {
    name: &'static str,
    /// The last minor whose kubeadm has it; `None` while the newest one does.
    until: Option<u32>,
    /// The only value that can be had, and why.
    only: Option<(bool, &'static str)>,
    /// What to do once kubeadm does not have it any more.
    instead: &'static str,
}

const ECDSA: &str = "PublicKeysECDSA";

/// The gates of kubeadm 1.36 and later; 1.36 is the oldest that brings up the oldest supported minor as well as the next.
const GATES: [Gate; 3] = [
    Gate {
        name: "RootlessControlPlane",
        until: None,
        only: Some((false, "static pods run as root here; kubeadm is to replace this gate by user namespaces")),
        instead: "",
    },
    Gate { name: ECDSA, until: Some(36), only: None, instead: "set encryptionAlgorithm: ECDSA-P256 instead" },
    Gate {
        name: "NodeLocalCRISocket",
        until: Some(36),
        only: Some((true, "the CRI socket is always kept on the node")),
        instead: "remove it: the CRI socket is always kept on the node",
    },
];

/// Gates that a kubeadm once had, for those who bring an old file along.
const REMOVED: [&str; 10] = [
    "Auditing",
    "ControlPlaneKubeletLocalMode",
    "CoreDNS",
    "DynamicKubeletConfig",
    "EtcdLearnerMode",
    "HighAvailability",
    "IPv6DualStack",
    "SelfHosting",
    "UnversionedKubeletConfigMap",
    "WaitForAllControlPlaneComponents",
];

/// The entries; which of them there may be depends on the version, so they are judged later.
pub(super) fn read(item: Item<'_>) -> Option<Vec<(String, Given<bool>)>> {
    let gates = item.entries()?.iter().filter_map(|entry| {
        let value = Item { node: &entry.node, path: Path::Field(&item.path, &entry.key), problems: item.problems };
        let origin = Origin::Field(value.path.to_string(), entry.mark);
        Some((entry.key.clone(), Given { value: value.boolean()?.value, origin }))
    });
    Some(gates.collect())
}

/// The gates that kubeadm of that minor has.
pub(super) fn judge(given: Vec<(String, Given<bool>)>, minor: u32, problems: &Problems) -> BTreeMap<String, bool> {
    let judged = given.into_iter().filter_map(|(name, given)| {
        let value = given.check(problems, |value| wrong(&name, *value, minor).map_or(Ok(*value), Err))?;
        Some((name, value))
    });
    judged.collect()
}

fn wrong(name: &str, value: bool, minor: u32) -> Option<Wrong> {
    let has = |gate: &&Gate| gate.until.is_none_or(|until| minor <= until);
    let Some(gate) = GATES.iter().find(|gate| gate.name == name) else {
        if REMOVED.contains(&name) {
            let wrong = Wrong::new("kubeadm does not have this feature gate any more");
            return Some(wrong.hint("remove it"));
        }
        let known = GATES.iter().filter(has).map(|gate| gate.name);
        return Some(Wrong::new("not a valid feature name").maybe(did_you_mean(name, known)));
    };
    if !has(&gate) {
        let message = format!("kubeadm v1.{minor} does not have this feature gate any more");
        return Some(Wrong::new(message).hint(gate.instead));
    }
    let (only, why) = gate.only.filter(|(only, _)| *only != value)?;
    Some(Wrong::new(format!("{value} is not supported: {why}")).hint(format!("set it to {only}, or remove it")))
}

/// The algorithm that a gate asks for; it wins over `encryptionAlgorithm` (`types.go`, `EncryptionAlgorithmType`).
pub(super) fn key_algorithm(gates: &BTreeMap<String, bool>) -> Option<KeyAlgorithm> {
    gates.get(ECDSA).map(|enabled| if *enabled { KeyAlgorithm::EcdsaP256 } else { KeyAlgorithm::Rsa2048 })
}
