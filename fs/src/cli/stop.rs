//! Ending a mount on a signal.
//!
//! SIGINT, SIGTERM and SIGHUP mean the same. Before the mount is made, a signal ends the program and
//! what it had begun is taken back. Then, the first one unmounts; if the mount is in use it is
//! detached, and its users get [`GRACE`] to leave before they are cut off; a second signal cuts them off
//! at once. All of these end with everything on disk. Only a third one ends the program as a
//! crash would, and that loses nothing that was made durable.

use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tracing::{info, warn};

use super::error::{CliError, CliResult};
use super::output::say;
use super::processes::{describe, users_of};
use crate::fuse::{FuseError, UnmountMode, unmount};
use crate::volume::Volume;

/// How long the users of a mount may go on after the first signal.
const GRACE: Duration = Duration::from_secs(10);

/// Handles the signals of a command that makes images or mounts.
pub struct Stopper {
    shared: Arc<Shared>,
}

struct Shared {
    phase: Mutex<Phase>,
    ended: Condvar,
}

enum Phase {
    /// Nothing is mounted yet; this file would be left over.
    Starting(Option<PathBuf>),
    /// The mount is there.
    Serving(Mounted),
    /// The mount has ended.
    Ended,
}

#[derive(Clone)]
struct Mounted {
    place: PathBuf,
    volume: Arc<Volume>,
}

impl Stopper {
    /// Takes over the signals.
    pub fn install() -> CliResult<Self> {
        let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])
            .map_err(|error| CliError::new(format!("cannot handle signals: {error}")))?;
        let shared =
            Arc::new(Shared { phase: Mutex::new(Phase::Starting(None)), ended: Condvar::new() });
        let handler = shared.clone();
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                for (count, signal) in (1..).zip(&mut signals) {
                    handler.handle(signal, count);
                }
            })
            .map_err(|error| CliError::new(format!("cannot start a thread: {error}")))?;
        Ok(Self { shared })
    }

    /// A signal before the mount is made removes this file.
    pub fn would_leave(&self, file: Option<PathBuf>) {
        *self.shared.phase.lock() = Phase::Starting(file);
    }

    /// Runs `mount`; from its success on, a signal unmounts `place`. One that comes while it runs
    /// is handled afterwards.
    pub fn while_mounting<T, E>(
        &self,
        place: &Path,
        volume: &Arc<Volume>,
        mount: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let mut phase = self.shared.phase.lock();
        let mounted = mount()?;
        *phase = Phase::Serving(Mounted { place: place.to_owned(), volume: volume.clone() });
        Ok(mounted)
    }

    /// From now on a signal has nothing to do.
    pub fn ended(&self) {
        *self.shared.phase.lock() = Phase::Ended;
        self.shared.ended.notify_all();
    }
}

impl Shared {
    fn handle(self: &Arc<Self>, signal: i32, count: u32) {
        info!(signal, count, "asked to stop");
        let mounted = match &*self.phase.lock() {
            Phase::Starting(left_over) => {
                if let Some(file) = left_over {
                    let _ = std::fs::remove_file(file);
                }
                eprintln!("braidfs: interrupted; what had been begun is taken back");
                process::exit(128 + signal);
            }
            Phase::Serving(mounted) => Some(mounted.clone()),
            Phase::Ended => None,
        };
        if count > 2 {
            eprintln!("braidfs: ended by force; the next mount replays what is durable");
            process::exit(128 + signal);
        }
        let Some(mounted) = mounted else { return };
        let shared = self.clone();
        start(move || if count == 1 { shared.end(&mounted) } else { cut_off(&mounted) });
    }

    /// Unmounts; [`Stopper::ended`] follows when the mount has ended. That can take long although
    /// nobody seems to use it: another namespace may have a copy of the mount.
    fn end(&self, mounted: &Mounted) {
        match unmount(&mounted.place, UnmountMode::WhenUnused) {
            Ok(()) | Err(FuseError::NotMounted(_)) => {}
            Err(FuseError::Busy(_)) => detach(mounted),
            Err(error) => warn!("{error}"),
        }
        let mut phase = self.phase.lock();
        let still_serving = |phase: &mut Phase| matches!(phase, Phase::Serving(_));
        if self.ended.wait_while_for(&mut phase, still_serving, GRACE).timed_out() {
            drop(phase);
            cut_off(mounted);
        }
    }
}

/// Takes a mount that is in use out of the tree, with everything written so far on disk.
fn detach(mounted: &Mounted) {
    let users = describe(&users_of(&mounted.place)).unwrap_or_else(|| "a process".to_owned());
    let (place, seconds) = (mounted.place.display(), GRACE.as_secs());
    say(&format!(
        "braidfs: {place} is in use by {users}; cut off in {seconds} s, or at the next signal"
    ));
    if let Err(errno) = write_back(&mounted.place) {
        warn!(%errno, "the kernel could not hand over everything");
    }
    if let Err(error) = unmount(&mounted.place, UnmountMode::Detach) {
        warn!("{error}");
    }
    if let Err(error) = mounted.volume.syncfs() {
        warn!("{error}");
    }
}

/// Has the kernel hand over what it has not written yet.
fn write_back(place: &Path) -> rustix::io::Result<()> {
    use rustix::fs::{Mode, OFlags};
    let root = rustix::fs::open(place, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::fs::syncfs(root)
}

/// Ends the program, and with it the connection; who still uses the mount gets errors from then on.
fn cut_off(mounted: &Mounted) {
    match mounted.volume.unmount() {
        Ok(()) => {
            say("braidfs: unmounted; everything is on disk");
            process::exit(0);
        }
        Err(error) => {
            eprintln!("{}", CliError::from(error));
            process::exit(1);
        }
    }
}

/// Runs `work` on a thread of its own, so that the next signal is heard.
fn start(work: impl FnOnce() + Send + 'static) {
    if let Err(error) = thread::Builder::new().name("stop".to_owned()).spawn(work) {
        warn!(%error, "cannot start a thread to stop the mount; send the signal again");
    }
}
