//! What can go wrong with live mappings.

use std::io;

use thiserror::Error;

/// Why a live mapping could not be made, or could not show a page.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LiveError {
    /// The kernel has no userfaultfd that can do what is needed, or does not let us have it.
    #[error("userfaultfd cannot be used here: {reason}; use another mechanism")]
    NoUserfault {
        /// What is missing.
        reason: String,
    },
    /// The range is empty, or larger than memory can be.
    #[error("a mapping of {pages} pages is not possible; ask for at least one and fewer than 2^40")]
    BadSize {
        /// Pages that were asked for.
        pages: u64,
    },
    /// The kernel refused something.
    #[error("{operation} failed for mapped memory; map less, or raise the limits: {source}")]
    System {
        /// System call that failed.
        operation: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

impl LiveError {
    /// Makes an error of what a system call said.
    pub(super) fn of(operation: &'static str) -> impl Fn(rustix::io::Errno) -> Self {
        move |error| Self::System { operation, source: error.into() }
    }
}
