//! The supported Kubernetes minors: one row each.

pub mod options;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A Kubernetes version, `v1.37.2` or `v1.38.0-rc.1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    /// Minor of Kubernetes 1.
    pub minor: u32,
    /// Patch release.
    pub patch: u32,
    /// What follows the patch, with its `-` or `+`; empty for a release.
    pub suffix: String,
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("{text:?} is not a version like v1.37.2");
        let digits = text.strip_prefix('v').unwrap_or(text);
        let end = digits.find(['-', '+']).unwrap_or(digits.len());
        let (numbers, suffix) = digits.split_at(end);
        let mut parts = numbers.split('.').map(|part| {
            let canonical = part.len() == 1 || !part.starts_with('0');
            part.parse::<u32>().ok().filter(|_| canonical && part.bytes().all(|b| b.is_ascii_digit()))
        });
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Some(1)), Some(Some(minor)), Some(Some(patch)), None) => {
                Ok(Self { minor, patch, suffix: suffix.into() })
            }
            _ => Err(wrong()),
        }
    }
}

impl TryFrom<String> for Version {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.to_string()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v1.{}.{}{}", self.minor, self.patch, self.suffix)
    }
}

/// What one Kubernetes minor brings.
#[derive(Debug, PartialEq, Eq)]
pub struct Release {
    /// Minor of Kubernetes 1.
    pub minor: u32,
    /// The patch release that is taken when the configuration names no version and no kubelet is installed.
    pub newest_patch: u32,
    /// Tag of the etcd image (`constants.go`, `SupportedEtcdVersion`).
    pub etcd: &'static str,
    /// Tag of the pause image.
    pub pause: &'static str,
    /// Tag of the `CoreDNS` image (`constants.go`, `CoreDNSVersion`).
    pub coredns: &'static str,
    /// `mode` in the configuration of kube-proxy, where kubeadm sets one.
    pub kube_proxy_mode: Option<&'static str>,
}

/// Supported minors, oldest first.
pub const RELEASES: [Release; 3] = [
    Release { minor: 35, newest_patch: 1, etcd: "3.6.6-0", pause: "3.10.1", coredns: "v1.13.1", kube_proxy_mode: None },
    Release { minor: 36, newest_patch: 3, etcd: "3.6.8-0", pause: "3.10.2", coredns: "v1.14.2", kube_proxy_mode: None },
    Release {
        minor: 37,
        newest_patch: 2,
        etcd: "3.7.0-0",
        pause: "3.10.2",
        coredns: "v1.14.6",
        kube_proxy_mode: Some("iptables"),
    },
];

/// The newest supported minor.
pub const NEWEST: &Release = &RELEASES[RELEASES.len() - 1];

/// The row of a minor, if it is supported.
pub fn release(minor: u32) -> Option<&'static Release> {
    RELEASES.iter().find(|release| release.minor == minor)
}

/// Why a running control plane cannot go from one version to another (kubernetes.io, version skew policy): minors come
/// one after another, nothing goes back a minor, and no kubelet is newer than its API server or over three minors older.
pub fn skew(from: &Version, to: &Version, kubelet: Option<&Version>) -> Option<String> {
    if to.minor < from.minor {
        return Some(format!(
            "{to} is an older minor than {from}, and etcd does not go back to what an older one wrote"
        ));
    }
    if to.minor > from.minor + 1 {
        let next = release(from.minor + 1).map_or_else(String::new, |next| format!("; {} comes first", next.newest()));
        return Some(format!("{to} is more than one minor above {from}{next}"));
    }
    let kubelet = kubelet?;
    if kubelet.minor > to.minor {
        return Some(format!("the kubelet is of version {kubelet}, newer than {to}"));
    }
    if kubelet.minor + 3 < to.minor {
        return Some(format!("the kubelet is of version {kubelet}, more than three minors older than {to}"));
    }
    None
}

impl Release {
    /// The version that this row stands for when none is named.
    pub fn newest(&self) -> Version {
        Version { minor: self.minor, patch: self.newest_patch, suffix: String::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::{Version, skew};

    #[test]
    fn minors_come_one_after_another_and_never_go_back() {
        let version = |text: &str| text.parse::<Version>().expect("a version");
        let verdict = |from, to, kubelet: Option<&str>| {
            skew(&version(from), &version(to), kubelet.map(version).as_ref()).unwrap_or_default()
        };
        for (from, to, kubelet) in [
            ("v1.36.3", "v1.36.3", None),
            ("v1.36.3", "v1.36.1", None),
            ("v1.36.3", "v1.37.2", Some("v1.36.3")),
            ("v1.36.3", "v1.37.2", Some("v1.34.0")),
            ("v1.36.3", "v1.37.2", Some("v1.37.9")),
        ] {
            assert_eq!(verdict(from, to, kubelet), "", "{from} to {to} with {kubelet:?}");
        }
        assert!(verdict("v1.37.2", "v1.36.3", None).contains("older minor"));
        assert!(verdict("v1.35.1", "v1.37.2", None).contains("v1.36.3 comes first"));
        assert!(verdict("v1.36.3", "v1.36.4", Some("v1.37.0")).contains("newer than"));
        assert!(verdict("v1.36.3", "v1.37.2", Some("v1.33.9")).contains("three minors"));
    }
}
