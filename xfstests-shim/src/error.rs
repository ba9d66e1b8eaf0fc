//! What can go wrong in the shim itself; what goes wrong in a test is a result, not an error.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// What a command of the shim fails with.
#[derive(Debug, Error)]
pub enum ShimError {
    /// A file or directory could not be used.
    #[error("cannot {action} {}: {source}", path.display())]
    File {
        /// What was tried, as "write".
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A program could not be started.
    #[error("cannot run {program}: {source}")]
    Run {
        /// Its name.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// A program ended with a failure where it must not.
    #[error("{command} failed with {status}: {output}")]
    Program {
        /// The command line.
        command: String,
        /// How it ended.
        status: String,
        /// What it said.
        output: String,
    },
    /// A file has a content that is not understood.
    #[error("{}: {why}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do about it.
        why: String,
    },
    /// What was asked for cannot be done.
    #[error("{0}")]
    Wrong(String),
    /// Ctrl-C or SIGTERM.
    #[error("interrupted; everything is cleaned up")]
    Interrupted,
}

/// The result of what the shim does.
pub type Result<T, E = ShimError> = std::result::Result<T, E>;

/// Says what was done to which file when it fails.
pub(crate) trait AtPath<T> {
    /// Adds that to the error.
    fn at(self, action: &'static str, path: &Path) -> Result<T>;
}

impl<T, E: Into<io::Error>> AtPath<T> for std::result::Result<T, E> {
    fn at(self, action: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| ShimError::File {
            action,
            path: path.to_owned(),
            source: source.into(),
        })
    }
}
