//! What a test says about itself, in comments before its first command:
//!
//! ```text
//! #!/usr/bin/env bash
//! # What holds, in one sentence
//! #
//! # Why, and what goes wrong where it does not.
//! #
//! # groups: auto quick rw
//! # needs: root program:setfacl feature:acl
//! # limit: 300
//! ```
//!
//! `needs` and `limit` (seconds) may be left out.

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// What holds.
    pub title: String,
    /// Its groups.
    pub groups: Vec<String>,
    /// What must be there for it to be run.
    pub needs: Vec<String>,
    /// Seconds after which it hangs.
    pub limit: u64,
}

/// Seconds that a test may take if it does not say.
const DEFAULT_LIMIT: u64 = 60;
/// The groups there are. A new one is added here, so that a slip of the pen makes none.
pub const GROUPS: [&str; 43] = [
    "acl", "aio", "append", "attr", "auto", "clone", "dir", "direct", "enospc", "errors", "fsck",
    "io", "kill", "limits", "link", "locks", "log", "metadata", "mmap", "mount", "names", "open",
    "peer", "perms", "prealloc", "punch", "quick", "readdir", "rename", "rw", "seek", "shutdown",
    "soak", "sparse", "statfs", "stress", "symlink", "sync", "time", "tmpfile", "truncate",
    "unlink", "user",
];

impl Header {
    /// Parses the comments at the beginning of a script.
    ///
    /// # Errors
    /// What is missing or wrong.
    pub fn parse(script: &str) -> Result<Self, String> {
        let mut comments = script.lines().skip(1).take_while(|line| line.starts_with('#'));
        let title = comments.next().unwrap_or("").trim_start_matches('#').trim().to_owned();
        if title.is_empty() {
            return Err("the second line must be a comment that says what holds".to_owned());
        }
        let mut header =
            Self { title, groups: Vec::new(), needs: Vec::new(), limit: DEFAULT_LIMIT };
        let words = |list: &str| list.split_whitespace().map(str::to_owned).collect();
        for comment in comments {
            let comment = comment.trim_start_matches('#').trim();
            if let Some(list) = comment.strip_prefix("groups:") {
                header.groups = words(list);
            } else if let Some(list) = comment.strip_prefix("needs:") {
                header.needs = words(list);
            } else if let Some(limit) = comment.strip_prefix("limit:") {
                let limit = limit.trim().parse();
                header.limit = limit.map_err(|_| "the limit must be a number of seconds")?;
            }
        }
        if header.groups.is_empty() {
            return Err("there is no `# groups:` line".to_owned());
        }
        match header.groups.iter().find(|group| !GROUPS.contains(&group.as_str())) {
            Some(group) => Err(format!("the group {group} is not known; see own/header.rs")),
            None => Ok(header),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_parsed() {
        let script = "#!/usr/bin/env bash\n# It holds\n#\n# groups: auto rw\n# needs: root\n\
                      # limit: 5\necho\n# groups: not a header any more\n";
        let header = Header::parse(script).unwrap();
        assert_eq!(header.title, "It holds");
        assert_eq!(header.groups, ["auto", "rw"]);
        assert_eq!((header.needs, header.limit), (vec!["root".to_owned()], 5));
    }

    #[test]
    fn mistakes_are_told() {
        let why = |script| Header::parse(script).unwrap_err();
        assert!(why("#!x\n").contains("second line"));
        assert!(why("#!x\n# a\n").contains("groups"));
        assert!(why("#!x\n# a\n# groups: rwx\n").contains("rwx"));
        assert!(why("#!x\n# a\n# groups: rw\n# limit: long\n").contains("seconds"));
    }
}
