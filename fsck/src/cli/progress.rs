//! Showing how far a check is, and ending it on a signal.

use std::cell::{Cell, RefCell};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use braidfs_fsck::{Finding, Observer, Pass, Severity};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use signal_hook::consts::{SIGINT, SIGTERM};

/// Where progress goes.
enum Sink {
    Nowhere,
    /// A bar on the terminal that stderr is, if it is one.
    Bar(ProgressBar),
    /// Lines for fsck(8): pass, done, total, device.
    Lines {
        file: RefCell<File>,
        device: String,
    },
}

/// Watches a check for the command.
pub struct Progress {
    sink: Sink,
    cancelled: Arc<AtomicBool>,
    pass: Cell<u8>,
    total: Cell<u64>,
    /// The hundredth part of the pass that was shown last.
    shown: Cell<u64>,
    problems: Cell<u64>,
}

impl Progress {
    /// Shows progress as option `-C` says; `quiet` means that nothing is shown unless it asks for
    /// it.
    pub fn new(option: Option<i32>, quiet: bool, device: &str) -> io::Result<Self> {
        let sink = match option {
            Some(descriptor) if descriptor != 0 => {
                let file = RefCell::new(open_descriptor(descriptor.unsigned_abs())?);
                Sink::Lines { file, device: device.to_owned() }
            }
            None if quiet => Sink::Nowhere,
            _ => Sink::Bar(bar()),
        };
        Ok(Self {
            sink,
            cancelled: Arc::default(),
            pass: Cell::new(0),
            total: Cell::new(0),
            shown: Cell::new(0),
            problems: Cell::new(0),
        })
    }

    /// Ends the check at the first interrupt or termination signal; at the second one the process
    /// ends.
    pub fn watch_signals(&self) -> io::Result<()> {
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register_conditional_default(signal, self.cancelled.clone())?;
            signal_hook::flag::register(signal, self.cancelled.clone())?;
        }
        Ok(())
    }

    fn write_line(&self, file: &RefCell<File>, device: &str, done: u64) {
        let total = self.total.get().max(1);
        let percent = done.min(total) * 100 / total;
        if percent != self.shown.replace(percent) {
            let line = format!("{} {} {total} {device}\n", self.pass.get(), done.min(total));
            // Whoever listens may have gone; the check goes on.
            let _ = file.borrow_mut().write_all(line.as_bytes());
        }
    }
}

/// A second handle of an open descriptor. Going by its name takes no unsafe code.
fn open_descriptor(descriptor: u32) -> io::Result<File> {
    OpenOptions::new().append(true).open(format!("/proc/self/fd/{descriptor}"))
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
    let template = "{prefix:>20} [{wide_bar:.cyan/blue}] {percent:>3}% {msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

impl Observer for Progress {
    fn pass_started(&self, pass: &Pass, units: u64) {
        self.pass.set(pass.id);
        self.total.set(units);
        self.shown.set(u64::MAX);
        match &self.sink {
            Sink::Nowhere => {}
            Sink::Bar(bar) => {
                bar.reset();
                bar.set_length(units);
                bar.set_prefix(format!("{:>2} {}", pass.id, pass.name));
                bar.enable_steady_tick(Duration::from_millis(200));
            }
            Sink::Lines { file, device } => self.write_line(file, device, 0),
        }
    }

    fn progressed(&self, done: u64) {
        match &self.sink {
            Sink::Nowhere => {}
            Sink::Bar(bar) => bar.set_position(done),
            Sink::Lines { file, device } => self.write_line(file, device, done),
        }
    }

    fn found(&self, finding: &Finding) {
        if finding.problem.severity == Severity::Notice {
            return;
        }
        self.problems.set(self.problems.get() + 1);
        if let Sink::Bar(bar) = &self.sink {
            bar.set_message(format!("{} problems", self.problems.get()));
        }
    }

    fn pass_finished(&self, _pass: &Pass) {
        match &self.sink {
            Sink::Nowhere => {}
            Sink::Bar(bar) => {
                bar.disable_steady_tick();
                bar.finish_and_clear();
            }
            Sink::Lines { file, device } => self.write_line(file, device, self.total.get()),
        }
    }

    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}
