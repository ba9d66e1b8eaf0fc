//! Showing pages by what mprotect(2) allows.
//!
//! Each run of pages that may be used differently than its neighbours costs the kernel a mapping, and
//! there may be 65,530 of those in a process. So the runs are counted, and when there are too many
//! everything is hidden at once, which makes it one mapping again; what is used is shown anew.

use std::ops::Range;

use parking_lot::Mutex;
use rustix::mm::MprotectFlags;

use super::LiveError;
use super::place::Place;
use crate::address_space::Access;

/// Runs of pages until everything is hidden: half of what a process may have.
const MOST_RUNS: usize = 32_768;

/// What may be done to each page.
#[derive(Debug)]
pub(super) struct Protect {
    state: Mutex<State>,
}

/// What may be done to a page, as far as its mapping goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Allowed {
    Nothing,
    Reads,
    All,
}

#[derive(Debug)]
struct State {
    allowed: Vec<Allowed>,
    /// Neighbours that differ.
    boundaries: usize,
}

impl Protect {
    /// Nothing may be done to any of so many pages.
    pub(super) fn new(pages: usize) -> Self {
        let allowed = vec![Allowed::Nothing; pages];
        Self { state: Mutex::new(State { allowed, boundaries: 0 }) }
    }

    /// Whether it is time to hide everything.
    pub(super) fn is_due(&self) -> bool {
        self.state.lock().boundaries >= MOST_RUNS
    }

    /// Lets pages be read, or written too.
    pub(super) fn show(
        &self,
        place: &Place,
        pages: Range<usize>,
        access: Access,
    ) -> Result<(), LiveError> {
        let (allowed, flags) = match access {
            Access::Read => (Allowed::Reads, MprotectFlags::READ),
            Access::Write => (Allowed::All, MprotectFlags::READ | MprotectFlags::WRITE),
        };
        self.state.lock().set(pages.clone(), allowed);
        place.protect(pages, flags)
    }

    /// Lets nobody use pages.
    pub(super) fn hide(&self, place: &Place, pages: Range<usize>) -> Result<(), LiveError> {
        self.state.lock().set(pages.clone(), Allowed::Nothing);
        place.protect(pages, MprotectFlags::empty())
    }
}

impl State {
    /// Notes what may be done to pages from now on.
    fn set(&mut self, pages: Range<usize>, allowed: Allowed) {
        // The pages on both sides stay, but may come to differ from what is between them.
        let around = pages.start.saturating_sub(1)..self.allowed.len().min(pages.end + 1);
        self.boundaries -= self.count(around.clone());
        self.allowed[pages].fill(allowed);
        self.boundaries += self.count(around);
    }

    fn count(&self, pages: Range<usize>) -> usize {
        self.allowed[pages].windows(2).filter(|pair| pair[0] != pair[1]).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_counted_as_they_come_and_go() {
        let mut state = State { allowed: vec![Allowed::Nothing; 10], boundaries: 0 };
        for (pages, allowed, boundaries) in [
            (0..1, Allowed::Reads, 1),
            (9..10, Allowed::All, 2),
            (4..6, Allowed::Reads, 4),
            (1..4, Allowed::Reads, 2),
            (5..6, Allowed::All, 3),
            (0..10, Allowed::Nothing, 0),
        ] {
            state.set(pages.clone(), allowed);
            assert_eq!(state.boundaries, boundaries, "{pages:?}");
        }
    }
}
