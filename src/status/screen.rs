//! A [`Status`] as one screen of 80 columns. Pure.

use std::collections::BTreeMap;

use super::{CertificateLeft, ComponentState, Severity, Status};
use crate::event::Rung;

/// Width of the screen.
const WIDTH: usize = 80;

/// Whether words may have colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// ANSI colours.
    Colours,
    /// Plain text.
    Plain,
}

impl Paint {
    fn with(self, code: &str, text: &str) -> String {
        match self {
            Self::Colours => format!("\x1b[{code}m{text}\x1b[0m"),
            Self::Plain => text.to_owned(),
        }
    }

    fn severity(self, severity: Severity, text: &str) -> String {
        let code = match severity {
            Severity::Well => "32",
            Severity::Attention | Severity::Drift => "33",
            Severity::Waiting => "36",
            Severity::Broken => "31",
        };
        self.with(code, text)
    }
}

/// The screen, without a trailing newline.
pub fn screen(status: &Status, paint: Paint) -> String {
    let mut lines = vec![title(status, paint), String::new()];
    if status.initialised {
        lines.extend(components(status, paint));
        lines.push(String::new());
    }
    lines.push(row("kubelet", &kubelet(status)));
    if let Some(runtime) = &status.runtime {
        lines.push(row("runtime", runtime.as_ref().unwrap_or_else(|why| why)));
    }
    if let Some(Ok(etcd)) = &status.etcd {
        lines.push(row("etcd", &format!("{}, {} of {}", etcd.version, bytes(etcd.size), bytes(etcd.quota))));
    }
    if !status.free.is_empty() {
        let mut free: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        status.free.iter().for_each(|(path, size)| free.entry(bytes(*size)).or_default().push(path));
        let free: Vec<_> = free.iter().map(|(size, paths)| format!("{size} at {}", paths.join(", "))).collect();
        lines.push(row("free", &free.join("; ")));
    }
    lines.extend(certificates(status).into_iter().map(|line| row(line.0, &line.1)));
    lines.extend(images(status));
    let remarks = status.remarks();
    if !remarks.is_empty() {
        lines.push(String::new());
    }
    for remark in remarks {
        let mark = match remark.severity {
            Severity::Broken => "!!",
            Severity::Waiting => "..",
            _ => " !",
        };
        let message = format!("{mark} {}: {}", remark.subject, remark.message);
        let whole = format!("{message}: {}", remark.remedy);
        let text = if whole.chars().count() <= WIDTH { whole } else { shortened(&message) };
        lines.push(paint.severity(remark.severity, &text));
    }
    lines.join("\n")
}

fn title(status: &Status, paint: Paint) -> String {
    let severity = status.severity();
    let generation = status.generation.as_ref().map_or_else(String::new, |generation| {
        format!(
            "  generation {} ({}, {} ago)",
            generation.number,
            generation.command,
            span(status.now - generation.proven)
        )
    });
    let version = if status.initialised { format!("  {}", status.version) } else { String::new() };
    let left = format!("{}{version}{generation}", status.node);
    let word = severity.name();
    let room = WIDTH.saturating_sub(word.chars().count() + 1);
    let left: String = left.chars().take(room).collect();
    format!("{}{}", paint.with("1", &format!("{left:<room$} ")), paint.severity(severity, word))
}

fn components(status: &Status, paint: Paint) -> Vec<String> {
    let head = format!("{:<24}{:<10}{:<9}{:<7}{:>8}  {}", "COMPONENT", "IMAGE", "DIGEST", "SINCE", "RESTARTS", "PROOF");
    let mut lines = vec![paint.with("2", &head)];
    for state in &status.components {
        let reached = Rung::ALL.iter().filter(|rung| state.progress.rung >= Some(**rung)).count();
        let bar = format!("[{:<6}]", "=".repeat(reached));
        let proven = state.progress.is_proven();
        let word = match state.progress.rung {
            // There is nothing that it could have been proven against.
            Some(Rung::MirrorPod) if !status.is_ours => "ready",
            Some(Rung::MirrorPod) => "proven",
            rung => rung.map_or("-", Rung::name),
        };
        let severity = if proven { Severity::Well } else { Severity::Broken };
        let since = state.since.map_or_else(|| "-".into(), |since| span(status.now - since));
        lines.push(format!(
            "{:<24}{:<10}{:<9}{since:<7}{:>8}  {}",
            state.progress.component.name(),
            or_dash(&tag(&state.image).chars().take(9).collect::<String>()),
            or_dash(&digest(state.running.as_deref())),
            state.restarts,
            paint.severity(severity, &format!("{bar} {word}")),
        ));
        if !proven && state.desired.is_some() && state.running.is_some() && state.desired != state.running {
            lines.push(format!("{:<34}{}wanted", "", digest(state.desired.as_deref()) + " "));
        }
    }
    lines
}

/// Where the images come from; the tags stand in the table.
fn images(status: &Status) -> Option<String> {
    let of = |state: &ComponentState| Some(state.image.rsplit_once('/')?.0.to_owned());
    let mut all: Vec<_> = status.components.iter().filter_map(of).collect();
    all.dedup();
    (!all.is_empty()).then(|| row("images", &format!("from {}", all.join(", "))))
}

fn kubelet(status: &Status) -> String {
    let kubelet = &status.kubelet;
    if !status.initialised && !kubelet.running {
        return format!("{}: waits for init, which configures it", kubelet.state);
    }
    let version = kubelet.version.as_ref().map_or_else(String::new, |version| format!("{version}, "));
    let since = kubelet.since.map_or_else(String::new, |since| format!(" for {}", span(status.now - since)));
    let node = match &status.node_ready {
        Some(Ok(true)) => ", Node Ready",
        Some(Ok(false)) => ", Node not Ready",
        Some(Err(_)) => ", the API server does not tell of the Node",
        None => "",
    };
    format!("{version}{}{since}, {} restarts{node}", kubelet.state, kubelet.restarts)
}

fn certificates(status: &Status) -> Vec<(&'static str, String)> {
    const SHOWN: usize = 3;
    let part = |authority: bool| {
        let all: Vec<_> = status.certificates.iter().filter(|one| one.authority == authority).collect();
        let least = all.first()?;
        if let Some(days) = least.days.filter(|_| all.len() > 1 && all.iter().all(|one| one.days == least.days)) {
            return Some(format!("all {} end in {days} days", all.len()));
        }
        let word = |one: &&CertificateLeft| {
            one.days.map_or_else(|| format!("{} damaged", one.name), |days| format!("{} {days} d", one.name))
        };
        let mut words: Vec<_> = all.iter().take(SHOWN).map(word).collect();
        words.extend((all.len() > SHOWN).then(|| format!("{} more", all.len() - SHOWN)));
        Some(words.join(", "))
    };
    let named = [("certificates", part(false)), ("authorities", part(true))];
    named.into_iter().filter_map(|(name, words)| Some((name, words?))).collect()
}

fn row(name: &str, text: &str) -> String {
    shortened(&format!("{name:<13} {text}"))
}

fn shortened(text: &str) -> String {
    let one_line = text.replace('\n', " ");
    match one_line.char_indices().nth(WIDTH) {
        None => one_line,
        Some(_) => one_line.chars().take(WIDTH - 1).chain(['…']).collect(),
    }
}

fn or_dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

fn tag(image: &str) -> &str {
    image.rsplit('/').next().and_then(|name| name.split_once(':')).map_or("", |(_, tag)| tag)
}

/// The first hexadecimal digits: enough to tell two apart.
fn digest(digest: Option<&str>) -> String {
    let digest = digest.unwrap_or_default();
    // Behind `sha256:`, or whatever says what kind of digest it is.
    digest.rsplit(':').next().unwrap_or(digest).chars().take(8).collect()
}

/// A time in its two largest units: `3m`, `2h14m`, `12d`.
fn span(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match () {
        () if days > 9 => format!("{days}d"),
        () if days > 0 => format!("{days}d{}h", hours % 24),
        () if hours > 0 => format!("{hours}h{}m", minutes % 60),
        () if minutes > 0 => format!("{minutes}m"),
        () => format!("{seconds}s"),
    }
}

/// `1.5 GiB`
pub(super) fn bytes(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let (mut whole, mut unit) = (bytes / 1024 * 10 + bytes % 1024 * 10 / 1024, 0);
    // Tenths of a unit, so that no float is needed.
    while whole >= 10_240 && unit + 1 < units.len() {
        (whole, unit) = (whole / 1024, unit + 1);
    }
    if whole < 100 {
        format!("{}.{} {}", whole / 10, whole % 10, units[unit])
    } else {
        format!("{} {}", whole / 10, units[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes_are_short() {
        assert_eq!([5, 65, 7_320, 90_000, 900_000].map(span), ["5s", "1m", "2h2m", "1d1h", "10d"]);
        assert_eq!([0, 3 << 20, 900 << 20, 2 << 30].map(bytes), ["0.0 KiB", "3.0 MiB", "900 MiB", "2.0 GiB"]);
    }
}
