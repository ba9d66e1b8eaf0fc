//! Mistakes that can be planted in the cache, so that a test can show that it would find them.
//!
//! Only builds for unit tests have them. Elsewhere [`planted`] is the constant `false`, and what depends on
//! it is not compiled in.

/// A mistake that an implementation of page forking could make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(test), allow(dead_code))]
pub(crate) enum Mistake {
    /// A completed version cleans whatever page is tagged, also one that was written since.
    SettleIgnoresVersions,
    /// The page that takes the place of one in flight is not tagged.
    SwapLosesTags,
    /// Pages are taken from the live table instead of the frozen one.
    GatherLooksAtLiveTable,
    /// A page that could not be written is taken for clean.
    FailureCleans,
    /// A tagged page is evicted.
    EvictionIgnoresTags,
    /// A fill is installed although what it read is outdated.
    FillIgnoresEpochs,
    /// A fill replaces a page that was written meanwhile.
    FillReplacesPages,
    /// The eviction of a page that was written does not outdate fills.
    EvictionKeepsFills,
    /// A truncation or a hole does not outdate fills.
    DropKeepsFills,
    /// An fsync that finds nothing dirty does not wait for what is in flight. (What an fsync is, the user
    /// of the cache decides; here it is the tests.)
    SyncForgetsVersionsInFlight,
}

#[cfg(test)]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Mistake>> = const { std::cell::Cell::new(None) };
}

/// Whether this mistake is to be made.
#[cfg(test)]
pub(crate) fn planted(mistake: Mistake) -> bool {
    PLANTED.get() == Some(mistake)
}

/// Whether this mistake is to be made: never.
#[cfg(not(test))]
#[inline(always)]
pub(crate) const fn planted(_mistake: Mistake) -> bool {
    false
}

/// Makes one mistake in this thread from now on, or none.
#[cfg(test)]
pub(crate) fn plant(mistake: Option<Mistake>) {
    PLANTED.set(mistake);
}
