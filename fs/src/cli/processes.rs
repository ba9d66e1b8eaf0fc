//! Who uses a mount: found among the open files of all processes.
//!
//! Only links in /proc are read, never the files they lead to, so that a mount that answers no
//! more cannot make this hang.

use std::fs;
use std::path::{Path, PathBuf};

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its number.
    pub pid: u32,
    /// Its command.
    pub command: String,
}

/// The processes that have something below `mount_point` open, as far as this user may know.
pub fn users_of(mount_point: &Path) -> Vec<User> {
    let own = std::process::id();
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|&pid| pid != own && uses(pid, mount_point))
        .map(|pid| User { pid, command: command_of(pid) })
        .collect()
}

/// Names processes in words: `bash (pid 12), vi (pid 34) and 2 more`.
pub fn describe(users: &[User]) -> Option<String> {
    const NAMED: usize = 3;
    let (named, rest) = users.split_at(users.len().min(NAMED));
    let list: Vec<String> =
        named.iter().map(|user| format!("{} (pid {})", user.command, user.pid)).collect();
    match (list.is_empty(), rest.len()) {
        (true, _) => None,
        (false, 0) => Some(list.join(", ")),
        (false, more) => Some(format!("{} and {more} more", list.join(", "))),
    }
}

fn command_of(pid: u32) -> String {
    let command = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let command = command.trim_end();
    if command.is_empty() { "a process".to_owned() } else { command.to_owned() }
}

fn uses(pid: u32, mount_point: &Path) -> bool {
    let process = PathBuf::from(format!("/proc/{pid}"));
    let is_below = |link: &Path| fs::read_link(link).is_ok_and(|to| to.starts_with(mount_point));
    ["cwd", "root", "exe"].iter().any(|name| is_below(&process.join(name)))
        || links_in(&process.join("fd")).any(|link| is_below(&link))
        || maps_below(&process.join("maps"), mount_point)
}

fn links_in(directory: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// Whether a file below `mount_point` is mapped.
fn maps_below(maps: &Path, mount_point: &Path) -> bool {
    let Ok(table) = fs::read_to_string(maps) else { return false };
    table
        .lines()
        .filter_map(|line| line.find('/').map(|start| Path::new(&line[start..])))
        .any(|mapped| mapped.starts_with(mount_point))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_in_a_directory_is_found() {
        let place = std::env::temp_dir().canonicalize().unwrap();
        let mut child = Command::new("sleep")
            .arg("30")
            .current_dir(&place)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let found = users_of(&place);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found.contains(&User { pid: child.id(), command: "sleep".to_owned() }));
    }

    #[test]
    fn users_in_words() {
        let user = |pid| User { pid, command: "sh".to_owned() };
        assert_eq!(describe(&[]), None);
        assert_eq!(describe(&[user(1)]).unwrap(), "sh (pid 1)");
        let many: Vec<User> = (1..=5).map(user).collect();
        assert_eq!(describe(&many).unwrap(), "sh (pid 1), sh (pid 2), sh (pid 3) and 2 more");
    }
}
