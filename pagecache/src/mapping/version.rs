//! Versions of a mapping, and what an entry of its table says about them.

use braidfs_mm::{EntryMark, EntryRef};

/// Flag of a mark: the page was written since it was cached. Its content may be newer than what a
/// fill that started earlier found, so its eviction outdates such fills.
const WRITTEN: u8 = 1;
/// Flag of a mark: a frozen version reads the page from the live table (see
/// [`placed`](super::placed)).
const LENT: u8 = 2;

/// A version of a mapping: the open one counts up with every freeze.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Version(u64);

impl Version {
    /// The version after this one.
    pub(crate) fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }

    /// The mark of a page dirtied in this version.
    pub(crate) fn mark(self) -> EntryMark {
        EntryMark::new(WRITTEN, self.0)
    }

    /// The mark of a page dirtied in this version, which reads it from the live table.
    pub(crate) fn lent_mark(self) -> EntryMark {
        EntryMark::new(WRITTEN | LENT, self.0)
    }

    /// Whether an entry carries the stamp of this version.
    ///
    /// Stamps are the low bits of versions. That is enough to tell dirty pages apart: far fewer
    /// versions are in flight at once than there are stamps. On a clean page the stamp means
    /// nothing.
    pub(crate) fn stamped(self, mark: EntryMark) -> bool {
        self.mark().stamp() == mark.stamp()
    }
}

/// The mark of a clean page without memory whose version no longer matters, so that equal
/// neighbours can collapse.
pub(crate) fn settled_mark() -> EntryMark {
    EntryMark::new(WRITTEN, 0)
}

/// Whether the page was written since it was cached.
pub(crate) fn was_written(mark: EntryMark) -> bool {
    mark.flags() & WRITTEN != 0
}

/// Whether a frozen version reads the page from the live table.
pub(crate) fn is_lent(mark: EntryMark) -> bool {
    mark.flags() & LENT != 0
}

/// What writeback has to do with a cached page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing: the backing has the same content.
    Clean,
    /// It is dirty in the open version.
    Open,
    /// It belongs to a frozen version that is not durable yet.
    InFlight,
}

impl Standing {
    /// The standing of an entry while `open` is the open version.
    pub(crate) fn of(entry: &EntryRef<'_>, open: Version) -> Self {
        if entry.tags.is_empty() {
            Self::Clean
        } else if cfg!(braidfs_without_fork_check) || open.stamped(entry.mark) {
            Self::Open
        } else {
            Self::InFlight
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_versions_have_different_stamps_across_the_wrap() {
        let before = Version(u64::from(EntryMark::MAX_STAMP));
        assert!(before.stamped(before.mark()));
        assert!(!before.next().stamped(before.mark()));
        assert!(Version(u64::MAX).next() == Version(0));
    }

    #[test]
    fn marks_say_whether_a_page_was_written() {
        assert!(was_written(Version(7).mark()));
        assert!(was_written(settled_mark()));
        assert!(!was_written(EntryMark::default()));
        let lent = Version(7).lent_mark();
        assert!(was_written(lent) && is_lent(lent) && Version(7).stamped(lent));
        assert!(!is_lent(Version(7).mark()));
    }
}
