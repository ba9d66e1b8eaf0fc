//! What happened to pages while somebody asked their source without a lock.

use std::ops::Range;

/// Changes that are remembered one by one.
const REMEMBERED: usize = 16;

/// The moment at which somebody let the lock go to ask a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment(u64);

/// The last changes that outdate what a source says: the pages of each. Who asked before the oldest
/// of them is told that his page changed, to be on the safe side.
#[derive(Debug, Default)]
pub(super) struct Changes {
    count: u64,
    recent: [Range<u64>; REMEMBERED],
}

impl Changes {
    /// Now.
    pub(super) fn now(&self) -> Moment {
        Moment(self.count)
    }

    /// Notes that something happened to these pages.
    pub(super) fn note(&mut self, pages: Range<u64>) {
        self.recent[Self::place(self.count)] = pages;
        self.count += 1;
    }

    /// Whether something happened to the page since.
    pub(super) fn touched(&self, page: u64, since: Moment) -> bool {
        if self.count - since.0 > REMEMBERED as u64 {
            return true;
        }
        (since.0..self.count).any(|change| self.recent[Self::place(change)].contains(&page))
    }

    fn place(change: u64) -> usize {
        // Below the length, so the cast loses nothing.
        (change % REMEMBERED as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_of_other_pages_do_not_count_until_there_were_too_many() {
        let mut changes = Changes::default();
        let since = changes.now();
        assert!(!changes.touched(5, since));
        for _ in 0..REMEMBERED {
            changes.note(10..20);
        }
        assert!(changes.touched(10, since) && !changes.touched(5, since));
        changes.note(10..20);
        assert!(changes.touched(5, since), "too long ago to know");
        assert!(!changes.touched(10, changes.now()));
    }
}
