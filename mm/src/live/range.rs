//! A live range: what it shows of each page, and what happens at a fault.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::mm::MprotectFlags;

use super::place::Place;
use super::protect::Protect;
use super::threads::Handlers;
use super::userfault::Userfault;
use super::{FaultMechanism, LiveError, directory, signal};
use crate::address_space::Access;
use crate::{Arena, PAGE_SIZE};

/// The most pages of a range.
const MAX_PAGES: u64 = 1 << 40;
/// Protecting pages that are protected already costs less than another system call, up to so many.
const MERGED_GAP: usize = 8;

/// The page cannot be had: whoever wants it gets SIGBUS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unresolvable;

/// Who says what a range shows.
pub trait FaultHandler: Send + Sync {
    /// A program wants a page of the range and is not shown it, or not so that it may write. Shows
    /// it, by [`LiveRange::show`], and perhaps others with it.
    ///
    /// Called for several faults at once, also for the same page. May wait, but not for the program:
    /// the thread that faulted, and others, sleep until this returns.
    ///
    /// # Errors
    /// The page cannot be had. The range [shows SIGBUS](LiveRange::mend) there from then on.
    fn resolve(&self, range: &LiveRange, page: u64, access: Access) -> Result<(), Unresolvable>;
}

/// A part of a range: places of one arena.
#[derive(Debug, Clone)]
pub struct Section {
    /// Where the frames are.
    pub arena: Arc<Arena>,
    /// The place of the section's first page.
    pub first: usize,
    /// Pages of the section.
    pub pages: usize,
}

/// What is not there.
#[derive(Debug)]
struct Gone {
    /// Pages from here on are beyond the end.
    end: usize,
    /// Pages before it that cannot be had.
    broken: BTreeSet<usize>,
}

enum Guard {
    Userfault(Userfault),
    Protect(Protect),
}

/// See the module. Shared by the [memory](super::MappedMemory) that owns it, the cache that decides
/// what it shows, and those who handle its faults.
pub struct LiveRange {
    place: Place,
    sections: Vec<Section>,
    writable: bool,
    mechanism: FaultMechanism,
    guard: Guard,
    handler: Arc<dyn FaultHandler>,
    gone: Mutex<Gone>,
    handlers: Mutex<Option<Handlers>>,
}

impl LiveRange {
    /// A range over these sections, one after the other, which shows nothing. Its first `end` pages
    /// are there.
    pub(super) fn new(
        sections: Vec<Section>,
        writable: bool,
        mechanism: FaultMechanism,
        handler: Arc<dyn FaultHandler>,
        end: u64,
    ) -> Result<Arc<Self>, LiveError> {
        let pages: u64 = sections.iter().map(|section| section.pages as u64).sum();
        let count = usize::try_from(pages).ok().filter(|_| (1..MAX_PAGES).contains(&pages));
        let count = count.ok_or(LiveError::BadSize { pages })?;
        let mechanism = mechanism.choose();
        let guard = match mechanism {
            FaultMechanism::Protect | FaultMechanism::Automatic => {
                Guard::Protect(Protect::new(count))
            }
            FaultMechanism::Userfault => Guard::Userfault(Userfault::open(false)?),
            FaultMechanism::UserfaultSignal => Guard::Userfault(Userfault::open(true)?),
        };
        let range = Arc::new(Self {
            place: Place::new(count)?,
            sections,
            writable,
            mechanism,
            guard,
            handler,
            gone: Mutex::new(Gone { end: 0, broken: BTreeSet::new() }),
            handlers: Mutex::new(None),
        });
        if mechanism == FaultMechanism::Userfault {
            *range.handlers.lock() = Some(Handlers::start(&range)?);
        } else {
            signal::install()?;
        }
        directory::add(range.addresses(), &range)?;
        range.set_end(end).inspect_err(|_| range.close())?;
        Ok(range)
    }

    /// Pages of the range, there or not.
    pub fn pages(&self) -> u64 {
        self.place.pages() as u64
    }

    /// How faults are noticed.
    pub fn mechanism(&self) -> FaultMechanism {
        self.mechanism
    }

    /// Whether the program may write.
    pub fn is_writable(&self) -> bool {
        self.writable
    }

    /// Shows pages that are placed, to be read or to be written. A page that may be written is shown
    /// as such until it is [protected](Self::protect) or [hidden](Self::hide).
    pub fn show(&self, pages: Range<u64>, access: Access) -> Result<(), LiveError> {
        let gone = self.gone.lock();
        for part in self.there(&gone, pages) {
            match &self.guard {
                Guard::Userfault(userfault) => {
                    // Each call is for one section, since that is one mapping.
                    for piece in self.pieces(&part) {
                        userfault.show(self.place.addresses(&piece), access);
                    }
                    if access == Access::Write {
                        userfault.unprotect(self.place.addresses(&part))?;
                    }
                }
                Guard::Protect(protect) => {
                    if protect.is_due() {
                        self.hide_all(&gone, protect)?;
                    }
                    protect.show(&self.place, part, access)?;
                }
            }
        }
        Ok(())
    }

    /// Makes the next write to each of these pages a fault; when this returns, none is changed any
    /// more by a write that began before. The runs are in order.
    pub fn protect(&self, runs: impl Iterator<Item = Range<u64>>) -> Result<(), LiveError> {
        let gone = self.gone.lock();
        let parts = runs.flat_map(|run| self.there(&gone, run)).collect::<Vec<_>>();
        match &self.guard {
            Guard::Userfault(userfault) => merged(parts)
                .flat_map(|run| self.there(&gone, run.start as u64..run.end as u64))
                .try_for_each(|run| userfault.protect(self.place.addresses(&run))),
            Guard::Protect(protect) => {
                parts.into_iter().try_for_each(|run| protect.show(&self.place, run, Access::Read))
            }
        }
    }

    /// Shows these pages no more.
    pub fn hide(&self, pages: Range<u64>) -> Result<(), LiveError> {
        let gone = self.gone.lock();
        self.there(&gone, pages).into_iter().try_for_each(|part| match &self.guard {
            Guard::Userfault(_) => self.place.zap(part),
            Guard::Protect(protect) => protect.hide(&self.place, part),
        })
    }

    /// Says how many pages are there; the others raise SIGBUS.
    pub fn set_end(&self, end: u64) -> Result<(), LiveError> {
        let mut gone = self.gone.lock();
        let end = usize::try_from(end).unwrap_or(usize::MAX).min(self.place.pages());
        let before = gone.end;
        if end < before {
            gone.broken.split_off(&end);
            gone.end = end;
            self.take_away(end..before)?;
        } else if end > before {
            self.bring(before..end)?;
            gone.end = end;
        }
        Ok(())
    }

    /// Gives the pages that could not be had another chance.
    pub fn mend(&self) -> Result<(), LiveError> {
        let mut gone = self.gone.lock();
        while let Some(page) = gone.broken.first().copied() {
            self.bring(page..page + 1)?;
            gone.broken.remove(&page);
        }
        Ok(())
    }

    /// Handles a fault at an address of the range. False if the page is not there, or may not be
    /// used so; else the access is to be tried again.
    pub(super) fn handle(&self, address: usize, access: Access) -> bool {
        let page = address.wrapping_sub(self.place.start().addr()) / PAGE_SIZE;
        let is_gone = {
            let gone = self.gone.lock();
            page >= gone.end || gone.broken.contains(&page)
        };
        if is_gone || (access == Access::Write && !self.writable) {
            return false;
        }
        let resolved = self.handler.resolve(self, page as u64, access);
        resolved.is_ok() || self.break_page(page).is_ok()
    }

    /// Wakes who sleeps in a fault there.
    pub(super) fn wake(&self, address: usize) {
        if let Guard::Userfault(userfault) = &self.guard {
            let start = address - address % PAGE_SIZE;
            userfault.wake(start..start + PAGE_SIZE);
        }
    }

    /// What a fault was for, where the processor does not tell: a page that is shown was not to be
    /// read.
    pub(super) fn guess(&self, address: usize) -> Access {
        let mut at = address.wrapping_sub(self.place.start().addr()) / PAGE_SIZE;
        for section in &self.sections {
            if at < section.pages {
                let metadata = section.arena.metadata(section.first + at);
                let shown = metadata.is_some_and(|metadata| metadata.is_referenced());
                return if shown { Access::Write } else { Access::Read };
            }
            at -= section.pages;
        }
        Access::Read
    }

    pub(super) fn userfault(&self) -> Option<&Userfault> {
        match &self.guard {
            Guard::Userfault(userfault) => Some(userfault),
            Guard::Protect(_) => None,
        }
    }

    pub(super) fn start(&self) -> *mut u8 {
        self.place.start()
    }

    /// Ends the range: nothing is there any more, and no fault is handled. The addresses stay taken
    /// as long as anybody has the range.
    pub(super) fn close(&self) {
        directory::remove(self.addresses());
        let closed = self.set_end(0);
        debug_assert!(closed.is_ok(), "closing: {closed:?}");
        if let Some(handlers) = self.handlers.lock().take() {
            handlers.stop();
        }
    }

    fn addresses(&self) -> Range<usize> {
        self.place.addresses(&(0..self.place.pages()))
    }

    /// Puts SIGBUS in place of a page.
    fn break_page(&self, page: usize) -> Result<(), LiveError> {
        let mut gone = self.gone.lock();
        if page < gone.end && gone.broken.insert(page) {
            self.take_away(page..page + 1)?;
        }
        Ok(())
    }

    fn take_away(&self, pages: Range<usize>) -> Result<(), LiveError> {
        self.place.put_nothing(pages.clone())?;
        if let Guard::Userfault(userfault) = &self.guard {
            userfault.wake(self.place.addresses(&pages));
        }
        Ok(())
    }

    /// Puts the places of arenas there, shown to nobody.
    fn bring(&self, pages: Range<usize>) -> Result<(), LiveError> {
        let mut start = 0;
        for section in &self.sections {
            let part = pages.start.max(start)..pages.end.min(start + section.pages);
            if !part.is_empty() {
                let first = section.first + part.start - start;
                self.place.put(part.clone(), section.arena.memfd(), first)?;
                if let Guard::Userfault(userfault) = &self.guard {
                    userfault.register(self.place.addresses(&part))?;
                    self.place.protect(part, self.all_access())?;
                }
            }
            start += section.pages;
        }
        Ok(())
    }

    fn all_access(&self) -> MprotectFlags {
        let write = if self.writable { MprotectFlags::WRITE } else { MprotectFlags::empty() };
        MprotectFlags::READ | write
    }

    fn hide_all(&self, gone: &Gone, protect: &Protect) -> Result<(), LiveError> {
        let all = self.there(gone, 0..gone.end as u64);
        all.into_iter().try_for_each(|part| protect.hide(&self.place, part))
    }

    /// The parts of some pages that are there.
    fn there(&self, gone: &Gone, pages: Range<u64>) -> Vec<Range<usize>> {
        let clip = |page: u64| usize::try_from(page).unwrap_or(usize::MAX).min(gone.end);
        let (mut start, end) = (clip(pages.start), clip(pages.end));
        let mut parts = Vec::new();
        for broken in gone.broken.range(start..end.max(start)) {
            parts.push(start..*broken);
            start = broken + 1;
        }
        parts.push(start..end);
        parts.retain(|part| !part.is_empty());
        parts
    }

    /// The pieces of some pages that lie in one section each.
    fn pieces(&self, pages: &Range<usize>) -> Vec<Range<usize>> {
        let mut start = 0;
        let cut = |section: &Section| {
            let piece = pages.start.max(start)..pages.end.min(start + section.pages);
            start += section.pages;
            piece
        };
        self.sections.iter().map(cut).filter(|piece| !piece.is_empty()).collect()
    }
}

impl std::fmt::Debug for LiveRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LiveRange")
            .field("pages", &self.pages())
            .field("mechanism", &self.mechanism)
            .field("gone", &self.gone)
            .finish_non_exhaustive()
    }
}

/// Runs with small gaps between them as one.
fn merged(runs: Vec<Range<usize>>) -> impl Iterator<Item = Range<usize>> {
    let mut runs = runs.into_iter().peekable();
    std::iter::from_fn(move || {
        let mut run = runs.next()?;
        while let Some(next) = runs.next_if(|next| next.start <= run.end + MERGED_GAP) {
            run.end = next.end;
        }
        Some(run)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_gaps_are_protected_along() {
        let runs = vec![0..1, 5..6, 14..15, 24..30];
        assert_eq!(merged(runs).collect::<Vec<_>>(), [0..15, 24..30]);
        assert_eq!(merged(Vec::new()).count(), 0);
    }
}
