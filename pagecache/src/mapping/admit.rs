//! Whether an edit can go through without waiting, asked before it begins.
//!
//! A filesystem changes pages while it holds what a commit needs: a place in the open delta, the lock of
//! a file. A writer that waited for writeback there would hold up the commit, and with it everybody
//! else. So it asks first ([`Mapping::admit`]); if there is something to wait for, it lets go of
//! everything, waits ([`PageCache::wait_out`]), and begins anew. One that was admitted does not
//! wait for writeback any more, so nothing is ever half-written when it lets go.
//!
//! Invariant: between the answer and the edit the caller keeps others from freezing this mapping and from
//! writing to these pages. Other files may use up memory, or the limit of frozen copies, meanwhile:
//! the edit then waits for a frame (seldom, and not for long), or exceeds the limit by what it
//! forks.

use std::ops::Range;
use std::time::Instant;

use braidfs_mm::ContentRef;

use super::Mapping;
use super::state::State;
use super::version::{Standing, is_lent};
use crate::cache::PageCache;
use crate::config::WritebackPolicy;
use crate::error::CacheError;
use crate::page::{page_of, pages_spanned};
use crate::wait_queue::Ticket;

/// The way to edits that do not wait for writeback; see [`Mapping::admit`].
#[derive(Debug, Clone, Copy)]
#[must_use = "what was admitted goes through this"]
pub struct Admission<'a> {
    pub(super) mapping: &'a Mapping,
    pub(super) waits: bool,
}

/// What an edit would have to wait for; see [`PageCache::wait_out`].
#[derive(Debug)]
#[must_use = "who is not admitted has to wait"]
pub struct Stall {
    ticket: Ticket,
    cause: Cause,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// Pages in flight that must not be changed, or too many of them to be forked.
    Writeback,
    /// There are too few free frames.
    Frames,
}

/// How long one edit has been waiting, over all its stalls.
#[derive(Debug, Default)]
pub struct Patience {
    pub(super) frames_until: Option<Instant>,
    pub(super) failed_fills: u32,
}

/// What an edit of some pages takes.
#[derive(Debug, Default)]
struct Needs {
    /// Pages that a frozen version sees and that would have to be forked.
    forks: u64,
    /// Frames, these forks included.
    frames: u64,
}

impl Mapping {
    /// Whether the pages of a range of bytes can be written without waiting for writeback or for memory.
    ///
    /// Costs next to nothing while there is plenty of both.
    ///
    /// # Errors
    /// What to wait for, after letting go of everything that writeback needs.
    pub fn admit(&self, bytes: Range<u64>) -> Result<Admission<'_>, Stall> {
        let pages = page_of(bytes.start)..pages_spanned(bytes.end);
        let count = pages.end.saturating_sub(pages.start);
        let admission = Admission { mapping: self, waits: false };
        if self.has_plenty(count) {
            return Ok(admission);
        }
        let cache = self.cache();
        let ticket = cache.pressure().progress().ticket();
        let Needs { forks, frames } = needs(&mut self.state().write(), pages);
        let waits = cache.policy() == WritebackPolicy::Wait;
        if forks > 0 && (waits || forks > cache.pressure().frozen_allowance()) {
            return Err(Stall { ticket, cause: Cause::Writeback });
        }
        if frames > cache.free_frames() && !cache.find_frames(frames) {
            return Err(Stall { ticket, cause: Cause::Frames });
        }
        Ok(admission)
    }

    /// Whether no look at the pages is needed: as many could be forked, and had frames.
    fn has_plenty(&self, pages: u64) -> bool {
        let cache = self.cache();
        cache.policy() != WritebackPolicy::Wait
            && pages <= cache.pressure().frozen_allowance()
            && pages <= cache.free_frames()
    }
}

impl PageCache {
    /// Waits until an edit that was not admitted may ask again. To be called with no lock held.
    ///
    /// # Errors
    /// [`CacheError::OutOfMemory`] after the deadline for memory, [`CacheError::ShutDown`].
    pub fn wait_out(&self, stall: Stall, patience: &mut Patience) -> Result<(), CacheError> {
        match stall.cause {
            Cause::Writeback => self.wait_for_writeback(stall.ticket),
            Cause::Frames => self.wait_for_frame(stall.ticket, &mut patience.frames_until),
        }
    }
}

fn needs(state: &mut State, pages: Range<u64>) -> Needs {
    let mut needs = Needs::default();
    for page in pages {
        let Some(entry) = state.table.get(page) else {
            needs.frames += 1;
            continue;
        };
        let in_flight = state.standing(&entry) == Standing::InFlight;
        let shared = match entry.content {
            ContentRef::HoleZero | ContentRef::DedupZero => {
                needs.frames += 1;
                continue;
            }
            ContentRef::Placed(_) => is_lent(entry.mark),
            ContentRef::Frame(_) => state.table.page_mut(page).is_none(),
        };
        needs.frames += u64::from(shared);
        needs.forks += u64::from(shared && in_flight);
    }
    needs
}
