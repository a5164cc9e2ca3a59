//! The flags and feature gates that the components of a minor know; `scripts/options` writes the tables.

/// What one minor's components know.
#[derive(Debug, Clone, Copy)]
pub struct Options(&'static str);

const TABLES: [(u32, &str); 2] = [(36, include_str!("options-1.36.txt")), (37, include_str!("options-1.37.txt"))];

/// The table of a minor; `None` when there is none, and then nothing can be said.
pub fn options(minor: u32) -> Option<Options> {
    TABLES.iter().find(|(other, _)| *other == minor).map(|(_, table)| Options(table))
}

/// The minors that there is a table of, for sentences.
pub fn minors() -> String {
    TABLES.map(|(minor, _)| format!("1.{minor}")).join(" and ")
}

/// Whether a program is one that the tables are about.
pub fn is_known(program: &str) -> bool {
    TABLES.iter().any(|(_, table)| Options(table).knows(program))
}

impl Options {
    fn section(self, name: &str) -> impl Iterator<Item = &'static str> {
        let heading = format!("[{name}]");
        let mut lines = self.0.lines().skip_while(move |line| *line != heading);
        // Without the heading: an unknown section is empty.
        lines.next();
        lines.take_while(|line| !line.starts_with('['))
    }

    /// Whether the table is about this program at all: a component's binary, `kubelet` or `etcd`.
    pub fn knows(self, program: &str) -> bool {
        self.section(program).next().is_some()
    }

    /// Whether a program takes a flag, without its dashes.
    pub fn has_flag(self, program: &str, flag: &str) -> bool {
        self.section(program).any(|known| known == flag)
    }

    /// Whether a program takes a feature gate.
    pub fn has_gate(self, program: &str, gate: &str) -> bool {
        let section = if program == "etcd" { "etcd gates" } else { "gates" };
        self.section(section).any(|known| known == gate)
    }
}

/// What a command line says that its program does not know, as sentences; nothing for a minor without a table.
pub fn unknown(minor: u32, program: &str, arguments: &[&str]) -> Vec<String> {
    let Some(options) = options(minor).filter(|options| options.knows(program)) else { return vec![] };
    let mut unknown = vec![];
    for argument in arguments {
        let Some(flag) = argument.strip_prefix("--") else { continue };
        let (name, value) = flag.split_once('=').unwrap_or((flag, ""));
        if !name.is_empty() && !options.has_flag(program, name) {
            unknown.push(format!("{program} 1.{minor} has no flag --{name}"));
        }
        if name == "feature-gates" {
            let gates = value.split(',').filter_map(|pair| pair.split_once('=')).map(|(gate, _)| gate.trim());
            // `kube:Gate` names the component that the gate belongs to.
            let gates = gates.map(|gate| gate.rsplit(':').next().unwrap_or(gate));
            let missing = gates.filter(|gate| !options.has_gate(program, gate));
            unknown.extend(missing.map(|gate| format!("{program} 1.{minor} has no feature gate {gate}")));
        }
    }
    unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_is_unknown_and_what_stayed_is_not() {
        let etcd = ["--experimental-initial-corrupt-check=true", "--data-dir=/var/lib/etcd"];
        assert_eq!(unknown(36, "etcd", &etcd), [""; 0]);
        assert_eq!(unknown(37, "etcd", &etcd), ["etcd 1.37 has no flag --experimental-initial-corrupt-check"]);
        let gates = ["--feature-gates=APIServerIdentity=true,kube:NoSuchGate=true"];
        assert_eq!(unknown(37, "kube-apiserver", &gates), ["kube-apiserver 1.37 has no feature gate NoSuchGate"]);
        assert_eq!(unknown(37, "my-program", &["--x"]), [""; 0]);
        assert_eq!(unknown(99, "etcd", &["--x"]), [""; 0]);
        assert_eq!(minors(), "1.36 and 1.37");
        assert_eq!(["kube-apiserver", "etcd", "my-program", "gates"].map(is_known), [true, true, false, true]);
    }
}
