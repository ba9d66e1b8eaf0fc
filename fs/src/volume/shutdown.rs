//! Shutting down: a volume that must not be changed any more, at once.

use std::sync::atomic::Ordering;

use super::Volume;
use crate::delta::Scope;
use crate::error::{FsError, FsErrorKind, FsResult};
use crate::types::ShutdownMode;

impl Volume {
    /// Makes durable what `mode` says, and nothing after that: every change and every fsync fails with
    /// `Io` from then on, reading goes on, and unmounting writes nothing. The next mount finds what
    /// was durable, as after a crash. For tests of exactly that, and for devices that are about to go.
    ///
    /// # Errors
    /// Those of making durable; the volume is shut down all the same.
    pub fn shut_down(&self, mode: ShutdownMode) -> FsResult<()> {
        let made_durable = match mode {
            _ if self.options.read_only || self.is_shut_down() => Ok(()),
            ShutdownMode::Everything => self.committer.commit(Scope::Everything),
            ShutdownMode::Names => self.committer.commit(Scope::Namespace),
            ShutdownMode::Nothing => Ok(()),
        };
        self.shut_down.store(true, Ordering::Release);
        self.committer.shut_down();
        made_durable.map_err(|error| error.during("shutdown"))
    }

    /// Whether the volume was shut down.
    pub fn is_shut_down(&self) -> bool {
        self.shut_down.load(Ordering::Acquire)
    }

    /// Why nothing can be changed after a shutdown.
    pub(super) fn check_not_shut_down(&self) -> FsResult<()> {
        if self.is_shut_down() {
            let detail = "the volume was shut down; unmount it, and mount it again";
            return Err(FsError::new(FsErrorKind::Io, detail));
        }
        Ok(())
    }
}
