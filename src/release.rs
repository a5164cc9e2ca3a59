//! The supported Kubernetes minors: one row each.

pub mod options;
mod skew;

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use skew::{Allowed, Objection, of_kubelet, skew, unreleased};

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

impl Version {
    /// What makes it a pre-release, `rc.1`; empty for a release. Build metadata follows a `+`.
    fn pre_release(&self) -> &str {
        let end = self.suffix.find('+').unwrap_or(self.suffix.len());
        self.suffix.get(..end).and_then(|text| text.strip_prefix('-')).unwrap_or_default()
    }

    /// Whether it comes before the release of these numbers.
    pub fn is_pre_release(&self) -> bool {
        !self.pre_release().is_empty()
    }

    /// Whether it may become the release as it is.
    pub fn is_release_candidate(&self) -> bool {
        self.pre_release().starts_with("rc")
    }
}

/// The order of semver.org, number 11; what differs only in its build metadata has some order, too.
impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let numbers = (self.minor, self.patch).cmp(&(other.minor, other.patch));
        let released = other.is_pre_release().cmp(&self.is_pre_release());
        numbers
            .then(released)
            .then_with(|| identifiers(self.pre_release()).cmp(identifiers(other.pre_release())))
            .then_with(|| self.suffix.cmp(&other.suffix))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The parts of a pre-release: numbers come before words and are compared as such.
fn identifiers(pre_release: &str) -> impl Iterator<Item = (bool, u64, &str)> {
    pre_release.split('.').map(|part| match part.parse::<u64>() {
        Ok(number) => (false, number, ""),
        Err(_) => (true, 0, part),
    })
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

impl Release {
    /// The version that this row stands for when none is named.
    pub fn newest(&self) -> Version {
        Version { minor: self.minor, patch: self.newest_patch, suffix: String::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn versions_have_the_order_of_semver() {
        let version = |text: &str| text.parse::<Version>().expect("a version");
        let sorted = [
            "v1.37.0-alpha",
            "v1.37.0-alpha.1",
            "v1.37.0-alpha.beta",
            "v1.37.0-beta",
            "v1.37.0-beta.2",
            "v1.37.0-beta.11",
            "v1.37.0-rc.1",
            "v1.37.0",
            "v1.37.0+build.1",
            "v1.37.2-rc.1",
            "v1.37.2",
            "v1.38.0-alpha.0",
        ];
        for (index, one) in sorted.iter().enumerate() {
            for (other_index, other) in sorted.iter().enumerate() {
                assert_eq!(version(one).cmp(&version(other)), index.cmp(&other_index), "{one} and {other}");
            }
        }
        assert!(version("v1.37.0-rc.1+x").is_release_candidate());
        assert!(!version("v1.37.0+rc.1").is_pre_release());
        assert!(version("v1.37.0-alpha.1").is_pre_release() && !version("v1.37.0-alpha.1").is_release_candidate());
    }
}
