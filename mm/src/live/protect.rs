//! Showing pages by what mprotect(2) allows.
//!
//! Each run of pages that may be used differently than its neighbours costs the kernel a mapping, and
//! there may be 65,530 of those. So after many changes everything is hidden at once, which makes it
//! one mapping again; what is used is shown anew.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::mm::MprotectFlags;

use super::LiveError;
use super::place::Place;
use crate::address_space::Access;

/// Changes, each of which may make two mappings of one more, until everything is hidden.
const MOST_CHANGES: usize = 8192;

/// How often what pages show was changed.
#[derive(Debug, Default)]
pub(super) struct Protect {
    changes: AtomicUsize,
}

impl Protect {
    /// Whether it is time to hide everything; begins counting anew if so.
    pub(super) fn is_due(&self) -> bool {
        let due = self.changes.load(Ordering::Relaxed) >= MOST_CHANGES;
        if due {
            self.changes.store(0, Ordering::Relaxed);
        }
        due
    }

    /// Lets pages be read, or written too.
    pub(super) fn show(
        &self,
        place: &Place,
        pages: Range<usize>,
        access: Access,
    ) -> Result<(), LiveError> {
        self.changes.fetch_add(1, Ordering::Relaxed);
        let flags = match access {
            Access::Read => MprotectFlags::READ,
            Access::Write => MprotectFlags::READ | MprotectFlags::WRITE,
        };
        place.protect(pages, flags)
    }

    /// Lets nobody use pages.
    pub(super) fn hide(&self, place: &Place, pages: Range<usize>) -> Result<(), LiveError> {
        self.changes.fetch_add(1, Ordering::Relaxed);
        place.protect(pages, MprotectFlags::empty())
    }
}
