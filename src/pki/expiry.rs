//! Until when the certificates of a node are valid, for people, for programs and for monitoring.
//!
//! The table and the names in JSON are those of `kubeadm certs check-expiration` (`cmd/certs.go`,
//! `apis/output/v1alpha3/types.go`), with what it leaves out: the kubelet's certificates, and files that are damaged.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

use crate::error::Problem;

/// Who sees to it that a certificate is renewed in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Managed {
    /// `kubekeel certs renew`.
    Kubekeel,
    /// Whoever holds the key of the authority, which is not on this node.
    Externally,
    /// The kubelet itself.
    Kubelet,
}

/// What is known of a certificate's validity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Validity {
    /// It ends then, Unix seconds.
    Until(i64),
    /// There is none.
    Missing,
    /// It cannot be believed, and why.
    Damaged(String),
}

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiry {
    /// kubeadm's name: `apiserver`, `admin.conf`; ours: `kubelet-client`, `kubelet-server`.
    pub name: String,
    /// The file that holds or embeds it.
    pub path: String,
    /// Who signed it, by name; `None` for an authority.
    pub authority: Option<String>,
    /// Who renews it.
    pub managed: Managed,
    /// Until when it is valid.
    pub validity: Validity,
    /// From when it is valid, Unix seconds, as far as it can be believed.
    pub since: Option<i64>,
}

/// All certificates of a node at one time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expiries {
    /// When, Unix seconds.
    pub now: i64,
    /// By name.
    pub rows: Vec<Expiry>,
}

const DATE: &[time::format_description::FormatItem<'_>] =
    format_description!("[month repr:short] [day], [year] [hour]:[minute] UTC");

impl Expiries {
    /// Seconds that a certificate is still valid; negative since it ended.
    fn residual(&self, row: &Expiry) -> Option<i64> {
        match row.validity {
            Validity::Until(end) => Some(end.saturating_sub(self.now)),
            Validity::Missing | Validity::Damaged(_) => None,
        }
    }

    /// What ends within a time, or has ended.
    pub fn ending(&self, within: Duration) -> Vec<Problem> {
        let limit = i64::try_from(within.as_secs()).unwrap_or(i64::MAX);
        let ends = |row: &Expiry| {
            let residual = self.residual(row).filter(|residual| *residual <= limit)?;
            let message = match residual {
                ..=0 => format!("{} has expired {} ago", row.name, short(residual.saturating_neg())),
                _ => format!("{} expires in {}", row.name, short(residual)),
            };
            Some(Problem::new(&row.path, message).hint(remedy(row)))
        };
        self.rows.iter().filter_map(ends).collect()
    }

    /// Names of what ends within a time, or has ended.
    pub fn names_ending(&self, within: Duration) -> Vec<&str> {
        let limit = i64::try_from(within.as_secs()).unwrap_or(i64::MAX);
        let ends = |row: &&Expiry| self.residual(row).is_some_and(|residual| residual <= limit);
        self.rows.iter().filter(ends).map(|row| row.name.as_str()).collect()
    }

    /// What cannot be believed.
    pub fn damaged(&self) -> Vec<Problem> {
        let damaged = |row: &Expiry| match &row.validity {
            Validity::Damaged(why) => Some(Problem::new(&row.path, why).hint(PUT_BACK)),
            _ => None,
        };
        self.rows.iter().filter_map(damaged).collect()
    }

    /// Two tables, as kubeadm prints them.
    pub fn table(&self) -> String {
        let (authorities, leaves): (Vec<_>, Vec<_>) = self.rows.iter().partition(|row| row.authority.is_none());
        let mut text = format!("{:<26} {:<24} {:<15} {:<23} EXTERNALLY MANAGED\n", "CERTIFICATE", "EXPIRES", TIME, CA);
        for row in leaves {
            let (expires, residual) = self.words(row);
            let (authority, managed) = (row.authority.as_deref().unwrap_or_default(), row.managed.word());
            text += format!("{:<26} {expires:<24} {residual:<15} {authority:<23} {managed}", row.name).trim_end();
            text.push('\n');
        }
        text += &format!("\n{CA:<26} {:<24} {TIME:<15} EXTERNALLY MANAGED", "EXPIRES");
        for row in authorities {
            let (expires, residual) = self.words(row);
            text.push('\n');
            text += &format!("{:<26} {expires:<24} {residual:<15} {}", row.name, row.managed.word());
        }
        text
    }

    fn words(&self, row: &Expiry) -> (String, String) {
        match (&row.validity, self.residual(row)) {
            (Validity::Until(end), Some(residual)) => {
                (moment(*end, &DATE), if residual > 0 { short(residual) } else { "expired".into() })
            }
            (Validity::Damaged(_), _) => ("!DAMAGED!".into(), String::new()),
            _ => ("!MISSING!".into(), String::new()),
        }
    }

    /// The same for programs, with kubeadm's names.
    pub fn to_json(&self) -> serde_json::Value {
        let list = |authorities: bool| -> Vec<serde_json::Value> {
            let rows = self.rows.iter().filter(|row| row.authority.is_none() == authorities);
            rows.map(|row| self.entry(row)).collect()
        };
        serde_json::json!({"certificates": list(false), "certificateAuthorities": list(true)})
    }

    fn entry(&self, row: &Expiry) -> serde_json::Value {
        let mut entry = serde_json::json!({
            "name": row.name,
            "path": row.path,
            "externallyManaged": row.managed == Managed::Externally,
            "managedBy": row.managed,
            "missing": row.validity == Validity::Missing,
        });
        if let Some(authority) = &row.authority {
            entry["caName"] = authority.as_str().into();
        }
        match &row.validity {
            Validity::Until(end) => {
                entry["expirationDate"] = moment(*end, &Rfc3339).into();
                entry["residualTime"] = self.residual(row).into();
            }
            Validity::Damaged(why) => entry["error"] = why.as_str().into(),
            Validity::Missing => {}
        }
        entry
    }

    /// The same for the textfile collector of Prometheus' node exporter (exposition format 0.0.4).
    pub fn metrics(&self) -> String {
        let mut text = String::new();
        let mut metric = |name: &str, help: &str, value: &dyn Fn(&Expiry) -> Option<i64>| {
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n");
            for row in &self.rows {
                let Some(value) = value(row) else { continue };
                let (certificate, path) = (escaped(&row.name), escaped(&row.path));
                let authority = escaped(row.authority.as_deref().unwrap_or_default());
                let managed = row.managed.label();
                let labels =
                    format!("name=\"{certificate}\",path=\"{path}\",ca=\"{authority}\",managed_by=\"{managed}\"");
                let _ = writeln!(text, "{name}{{{labels}}} {value}");
            }
        };
        metric("kubekeel_certificate_expiration_timestamp_seconds", "When the certificate ends.", &|row| {
            if let Validity::Until(end) = row.validity { Some(end) } else { None }
        });
        metric("kubekeel_certificate_damaged", "Whether the certificate cannot be believed.", &|row| {
            Some(i64::from(matches!(row.validity, Validity::Damaged(_))))
        });
        metric("kubekeel_certificate_missing", "Whether there is no such certificate.", &|row| {
            Some(i64::from(row.validity == Validity::Missing))
        });
        let checked = "kubekeel_certificate_check_timestamp_seconds";
        let _ =
            write!(text, "# HELP {checked} When this was written.\n# TYPE {checked} gauge\n{checked} {}\n", self.now);
        text
    }
}

/// A damaged file may stand in a generation as it was.
const PUT_BACK: &str = "`kubekeel rollback NUMBER` puts it back as it was proven, `kubekeel history` lists the numbers; or take it \
                        from a backup";
const CA: &str = "CERTIFICATE AUTHORITY";
const TIME: &str = "RESIDUAL TIME";

impl Managed {
    fn word(self) -> &'static str {
        match self {
            Self::Kubekeel => "no",
            Self::Externally => "yes",
            Self::Kubelet => "by the kubelet",
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Kubekeel => "kubekeel",
            Self::Externally => "externally",
            Self::Kubelet => "kubelet",
        }
    }
}

fn remedy(row: &Expiry) -> String {
    match (row.managed, &row.authority) {
        (Managed::Externally, _) => "have its authority sign another one: kubekeel certs generate-csr".into(),
        (Managed::Kubelet, _) => {
            "the kubelet renews it when it runs and reaches the API server: journalctl -u kubelet".into()
        }
        (Managed::Kubekeel, Some(_)) => format!("kubekeel certs renew {}", row.name),
        (Managed::Kubekeel, None) => {
            format!("everything that it signed ends with it: kubekeel certs rotate-ca begin {} --dry-run", row.name)
        }
    }
}

fn moment(seconds: i64, format: &(impl time::formatting::Formattable + ?Sized)) -> String {
    let moment = OffsetDateTime::from_unix_timestamp(seconds).ok().and_then(|moment| moment.format(format).ok());
    moment.unwrap_or_else(|| format!("{seconds} s after 1970"))
}

/// Kubernetes' short form of a duration (`apimachinery/pkg/util/duration`).
fn short(seconds: i64) -> String {
    const UNITS: [(i64, char); 5] = [(365 * 86_400, 'y'), (86_400, 'd'), (3600, 'h'), (60, 'm'), (1, 's')];
    let unit = UNITS.into_iter().find(|(unit, _)| seconds >= *unit);
    unit.map_or_else(|| "0s".into(), |(unit, letter)| format!("{}{letter}", seconds / unit))
}

/// A label's value.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_kubernetes_short_ones() {
        let all = [(0, "0s"), (59, "59s"), (60, "1m"), (3599, "59m"), (86_399, "23h"), (364 * 86_400, "364d")];
        for (seconds, text) in all.into_iter().chain([(365 * 86_400, "1y"), (3650 * 86_400, "10y")]) {
            assert_eq!(short(seconds), text);
        }
    }

    #[test]
    fn whoever_can_mend_it_is_named_with_the_command() {
        let row = |name: &str, authority: Option<&str>, managed, validity| Expiry {
            name: name.into(),
            path: format!("/pki/{name}"),
            authority: authority.map(str::to_owned),
            managed,
            validity,
            since: None,
        };
        let cases = [
            ("apiserver", Some("ca"), Managed::Kubekeel, "kubekeel certs renew apiserver"),
            ("etcd-ca", None, Managed::Kubekeel, "kubekeel certs rotate-ca begin etcd-ca"),
            ("apiserver", Some("ca"), Managed::Externally, "kubekeel certs generate-csr"),
            ("kubelet-client", Some("ca"), Managed::Kubelet, "journalctl -u kubelet"),
        ];
        for (name, authority, managed, command) in cases {
            let soon = Expiries { now: 100, rows: vec![row(name, authority, managed, Validity::Until(160))] };
            let hint = soon.ending(Duration::from_secs(60)).remove(0).hint;
            assert!(hint.as_deref().is_some_and(|hint| hint.contains(command)), "{name}: {hint:?}");
            assert_eq!(soon.ending(Duration::from_secs(59)), []);
            let damaged = vec![row(name, authority, managed, Validity::Damaged("cut short".into()))];
            let told = Expiries { now: 100, rows: damaged }.damaged().remove(0);
            assert_eq!((told.subject, told.message), (format!("/pki/{name}"), "cut short".into()));
            assert!(told.hint.is_some_and(|hint| hint.contains("`kubekeel rollback NUMBER`")));
        }
    }

    #[test]
    fn labels_are_escaped() {
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
