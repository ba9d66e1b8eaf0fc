//! Asking the backing for pages, and installing what it says.
//!
//! A fill runs without the lock. What it found may be old by the time it ends: a page may have been
//! written, made durable and evicted, or truncated, meanwhile. So a fill notes the [`Epoch`] when
//! it starts and is installed only if the epoch still accepts it, and only where there is no page
//! yet.

use std::ops::Range;

use braidfs_mm::{Content, Entry, FramePool, FrameRun};
use std::sync::Arc;

use super::Mapping;
use super::state::{Epoch, State};
use crate::backing::{Backing, Filled, PageFill};
use crate::heat;
use crate::page::{PAGE_SIZE, PageBytes};
use crate::planted::{Mistake, planted};

/// Pages to ask the backing for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FillRequest {
    /// The first page, which is missing.
    pub(crate) first: u64,
    /// Pages somebody wants, from the first on.
    pub(crate) asked: usize,
    /// Pages to read with them.
    pub(crate) ahead: usize,
    /// When it was found that they are missing.
    pub(crate) epoch: Epoch,
}

impl FillRequest {
    /// The pages somebody wants.
    pub(crate) fn asked_pages(&self) -> Range<u64> {
        self.first..self.first + self.asked as u64
    }
}

/// Where a fill puts the bytes.
#[derive(Debug)]
pub(crate) enum FillMemory {
    /// In frames, to be installed.
    Frames(Vec<FrameRun>),
    /// In memory of its own, when no frame can be had: good for one read.
    Heap(Vec<PageBytes>),
}

impl FillMemory {
    /// Frames for up to `wanted` pages; `None` if there is not even one.
    pub(crate) fn frames(pool: &Arc<FramePool>, wanted: usize) -> Option<Self> {
        let mut runs: Vec<FrameRun> = Vec::with_capacity(wanted.div_ceil(FrameRun::MAX_FRAMES));
        let mut missing = wanted;
        while missing > 0 {
            let Ok(run) = pool.allocate_run(missing) else { break };
            missing -= run.len();
            runs.push(run);
        }
        (missing < wanted).then_some(Self::Frames(runs))
    }

    /// Memory outside of the pool.
    pub(crate) fn heap(pages: usize) -> Self {
        Self::Heap(vec![[0; PAGE_SIZE]; pages])
    }

    fn pages_mut(&mut self) -> Vec<PageFill<'_>> {
        match self {
            Self::Frames(runs) => {
                runs.iter_mut().flat_map(|run| run.iter_mut()).map(PageFill::new).collect()
            }
            Self::Heap(pages) => pages.iter_mut().map(PageFill::new).collect(),
        }
    }

    fn bytes(&self, at: usize) -> Option<&PageBytes> {
        match self {
            Self::Frames(runs) => runs.iter().flat_map(|run| run.iter()).nth(at),
            Self::Heap(pages) => pages.get(at),
        }
    }
}

/// What the backing filled.
#[derive(Debug)]
pub(crate) struct FilledPages {
    request: FillRequest,
    memory: FillMemory,
    outcomes: Vec<Filled>,
}

impl FilledPages {
    /// Asks the backing. If the memory is for fewer pages than requested, it fills as many.
    pub(crate) fn ask<B: Backing>(
        request: FillRequest,
        mut memory: FillMemory,
        backing: &B,
    ) -> Result<Self, B::Error> {
        let mut pages = memory.pages_mut();
        backing.fill(request.first, &mut pages)?;
        let outcomes: Vec<_> = pages.iter().map(PageFill::outcome).collect();
        let asked = request.asked.min(outcomes.len());
        Ok(Self { request: FillRequest { asked, ..request }, memory, outcomes })
    }

    /// The pages somebody wants of those that were filled.
    pub(crate) fn asked_pages(&self) -> Range<u64> {
        self.request.asked_pages()
    }

    /// How many pages were filled that nobody asked for, holes that were not declared aside.
    pub(crate) fn pages_ahead(&self) -> u64 {
        let ahead = self.outcomes.iter().skip(self.request.asked);
        ahead.filter(|outcome| **outcome != Filled::Untouched).count() as u64
    }

    /// Whether the pages could be installed at all.
    pub(crate) fn is_installable(&self) -> bool {
        matches!(self.memory, FillMemory::Frames(_))
    }

    /// Whether nothing outdated the fill.
    pub(crate) fn is_current(&self, state: &State) -> bool {
        state.accepts_fill(self.request.epoch)
    }

    /// The bytes of a page that was filled; `None` if it is a hole.
    pub(crate) fn bytes(&self, page: u64) -> Option<&PageBytes> {
        let at = usize::try_from(page.checked_sub(self.request.first)?).ok()?;
        (*self.outcomes.get(at)? == Filled::Data).then(|| self.memory.bytes(at))?
    }

    /// Installs the pages that are still missing. The fill must be current.
    pub(crate) fn install(self, mapping: &Mapping, state: &mut State) {
        let FillMemory::Frames(runs) = self.memory else { return };
        mapping.owner(state);
        let pages = self.request.first..;
        let frames = runs.into_iter().flatten();
        for ((page, frame), (at, outcome)) in
            pages.zip(frames).zip(self.outcomes.into_iter().enumerate())
        {
            let is_ahead = at >= self.request.asked;
            if state.table.get(page).is_some() && !planted(Mistake::FillReplacesPages) {
                continue;
            }
            let entry = match outcome {
                Filled::Data => {
                    mapping.claim(state, frame.metadata(), page);
                    if is_ahead {
                        heat::note_read_ahead(frame.metadata());
                    }
                    Entry::from(frame)
                }
                Filled::Untouched if is_ahead => continue,
                Filled::Untouched | Filled::Hole => Entry::new(Content::HoleZero),
            };
            // A page that cannot be installed is asked for again next time; nothing is lost.
            if state.table.insert(page, entry).is_err() {
                return;
            }
        }
    }
}
