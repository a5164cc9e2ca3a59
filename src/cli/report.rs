//! Reporters: a live table on a terminal, a line per change elsewhere, JSON lines for programs.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::{Output, output};
use crate::event::{Event, Progress, Reporter, Rung};
use crate::host;
use crate::manifest::Component;

/// A reporter that can be told that nothing follows.
pub(super) trait Tell: Reporter {
    /// Nothing follows: leave the terminal in order.
    fn finish(&mut self);
}

/// The reporter for this output and this terminal.
pub(super) fn reporter(output: Output) -> Box<dyn Tell> {
    match output {
        Output::Json | Output::Yaml => Box::new(Data(output)),
        // A terminal that does not tell its size (a bare `runc exec -t`) cannot show a table.
        Output::Text if io::stderr().is_terminal() && host::terminal_has_size() => Box::new(Live::new()),
        Output::Text => Box::new(Plain { began: Instant::now(), bytes: None }),
    }
}

struct Data(Output);

impl Reporter for Data {
    fn event(&mut self, event: &Event) {
        if let Ok(event) = serde_json::to_value(event) {
            output::data(self.0, &event);
        }
    }
}

impl Tell for Data {
    fn finish(&mut self) {}
}

/// One line in words.
fn line(event: &Event) -> String {
    match event {
        Event::Detected { field, value } => format!("{field}: {value} (detected)"),
        Event::Warning { problem } => {
            let hint = problem.hint.as_ref().map_or_else(String::new, |hint| format!(" (hint: {hint})"));
            format!("warning: {problem}{hint}")
        }
        Event::Step { number, total, text } => format!("[{number}/{total}] {text}"),
        Event::Pod(progress) => format!("{:<24} {}", progress.component.name(), pod(progress)),
        Event::Work { text, done, total } => format!("[{}/{total}] {text}", done + 1),
        Event::Bytes { text, done, total } => format!("[{}/{} KiB] {text}", done >> 10, total >> 10),
        Event::RollBack { generation, because } => {
            format!("warning: {because}; generation {generation} is put back")
        }
        Event::Served { component, port, certificate: Some(path), elapsed } => {
            format!("{component} shows {path} on port {port}, after {:.1} s", elapsed.as_secs_f64())
        }
        Event::Served { component, port, certificate: None, .. } => {
            format!("{component} shows a certificate on port {port} that it made in memory when it started")
        }
        Event::Proven { elapsed } => {
            format!("proven: all static pods run as rendered, after {:.1} s", elapsed.as_secs_f64())
        }
    }
}

fn pod(progress: &Progress) -> String {
    match progress.rung {
        Some(Rung::MirrorPod) => "proven".to_owned(),
        Some(rung) => format!("{}; waits for {}", rung.name(), progress.waiting),
        None => format!("waits for {}", progress.waiting),
    }
}

struct Plain {
    began: Instant,
    /// When bytes were told last.
    bytes: Option<Instant>,
}

/// Of bytes a line each second is enough.
const PAUSE: Duration = Duration::from_secs(1);

impl Reporter for Plain {
    fn event(&mut self, event: &Event) {
        if let Event::Bytes { done, .. } = event {
            if *done > 0 && self.bytes.is_some_and(|told| told.elapsed() < PAUSE) {
                return;
            }
            self.bytes = Some(Instant::now());
        }
        let _ = writeln!(io::stderr().lock(), "{:6.2}s {}", self.began.elapsed().as_secs_f64(), line(event));
    }
}

impl Tell for Plain {
    fn finish(&mut self) {}
}

/// Steps scroll by; the static pods have a line each that stays.
struct Live {
    screen: MultiProgress,
    step: ProgressBar,
    pods: BTreeMap<Component, ProgressBar>,
}

impl Live {
    fn new() -> Self {
        let screen = MultiProgress::new();
        let step = screen.add(ProgressBar::new(1));
        step.set_style(style(STEPS));
        step.enable_steady_tick(Duration::from_millis(100));
        Self { screen, step, pods: BTreeMap::new() }
    }

    fn steps(&mut self, done: usize, total: usize, text: &str) {
        self.step.set_style(style(STEPS));
        self.bar(done as u64, total as u64, text);
    }

    fn bar(&mut self, done: u64, total: u64, text: &str) {
        self.step.set_length(total);
        self.step.set_position(done);
        self.step.set_message(text.to_owned());
    }

    fn pod(&mut self, component: Component) -> &ProgressBar {
        self.pods.entry(component).or_insert_with(|| {
            let bar = self.screen.add(ProgressBar::new(Rung::ALL.len() as u64));
            bar.set_style(style("  {prefix:<24} [{bar:6}] {wide_msg}"));
            bar.set_prefix(component.name());
            bar
        })
    }
}

const STEPS: &str = "{spinner} {elapsed_precise} [{bar:24}] {pos}/{len} {wide_msg}";
const BYTES: &str = "{spinner} {elapsed_precise} [{bar:24}] {bytes}/{total_bytes} {wide_msg}";

/// The templates above are constants, so a style that cannot be parsed never reaches a user; a default is good enough.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()).progress_chars("=> ")
}

impl Reporter for Live {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Step { number, total, text } => self.steps(*number, *total, text),
            Event::Work { text, done, total } => self.steps(*done, *total, text),
            Event::Bytes { text, done, total } => {
                self.step.set_style(style(BYTES));
                self.bar(*done, *total, text);
            }
            Event::Pod(progress) => {
                let reached = Rung::ALL.iter().filter(|rung| progress.rung >= Some(**rung)).count() as u64;
                let bar = self.pod(progress.component);
                bar.set_position(reached);
                bar.set_message(pod(progress));
            }
            Event::Detected { .. }
            | Event::Warning { .. }
            | Event::RollBack { .. }
            | Event::Served { .. }
            | Event::Proven { .. } => {
                let _ = self.screen.println(line(event));
            }
        }
    }
}

impl Tell for Live {
    fn finish(&mut self) {
        self.step.finish_and_clear();
        // Told twice, a bar would be drawn again below what was printed since.
        for bar in std::mem::take(&mut self.pods).values() {
            bar.abandon();
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.finish();
    }
}
