//! Upstream's xfstests: a checkout that the user has. None of its code is here, and it is not changed.
//!
//! It runs in namespaces of its own, where users, helpers and the stand-in for a device that drops
//! writes exist ([`environment`]); what its `check` prints is understood ([`output`]) and becomes
//! results as those of our own tests ([`runner`]).

pub mod environment;
pub mod output;
pub mod runner;

use std::path::Path;

/// Whether a directory is a checkout of xfstests, built or not.
#[must_use]
pub fn is_checkout(directory: &Path) -> bool {
    ["check", "common/rc", "tests/generic"].iter().all(|name| directory.join(name).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkout_is_known_by_its_files() {
        let directory = tempfile::tempdir().unwrap();
        assert!(!is_checkout(directory.path()));
        std::fs::create_dir_all(directory.path().join("tests/generic")).unwrap();
        std::fs::create_dir(directory.path().join("common")).unwrap();
        std::fs::write(directory.path().join("common/rc"), "").unwrap();
        std::fs::write(directory.path().join("check"), "").unwrap();
        assert!(is_checkout(directory.path()));
    }
}
