//! Judging single values: names, addresses, paths, durations. Each says what is wrong and what would be right.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use super::Endpoint;
use super::given::{Wrong, did_you_mean, quoted};

type Judged<T> = Result<T, Wrong>;

/// RFC 1123 label: what a volume may be called.
fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// RFC 1123 subdomain as Kubernetes checks it: labels of any length, at most 253 characters.
fn is_subdomain(text: &str) -> bool {
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// An RFC 1123 subdomain in lower case.
pub(super) fn subdomain(text: &str) -> Judged<String> {
    if is_subdomain(text) {
        return Ok(text.to_owned());
    }
    let rule = "lower-case letters, digits, '-' and '.' only, each part beginning and ending with a letter or digit";
    Err(Wrong::new(format!("{} is not a valid DNS name", quoted(text))).hint(rule))
}

/// Name of the node: kubeadm trims it and takes it in lower case.
pub(super) fn node_name(text: &str) -> Judged<String> {
    subdomain(&text.trim().to_lowercase())
}

/// An IP address; one of IPv4 in IPv6 notation becomes IPv4, as in Go.
pub(super) fn ip(text: &str) -> Judged<IpAddr> {
    let address: Option<IpAddr> = text.parse().ok();
    address.map(|ip| ip.to_canonical()).ok_or_else(|| Wrong::new(format!("{} is not an IP address", quoted(text))))
}

/// Whether others can reach the address: Go's `IsGlobalUnicast` without IPv4 broadcast.
pub(super) fn is_global_unicast(address: IpAddr) -> bool {
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    !(address.is_unspecified() || address.is_loopback() || address.is_multicast() || link_local)
}

/// A subject alternative name: an IP address, a DNS name, or `*.` and a DNS name.
pub(super) fn san(text: &str) -> Judged<String> {
    if text.parse::<IpAddr>().is_ok() || is_subdomain(text.strip_prefix("*.").unwrap_or(text)) {
        return not_almost_ip(text).map(|()| text.to_owned());
    }
    let wrong = Wrong::new(format!("{} is neither an IP address nor a DNS name nor a wildcard", quoted(text)));
    Err(if is_subdomain(&text.to_lowercase()) { wrong.hint("write it in lower case") } else { wrong })
}

/// `10.0.0.256` passes as a DNS name, and no resolver will ever find it.
fn not_almost_ip(text: &str) -> Judged<()> {
    let numeric = text.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    if numeric && text.parse::<IpAddr>().is_err() {
        return Err(Wrong::new(format!("{} is not an IP address", quoted(text))));
    }
    Ok(())
}

/// `host`, `host:port`, `address` or `[IPv6]:port`; the port defaults to the bind port.
pub(super) fn endpoint(text: &str, bind_port: u16) -> Judged<Endpoint> {
    let wrong = || Wrong::new(format!("{} is not a host with an optional port", quoted(text)));
    if text.contains("//") {
        return Err(wrong().hint("write host:port without a scheme"));
    }
    if let Ok(address) = text.parse::<Ipv6Addr>() {
        return Ok(Endpoint { host: address.to_string(), port: bind_port });
    }
    let (host, port) = match text.strip_prefix('[').map(|rest| rest.split_once("]:")) {
        Some(Some((host, port))) if host.parse::<Ipv6Addr>().is_ok() => (host, port),
        Some(_) => return Err(wrong().hint("write an IPv6 address with a port as [2001:db8::1]:6443")),
        None => text.split_once(':').unwrap_or((text, "")),
    };
    if host.parse::<IpAddr>().is_err() {
        not_almost_ip(host)?;
        subdomain(host)?;
    }
    let port = match port {
        "" => bind_port,
        digits => digits
            .parse()
            .ok()
            .filter(|port| *port > 0 && digits.bytes().all(|byte| byte.is_ascii_digit()))
            .ok_or_else(|| Wrong::new(format!("{} is not a port from 1 to 65535", quoted(digits))))?,
    };
    Ok(Endpoint { host: host.to_owned(), port })
}

/// A port from 1 to 65535.
pub(super) fn port(number: i64) -> Judged<u16> {
    let port = u16::try_from(number).ok().filter(|port| *port > 0);
    port.ok_or_else(|| Wrong::new(format!("{number} is not a port from 1 to 65535")))
}

/// Text without control characters, which no path or name needs.
pub(super) fn printable(text: &str) -> Judged<String> {
    if text.contains(char::is_control) {
        return Err(Wrong::new(format!("{} contains control characters", quoted(text))));
    }
    Ok(text.to_owned())
}

/// An absolute path.
pub(super) fn path(text: &str) -> Judged<String> {
    if text.starts_with('/') {
        printable(text)
    } else {
        Err(Wrong::new(format!("{} is not an absolute path", quoted(text))))
    }
}

/// An absolute path of a directory of its own, without a trailing slash.
pub(super) fn directory(text: &str) -> Judged<String> {
    match path(text)?.trim_end_matches('/') {
        "" => Err(Wrong::new("the root directory cannot be used")),
        path => Ok(path.to_owned()),
    }
}

/// A CRI socket with its scheme.
pub(super) fn cri_socket(text: &str) -> Judged<String> {
    let url = if text.contains("://") { text.to_owned() } else { format!("unix://{text}") };
    match url.strip_prefix("unix://") {
        Some(path) if path.starts_with('/') => printable(&url),
        Some(_) => Err(Wrong::new(format!("{} does not name an absolute path", quoted(text)))
            .hint("write it like unix:///run/containerd/containerd.sock")),
        None => Err(Wrong::new(format!("{} is not a unix socket", quoted(text)))
            .hint("write it like unix:///run/containerd/containerd.sock")),
    }
}

/// What may stand before the name in an image reference (`distribution/reference`).
pub(super) fn image_repository(text: &str) -> Judged<String> {
    let component = |part: &str| {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        let separated =
            |part: &str| !["..", "._", "_.", "___", "-.", ".-", "-_", "_-"].iter().any(|bad| part.contains(bad));
        let edge = |c: char| "._-".contains(c);
        !part.is_empty()
            && part.bytes().all(inner)
            && !part.starts_with(edge)
            && !part.ends_with(edge)
            && separated(part)
    };
    let mut parts = text.split('/');
    let first = parts.next().unwrap_or_default();
    if (is_registry(first) || component(first)) && parts.all(component) {
        return Ok(text.to_owned());
    }
    let wrong = Wrong::new(format!("{} is not an image repository", quoted(text)));
    Err(if text.contains("://") {
        wrong.hint("write it without a scheme, like registry.example.com/k8s")
    } else {
        wrong
    })
}

fn is_registry(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, "")) if address.parse::<Ipv6Addr>().is_ok() => return true,
            Some((address, port)) if address.parse::<Ipv6Addr>().is_ok() => ("x", port.strip_prefix(':')),
            _ => return false,
        },
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty() && label.bytes().all(inner) && !label.starts_with('-') && !label.ends_with('-')
    };
    let digits = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    host.split('.').all(label) && port.is_none_or(digits)
}

/// The tag of an image.
pub(super) fn image_tag(text: &str) -> Judged<String> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let inner = |byte: u8| word(byte) || byte == b'.' || byte == b'-';
    if text.len() <= 128 && text.bytes().next().is_some_and(word) && text.bytes().all(inner) {
        return Ok(text.to_owned());
    }
    Err(Wrong::new(format!("{} is not an image tag", quoted(text))))
}

/// A duration in Go's notation (`time.ParseDuration`): `8760h0m0s`, `1.5h`, `100ms`. Not negative, under 292 years.
pub(super) fn duration(text: &str) -> Judged<Duration> {
    let wrong =
        || Wrong::new(format!("{} is not a duration", quoted(text))).hint("write it like 4m, 1h30m or 8760h0m0s");
    if text.starts_with('-') {
        return Err(Wrong::new(format!("{} is negative", quoted(text))));
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    let mut nanos: u64 = 0;
    if rest.is_empty() || rest.len() > 64 {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let (digits, after) = rest.split_at(number);
        let unit = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(unit);
        let part = part_of_duration(digits, unit).ok_or_else(wrong)?;
        nanos = nanos.checked_add(part).filter(|nanos| i64::try_from(*nanos).is_ok()).ok_or_else(wrong)?;
        rest = next;
    }
    Ok(Duration::from_nanos(nanos))
}

/// Nanoseconds of `1.5` and `h`.
fn part_of_duration(digits: &str, unit: &str) -> Option<u64> {
    let unit: u64 = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return None;
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    // Digits that cannot make a nanosecond of an hour are cut off.
    let fraction = fraction.get(..fraction.len().min(15))?;
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let fraction: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    let part = u64::try_from(u128::from(unit) * fraction / scale).ok()?;
    whole.checked_mul(unit)?.checked_add(part)
}

/// A duration that is longer than nothing.
pub(super) fn positive_duration(text: &str) -> Judged<Duration> {
    duration(text)?.checked_sub(Duration::from_nanos(1)).ok_or_else(|| Wrong::new("must be longer than nothing"))?;
    duration(text)
}

/// One of a few words.
pub(super) fn one_of(text: &str, words: &[&str]) -> Judged<String> {
    if words.contains(&text) {
        return Ok(text.to_owned());
    }
    let hint = did_you_mean(text, words.iter().copied()).unwrap_or_else(|| format!("one of {}", words.join(", ")));
    Err(Wrong::new(format!("{} is not known here", quoted(text))).hint(hint))
}

/// `BootstrapGroupPattern` of `k8s.io/cluster-bootstrap/token/api`.
pub(super) fn bootstrap_group(text: &str) -> Judged<String> {
    let rest = text.strip_prefix("system:bootstrappers:").unwrap_or_default();
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b':' || byte == b'-';
    let last = rest.bytes().last().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if last && rest.len() <= 256 && rest.bytes().all(inner) {
        return Ok(text.to_owned());
    }
    let rule = "write system:bootstrappers: and then a-z, 0-9, ':' or '-', ending with a letter or digit";
    Err(Wrong::new(format!("{} is not a group of bootstrap tokens", quoted(text))).hint(rule))
}

/// Key of a taint: a name of at most 63 characters, optionally after a DNS name and a slash.
pub(super) fn qualified_name(text: &str) -> Judged<()> {
    let (prefix, name) = text.split_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
    if prefix.is_none_or(is_subdomain) && !name.is_empty() && is_label_value(name) {
        return Ok(());
    }
    Err(Wrong::new(format!("{} is not a valid key", quoted(text))).hint("write it like example.com/name"))
}

/// Value of a taint.
pub(super) fn label_value(text: &str) -> Judged<String> {
    if is_label_value(text) {
        return Ok(text.to_owned());
    }
    let rule = "at most 63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit";
    Err(Wrong::new(format!("{} is not a valid value", quoted(text))).hint(rule))
}

fn is_label_value(text: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    let inner = bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte));
    bytes.len() <= 63 && inner && edge(bytes.first()) && edge(bytes.last())
}

/// Name of a volume.
pub(super) fn volume_name(text: &str) -> Judged<String> {
    if is_label(text) {
        return Ok(text.to_owned());
    }
    let rule = "at most 63 lower-case letters, digits and '-', beginning and ending with a letter or digit";
    Err(Wrong::new(format!("{} is not a valid volume name", quoted(text))).hint(rule))
}

/// Path on the host of a volume; the API refuses `..` in it.
pub(super) fn host_path(text: &str) -> Judged<String> {
    if text.split('/').any(|part| part == "..") {
        return Err(Wrong::new(format!("{} contains \"..\"", quoted(text))));
    }
    path(text)
}

/// Path in the container of a volume; the API refuses `:` in it.
pub(super) fn mount_path(text: &str) -> Judged<String> {
    if text.contains(':') {
        return Err(Wrong::new(format!("{} contains \":\"", quoted(text))));
    }
    path(text)
}
