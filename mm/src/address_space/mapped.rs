//! What an address space knows of a region, and why an access to a page of it may be refused.

use thiserror::Error;

use super::source::Backing;
use crate::region::RegionValue;
use crate::{PoolError, RegionError, TableError};

/// What a program does to a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// It reads.
    Read,
    /// It writes.
    Write,
}

/// What may be done to the pages of a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Protection {
    /// Nothing.
    None,
    /// Reading.
    Read,
    /// Reading and writing.
    ReadWrite,
}

impl Protection {
    /// Whether it allows the access.
    pub fn allows(self, access: Access) -> bool {
        match self {
            Self::None => false,
            Self::Read => access == Access::Read,
            Self::ReadWrite => true,
        }
    }
}

/// A mapped region.
#[derive(Debug)]
pub struct Mapped<S: ?Sized> {
    /// What backs it.
    pub backing: Backing<S>,
    /// What may be done to its pages.
    pub protection: Protection,
}

impl<S: ?Sized> Clone for Mapped<S> {
    fn clone(&self) -> Self {
        Self { backing: self.backing.clone(), protection: self.protection }
    }
}

impl<S: ?Sized> RegionValue for Mapped<S> {
    fn part(&self, skip: u64, _length: u64) -> Self {
        Self { backing: self.backing.part(skip), protection: self.protection }
    }

    fn join(&self, length: u64, next: &Self) -> Option<Self> {
        let continues = self.protection == next.protection
            && self.backing.is_continued_by(length, &next.backing);
        continues.then(|| self.clone())
    }
}

/// Why a range could not be mapped, unmapped or changed. The space is as it was.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SpaceError {
    /// The range overlaps a region, or is empty.
    #[error(transparent)]
    Region(#[from] RegionError),
    /// A page of the range is not mapped.
    #[error("page {page} is not mapped; change the protection of mapped pages only")]
    Unmapped {
        /// The first page that is not.
        page: u64,
    },
    /// The page table refused: no memory for it, or an index beyond the last.
    #[error(transparent)]
    Table(#[from] TableError),
}

/// Why an access to a page failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Fault<E> {
    /// There is no region (SIGSEGV, SEGV_MAPERR).
    #[error("page {page} is not mapped; map it first")]
    Unmapped {
        /// The page.
        page: u64,
    },
    /// The protection of the region forbids it (SIGSEGV, SEGV_ACCERR).
    #[error("the protection of page {page} forbids to {} it; protect it otherwise", verb(*.access))]
    Protection {
        /// The page.
        page: u64,
        /// What was tried.
        access: Access,
    },
    /// The source ends before (SIGBUS, BUS_ADRERR).
    #[error("page {page} lies beyond the end of what is mapped there; extend that first")]
    BeyondEnd {
        /// The page.
        page: u64,
    },
    /// The page is the source's, and can be written through the frame that
    /// [`fault`](super::AddressSpace::fault) gives only.
    #[error("page {page} is shared with its source; write it through the frame a fault gives")]
    NotOwned {
        /// The page.
        page: u64,
    },
    /// There is no frame for it.
    #[error(transparent)]
    Frames(#[from] PoolError),
    /// There is no memory for the page table.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The source failed (SIGBUS, like an I/O error under a mapping).
    #[error("{0}")]
    Source(E),
}

fn verb(access: Access) -> &'static str {
    match access {
        Access::Read => "read",
        Access::Write => "write",
    }
}

/// The signal a process would get for a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// SIGSEGV: the program must not do this.
    Segv,
    /// SIGBUS: the program may, but there is nothing it can be done to.
    Bus,
}

impl<E> Fault<E> {
    /// The signal a process would get.
    pub fn signal(&self) -> Signal {
        match self {
            Self::Unmapped { .. } | Self::Protection { .. } | Self::NotOwned { .. } => Signal::Segv,
            Self::BeyondEnd { .. } | Self::Frames(_) | Self::Table(_) | Self::Source(_) => {
                Signal::Bus
            }
        }
    }
}
