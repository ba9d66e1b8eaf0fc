//! The processes that descend from this one, servers included, and how they end.
//!
//! The shim is a *subreaper*: whatever a test starts stays its descendant, also what goes into the
//! background. So a process is ended because it descends from this one, and for no other reason;
//! programs of the same name that others run are never touched.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, waitpid};

const POLL: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(10);

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub id: i32,
    /// The first 15 bytes of its program's name.
    pub name: String,
    /// Whether it has ended and waits for its parent.
    pub is_zombie: bool,
    /// Its parent.
    pub parent: i32,
    /// Whether it leads a session, as a server in the background does.
    pub leads_session: bool,
}

/// A descendant that was left to this process, and has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its id.
    pub id: i32,
    /// Its name.
    pub name: String,
    /// How it ended, if not with success.
    pub failure: Option<String>,
}

/// Lets descendants whose parents end become children of this process.
pub fn adopt_orphans() {
    // Where this is not allowed, orphans go to init, and only their mounts are cleaned up.
    let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
}

/// All descendants of this process.
#[must_use]
pub fn descendants() -> Vec<Process> {
    let all: Vec<Process> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(process)
        .collect();
    let mut ids = vec![rustix::process::getpid().as_raw_nonzero().get()];
    let mut found = Vec::new();
    let mut next = 0;
    while let Some(&parent) = ids.get(next) {
        next += 1;
        for child in all.iter().filter(|one| one.parent == parent) {
            ids.push(child.id);
            found.push(child.clone());
        }
    }
    found
}

/// The process of this id.
fn process(id: i32) -> Option<Process> {
    parse_stat(id, &fs::read_to_string(format!("/proc/{id}/stat")).ok()?)
}

fn parse_stat(id: i32, stat: &str) -> Option<Process> {
    // The name stands in parentheses and may hold anything, those included.
    let (_, rest) = stat.split_once('(')?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let session: i32 = fields.nth(1)?.parse().ok()?;
    let leads_session = session == id;
    Some(Process { id, name: name.to_owned(), is_zombie: state == "Z", parent, leads_session })
}

/// Sends a signal to a process, if it is there.
pub fn send(id: i32, signal: Signal) {
    if let Some(id) = Pid::from_raw(id) {
        let _ = kill_process(id, signal);
    }
}

/// Whether a process, a descendant or not, leads a session.
#[must_use]
pub fn is_session_leader(id: i32) -> bool {
    process(id).is_some_and(|one| one.leads_session)
}

/// Waits until a process has ended, for up to 10 seconds; its parent may not have noticed yet.
pub fn wait_until_gone(id: i32) {
    let started = Instant::now();
    while process(id).is_some_and(|one| !one.is_zombie) && started.elapsed() < PATIENCE {
        thread::sleep(POLL);
    }
}

/// Kills all descendants but those to `spare`, and waits until they are gone, up to `patience`.
/// Returns what would not go.
pub fn kill_descendants(spare: impl Fn(&Process) -> bool, patience: Duration) -> Vec<Process> {
    let started = Instant::now();
    loop {
        let left: Vec<Process> =
            descendants().into_iter().filter(|one| !one.is_zombie && !spare(one)).collect();
        if left.is_empty() || started.elapsed() > patience {
            return left;
        }
        left.iter().for_each(|one| send(one.id, Signal::KILL));
        thread::sleep(POLL);
    }
}

/// Collects the orphans that have ended. To be called when no child of one's own is waited for.
#[must_use]
pub fn reap() -> Vec<Ended> {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let orphans = descendants().into_iter().filter(|one| one.is_zombie && one.parent == own);
    orphans
        .filter_map(|orphan| {
            let (_, status) = waitpid(Pid::from_raw(orphan.id), WaitOptions::NOHANG).ok()??;
            Some(Ended { id: orphan.id, name: orphan.name, failure: failure(status) })
        })
        .collect()
}

fn failure(status: WaitStatus) -> Option<String> {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(0), _) => None,
        (Some(code), _) => Some(format!("exit status {code}")),
        (None, Some(signal)) => Some(format!("signal {signal}")),
        (None, None) => Some("an unknown status".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn odd_names_are_parsed() {
        let parsed = parse_stat(7, "7 (a) (b)) S 3 7 7 0 -1 ...").unwrap();
        assert_eq!((parsed.name.as_str(), parsed.parent), ("a) (b)", 3));
        assert!(parsed.leads_session && !parsed.is_zombie);
        assert_eq!(parse_stat(7, "nonsense"), None);
    }

    #[test]
    fn children_are_found() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let id = i32::try_from(child.id()).unwrap();
        assert!(descendants().iter().any(|one| one.id == id && one.name == "sleep"));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(descendants().iter().all(|one| one.id != id));
    }
}
