//! Results to replies: what succeeded is sent, what failed is logged and answered with its errno.

use rustix::io::Errno;
use tracing::{debug, error};

use super::protocol::Reply;
use crate::error::{FsError, FsErrorKind, FsResult};
use crate::types::{Attributes, InodeNumber};

/// What is being answered, for the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    /// The operation's name in the protocol.
    pub operation: &'static str,
    /// The inode it is about; of the directory, if it is about a name.
    pub inode: InodeNumber,
}

impl Call {
    /// A call of `operation` on `inode`.
    pub fn new(operation: &'static str, inode: InodeNumber) -> Self {
        Self { operation, inode }
    }

    /// Sends the value with `send`, or logs the error and refuses.
    pub fn answer<T>(self, reply: Reply, result: FsResult<T>, send: impl FnOnce(Reply, T)) {
        match result {
            Ok(value) => send(reply, value),
            Err(failure) => reply.error(self.errno(&failure)),
        }
    }

    /// Answers with nothing but success.
    pub fn answer_empty(self, reply: Reply, result: FsResult<()>) {
        self.answer(reply, result, |reply, ()| reply.ok());
    }

    /// Answers with attributes.
    pub fn answer_attributes(self, reply: Reply, result: FsResult<Attributes>) {
        self.answer(reply, result, |reply, attributes| {
            reply.attributes(&attributes);
        });
    }

    /// Answers with an entry.
    pub fn answer_entry(self, reply: Reply, result: FsResult<Attributes>) {
        self.answer(reply, result, |reply, attributes| {
            reply.entry(Some(&attributes));
        });
    }

    /// The errno for a failure, which is logged: loudly if the device or the volume is at fault,
    /// otherwise only for who looks for it.
    pub fn errno(self, failure: &FsError) -> Errno {
        let Self { operation, inode } = self;
        match failure.kind() {
            FsErrorKind::Io | FsErrorKind::OutOfMemory => {
                error!(operation, inode, "{failure}");
            }
            _ => debug!(operation, inode, "{failure}"),
        }
        Errno::from_raw_os_error(failure.errno())
    }
}
