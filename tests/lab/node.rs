//! One lab node, for as long as a test holds it.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

/// The lab's own command.
const LAB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/lab");
/// Where kubeadm and kubekeel leave the administrator's kubeconfig.
const ADMIN: &str = "/etc/kubernetes/admin.conf";

/// How many nodes two cores bear at the same time.
const SLOTS: usize = 2;
static TAKEN: Mutex<usize> = Mutex::new(0);
static RETURNED: Condvar = Condvar::new();

/// What a node starts with.
#[derive(Clone)]
pub(crate) struct Options {
    /// The Kubernetes minor whose kubelet, kubeadm, kubectl and images the node has.
    pub(crate) minor: &'static str,
    /// Whether the control plane's images are there already; an empty store shows what pulling does.
    pub(crate) images: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { minor: "1.37", images: true }
    }
}

/// How a command in a node ended.
#[derive(Debug)]
pub(crate) struct Output {
    /// The exit code; -1 after a signal.
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A running node; dropping it removes everything of it, unless `KUBEKEEL_LAB_KEEP` is set.
pub(crate) struct Node {
    pub(crate) name: String,
    /// Its address in the lab's network.
    pub(crate) address: String,
}

impl Node {
    /// Starts a node with the kubekeel under test in it, waiting while `SLOTS` others run.
    pub(crate) fn up(name: &str, options: &Options) -> Self {
        take(1);
        Self::start(name, options)
    }

    /// Starts two nodes. Tests that hold one and then ask for another could wait for each other.
    pub(crate) fn up_two(names: [&str; 2], options: [&Options; 2]) -> [Self; 2] {
        take(2);
        [Self::start(names[0], options[0]), Self::start(names[1], options[1])]
    }

    fn start(name: &str, options: &Options) -> Self {
        // Several test runs may share the machine.
        let name = format!("{name}-{}", std::process::id());
        let mut node = Self { name, address: String::new() };
        let mut arguments = vec!["up", &node.name, "--minor", options.minor, "--bin", env!("CARGO_BIN_EXE_kubekeel")];
        if !options.images {
            arguments.push("--no-images");
        }
        let up = output(Command::new(LAB).args(&arguments));
        assert_eq!(up.status, 0, "{LAB} {}: {}", arguments.join(" "), up.stderr);
        up.stdout.trim().clone_into(&mut node.address);
        node
    }

    /// Imports the images of another minor.
    pub(crate) fn load(&self, minor: &str) {
        let load = output(Command::new(LAB).args(["load", &self.name, minor]));
        assert_eq!(load.status, 0, "loading {minor} into {}: {}", self.name, load.stderr);
    }

    /// A power loss, and the boot after it.
    pub(crate) fn reboot(&self) {
        let done = output(Command::new(LAB).args(["reboot", &self.name]));
        assert_eq!(done.status, 0, "rebooting {}: {}", self.name, done.stderr);
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(LAB);
        command.args(["exec", &self.name]).args(arguments);
        command
    }

    /// Runs a command in the node and waits for its end.
    pub(crate) fn exec(&self, arguments: &[&str]) -> Output {
        output(&mut self.command(arguments))
    }

    /// Runs a command that must succeed; gives its standard output.
    pub(crate) fn exec_ok(&self, arguments: &[&str]) -> String {
        let done = self.exec(arguments);
        assert_eq!(done.status, 0, "{arguments:?} on {}:\n{}{}", self.name, done.stdout, done.stderr);
        done.stdout
    }

    /// Starts a command and leaves it running; its output can be read when it is waited for.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the lab's command starts")
    }

    /// Runs the kubekeel under test.
    pub(crate) fn kubekeel(&self, arguments: &[&str]) -> Output {
        self.exec(&[&["kubekeel"], arguments].concat())
    }

    /// Runs kubectl as the administrator.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Output {
        self.exec(&[&["kubectl", "--kubeconfig", ADMIN], arguments].concat())
    }

    /// Writes a file in place, with its directories; mode 0644.
    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let script = r#"mkdir -p "${0%/*}" && cat > "$0""#;
        let mut writer = self.command(&["sh", "-c", script, path]).stdin(Stdio::piped()).spawn().expect("sh starts");
        writer.stdin.take().expect("a pipe").write_all(content.as_ref()).expect("sh reads");
        assert!(writer.wait().expect("sh ends").success(), "writing {path} on {}", self.name);
    }

    /// The content of a file; `None` if it cannot be read.
    pub(crate) fn read(&self, path: &str) -> Option<String> {
        let cat = self.exec(&["cat", path]);
        (cat.status == 0).then_some(cat.stdout)
    }

    /// Asks every 200 ms until there is an answer; fails the test after `limit`.
    pub(crate) fn wait_until<T>(&self, what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
        let began = Instant::now();
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            assert!(began.elapsed() < limit, "{}: no {what} within {limit:?}", self.name);
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// The names of the pods in kube-system that are Ready, sorted.
    pub(crate) fn ready_pods(&self) -> Vec<String> {
        let row = r#"{range .items[*]}{.metadata.name} {.status.conditions[?(@.type=="Ready")].status}{"\n"}{end}"#;
        let list = self.kubectl(&["-n", "kube-system", "get", "pods", "-o", &format!("jsonpath={row}")]);
        let mut ready: Vec<_> = list.stdout.lines().filter_map(|l| l.strip_suffix(" True")).map(String::from).collect();
        ready.sort();
        ready
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for units in [["-u", "kubelet", "-u", "containerd"], ["-u", "kubekeel-watchdog", "--output", "cat"]] {
                let journal = self.exec(&[&["journalctl", "--no-pager", "-n", "60"], &units[..]].concat());
                eprintln!("--- the last words of {}\n{}", self.name, journal.stdout);
            }
        }
        if std::env::var_os("KUBEKEEL_LAB_KEEP").is_some() {
            eprintln!("kept: scripts/lab shell {0}; scripts/lab down {0}", self.name);
        } else {
            let down = output(Command::new(LAB).args(["down", &self.name]));
            if down.status != 0 {
                eprintln!("{} is still there: {}", self.name, down.stderr);
            }
        }
        *TAKEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner) -= 1;
        RETURNED.notify_all();
    }
}

/// Waits for `wanted` free slots and takes them at once.
fn take(wanted: usize) {
    let taken = TAKEN.lock().expect("nothing panics while it holds this");
    let mut taken = RETURNED.wait_while(taken, |taken| *taken + wanted > SLOTS).expect("the same");
    *taken += wanted;
}

/// Runs a command on the machine itself, without input.
pub(crate) fn output(command: &mut Command) -> Output {
    let done = command.stdin(Stdio::null()).output().expect("the command starts");
    Output {
        status: done.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&done.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
    }
}
