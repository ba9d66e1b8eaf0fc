//! Results to replies: what succeeded is sent, what failed is logged and answered with its errno.

use fuser::{
    Errno, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty,
    ReplyEntry, ReplyLseek, ReplyWrite, ReplyXattr,
};
use tracing::{debug, error};

use super::attributes::{FOREVER, file_attr, generation};
use crate::error::{FsError, FsErrorKind, FsResult};
use crate::types::{Attributes, InodeNumber};

/// A reply that can say no.
pub(super) trait Refuse {
    /// Answers with an errno.
    fn refuse(self, errno: Errno);
}

macro_rules! refuse {
    ($($reply:ty),+) => {
        $(impl Refuse for $reply {
            fn refuse(self, errno: Errno) {
                self.error(errno);
            }
        })+
    };
}

refuse!(
    ReplyAttr,
    ReplyCreate,
    ReplyData,
    ReplyDirectory,
    ReplyDirectoryPlus,
    ReplyEmpty,
    ReplyEntry,
    ReplyLseek,
    ReplyWrite,
    ReplyXattr
);

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
    pub fn answer<R: Refuse, T>(self, reply: R, result: FsResult<T>, send: impl FnOnce(R, T)) {
        match result {
            Ok(value) => send(reply, value),
            Err(failure) => reply.refuse(self.errno(&failure)),
        }
    }

    /// Answers with nothing but success.
    pub fn answer_empty(self, reply: ReplyEmpty, result: FsResult<()>) {
        self.answer(reply, result, |reply, ()| reply.ok());
    }

    /// Answers with attributes.
    pub fn answer_attributes(self, reply: ReplyAttr, result: FsResult<Attributes>) {
        self.answer(reply, result, |reply, attributes| {
            reply.attr(&FOREVER, &file_attr(&attributes));
        });
    }

    /// Answers with an entry.
    pub fn answer_entry(self, reply: ReplyEntry, result: FsResult<Attributes>) {
        self.answer(reply, result, |reply, attributes| {
            reply.entry(&FOREVER, &file_attr(&attributes), generation(&attributes));
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
        Errno::from_i32(failure.errno())
    }
}
