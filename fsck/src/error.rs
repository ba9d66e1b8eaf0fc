//! Why a volume could not be checked at all.

use braidfs_block::BlockError;
use thiserror::Error;

/// The check could not be made or not be finished; this says nothing about the volume's health.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CheckError {
    /// There is no braidfs volume on the device.
    #[error("there is no braidfs volume on it; check the path, or make a volume with mkfs.braidfs")]
    NotAVolume,
    /// The volume has a format or features that this code does not know.
    #[error("the volume is newer than this checker ({0}); use the fsck.braidfs that came with it")]
    Unsupported(String),
    /// The device failed where it had not failed before, or gives other bytes each time.
    #[error("{0}")]
    Device(#[from] BlockError),
    /// A node that was good a moment ago is not any more.
    #[error(
        "block {0} changed while it was being checked; make sure that nothing writes to the device"
    )]
    Changed(u64),
    /// There is not enough memory.
    #[error("there is no memory for {0} bytes; check it on a machine with more")]
    OutOfMemory(u64),
}

/// Why a pass ended early.
#[derive(Debug)]
pub(crate) enum Halt {
    /// The observer asked for it.
    Cancelled,
    /// It cannot go on.
    Failed(CheckError),
}

impl<E: Into<CheckError>> From<E> for Halt {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}
