//! Who waits for the next delta, and for what.

use std::sync::Arc;

use crate::inode::Inode;

/// What a commit must make durable.
pub(crate) enum Scope {
    /// All namespace changes, and the data of this file.
    File(Arc<Inode>),
    /// All namespace changes, and nothing but them.
    Namespace,
    /// Everything.
    Everything,
}

/// The requests that one delta will serve.
#[derive(Default)]
pub(super) struct Batch {
    /// Files whose data the delta takes.
    pub files: Vec<Arc<Inode>>,
    /// Whether it takes every file's data.
    pub everything: bool,
    /// The last ticket that this batch serves.
    pub last_ticket: u64,
}

impl Batch {
    /// Adds requests and returns the ticket they share.
    pub fn add_all(&mut self, scopes: impl IntoIterator<Item = Scope>) -> u64 {
        for scope in scopes {
            match scope {
                Scope::File(inode) => self.files.push(inode),
                Scope::Namespace => {}
                Scope::Everything => self.everything = true,
            }
        }
        self.last_ticket += 1;
        self.last_ticket
    }

    /// Takes what has gathered and leaves an empty batch whose tickets go on.
    pub fn take(&mut self) -> Batch {
        let next = Batch { last_ticket: self.last_ticket, ..Batch::default() };
        std::mem::replace(self, next)
    }
}
