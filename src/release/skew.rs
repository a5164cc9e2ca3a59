//! Which versions may follow which, and beside which kubelets (kubernetes.io, version skew policy; kubeadm:
//! `phases/upgrade/policy.go`).

use super::{Version, release};

/// A reason not to go to a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objection {
    /// The reason.
    pub reason: String,
    /// Whether `--force` overrules it.
    pub skippable: bool,
}

/// Which versions that are no releases may be taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Allowed {
    /// `--allow-experimental-upgrades`: all of them.
    pub experimental: bool,
    /// `--allow-release-candidate-upgrades`: `-rc`.
    pub candidates: bool,
}

/// How many minors a kubelet may be older than its API server.
const KUBELET_MINORS: u32 = 3;

fn objection(skippable: bool, reason: String) -> Objection {
    Objection { reason, skippable }
}

/// What speaks against going from the version that runs to another with the kubelet that is installed here: minors come one after
/// another, nothing goes back a minor, and no kubelet is newer than its API server or over three minors older.
pub fn skew(from: &Version, to: &Version, kubelet: Option<&Version>) -> Vec<Objection> {
    let mut objections = vec![];
    if to.minor < from.minor {
        let reason =
            format!("{to} is an older minor than {from}, and etcd does not go back to what an older one wrote");
        objections.push(objection(false, reason));
    }
    if to.minor > from.minor + 1 {
        let next = release(from.minor + 1).map_or_else(String::new, |next| format!("; {} comes first", next.newest()));
        let reason = format!("{to} is more than one minor above {from}{next}");
        // Who tries a version that is no release may take two steps at once, as with kubeadm.
        objections.push(objection(to.is_pre_release(), reason));
    }
    // What is newer on the disk starts with the change itself, so that is no question of --force.
    let local = kubelet.and_then(|kubelet| of_kubelet("the kubelet", kubelet, to));
    objections
        .extend(local.map(|found| Objection { skippable: kubelet.is_some_and(|is| is.minor < to.minor), ..found }));
    objections
}

/// What speaks against a kubelet beside an API server of that version.
pub fn of_kubelet(whose: &str, kubelet: &Version, to: &Version) -> Option<Objection> {
    if kubelet.minor > to.minor {
        return Some(objection(true, format!("{whose} is of version {kubelet}, newer than {to}")));
    }
    if kubelet.minor + KUBELET_MINORS < to.minor {
        let reason = format!("{whose} is of version {kubelet}, more than three minors older than {to}");
        return Some(objection(true, reason));
    }
    None
}

/// What speaks against a version that is no release, when it does not run already.
pub fn unreleased(from: &Version, to: &Version, allowed: Allowed) -> Option<Objection> {
    let candidate = to.is_release_candidate();
    if !to.is_pre_release() || from == to || allowed.experimental || (allowed.candidates && candidate) {
        return None;
    }
    let flag = if candidate { "--allow-release-candidate-upgrades" } else { "--allow-experimental-upgrades" };
    Some(objection(true, format!("{to} is no release, and {flag} was not given")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().expect("a version")
    }

    fn verdict(from: &str, to: &str, kubelet: Option<&str>) -> Vec<(bool, String)> {
        let objections = skew(&version(from), &version(to), kubelet.map(version).as_ref());
        objections.into_iter().map(|objection| (objection.skippable, objection.reason)).collect()
    }

    #[test]
    fn minors_come_one_after_another_and_never_go_back() {
        for (from, to, kubelet) in [
            ("v1.36.3", "v1.36.3", None),
            ("v1.36.3", "v1.36.1", None),
            ("v1.36.3", "v1.37.2", Some("v1.36.3")),
            ("v1.36.3", "v1.37.2", Some("v1.34.0")),
            ("v1.36.3", "v1.37.2", Some("v1.37.9")),
        ] {
            assert_eq!(verdict(from, to, kubelet), [], "{from} to {to} with {kubelet:?}");
        }
        for (from, to, kubelet, skippable, words) in [
            ("v1.37.2", "v1.36.3", None, false, "older minor"),
            ("v1.35.1", "v1.37.2", None, false, "v1.36.3 comes first"),
            ("v1.35.1", "v1.37.0-rc.1", None, true, "v1.36.3 comes first"),
            ("v1.36.3", "v1.36.4", Some("v1.37.0"), false, "newer than"),
            ("v1.36.3", "v1.37.2", Some("v1.33.9"), true, "three minors"),
        ] {
            let found = verdict(from, to, kubelet);
            assert!(matches!(&found[..], [(can, reason)] if *can == skippable && reason.contains(words)), "{found:?}");
        }
    }

    #[test]
    fn a_kubelet_of_another_node_can_be_overruled() {
        let of = |kubelet: &str| of_kubelet("the kubelet of w1", &version(kubelet), &version("v1.37.2"));
        for fits in ["v1.34.0", "v1.37.9", "v1.37.0-rc.1"] {
            assert_eq!(of(fits), None, "{fits}");
        }
        for (kubelet, words) in [("v1.33.12", "three minors older"), ("v1.38.0", "newer than v1.37.2")] {
            let found = of(kubelet).expect("an objection");
            assert!(found.skippable && found.reason.starts_with("the kubelet of w1 is of version"), "{found:?}");
            assert!(found.reason.contains(words), "{found:?}");
        }
    }

    #[test]
    fn what_is_no_release_needs_its_flag() {
        let judge = |to: &str, experimental, candidates| {
            unreleased(&version("v1.37.0-beta.0"), &version(to), Allowed { experimental, candidates })
                .map(|objection| objection.reason)
        };
        assert_eq!(judge("v1.37.2", false, false), None);
        assert_eq!(judge("v1.37.2+vendor.1", false, false), None, "build metadata");
        assert_eq!(judge("v1.37.0-beta.0", false, false), None, "it runs");
        assert_eq!(judge("v1.37.0-rc.1", false, true), None);
        assert_eq!(judge("v1.37.0-rc.1", true, false), None);
        assert_eq!(judge("v1.37.0-beta.1", true, false), None);
        let rc = judge("v1.37.0-rc.1", false, false).expect("an objection");
        assert!(rc.contains("--allow-release-candidate-upgrades"), "{rc}");
        let beta = judge("v1.37.0-beta.1", false, true).expect("an objection");
        assert!(beta.contains("--allow-experimental-upgrades"), "{beta}");
    }
}
