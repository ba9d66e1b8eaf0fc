//! Reading: copy what is cached, ask for what is not, go on.

use braidfs_mm::{ContentRef, FrameMetadata, PlacedRef, TableReader};

use super::Mapping;
use super::fill::{FillMemory, FillRequest, FilledPages};
use super::state::State;
use crate::backing::Backing;
use crate::counters::Event;
use crate::heat;
use crate::page::{PAGE_INDEX_END, PageBytes, Segment, check_range, pages_spanned};
use crate::sync::{RwLockReadGuard, RwLockWriteGuard};

/// Pages asked for at once.
const MAX_FILL_PAGES: u64 = 256;
/// How often an outdated fill is repeated before its result is used without being cached, and how
/// often an error of a fill that was overtaken is forgiven.
const MAX_ATTEMPTS: u32 = 8;

/// Where a read takes bytes from.
enum Bytes<'a> {
    Stable(&'a PageBytes),
    Placed(PlacedRef<'a>),
    Zeros,
}

impl<'a> Bytes<'a> {
    fn of(content: ContentRef<'a>) -> Self {
        match content {
            ContentRef::Frame(frame) => Self::Stable(frame.page()),
            ContentRef::Placed(frame) => Self::Placed(frame),
            ContentRef::HoleZero | ContentRef::DedupZero => Self::Zeros,
        }
    }
}

/// How far a read has come.
#[derive(Debug)]
struct Progress<'a> {
    offset: u64,
    rest: &'a mut [u8],
    /// Whether the read goes on where the last one ended.
    sequential: bool,
    pages_copied: u64,
    pages_missed: u64,
    attempts: u32,
    readahead: bool,
}

impl Progress<'_> {
    fn segment(&self) -> Segment {
        Segment::first(self.offset, self.rest.len())
    }

    /// Takes the next segment's bytes from a page.
    fn take(&mut self, segment: Segment, page: Bytes<'_>) {
        let (target, rest) = std::mem::take(&mut self.rest).split_at_mut(segment.length);
        match page {
            Bytes::Stable(bytes) => target.copy_from_slice(&bytes[segment.range()]),
            Bytes::Placed(frame) => frame.load(segment.start, target),
            Bytes::Zeros => target.fill(0),
        }
        self.rest = rest;
        self.offset += segment.length as u64;
        self.pages_copied += 1;
        self.attempts = 0;
    }

    /// Takes what is cached from here on without the lock, up to the first page that can't be had
    /// so.
    fn take_held(&mut self, pages: &TableReader) {
        let section = pages.enter();
        while !self.rest.is_empty() {
            let segment = self.segment();
            let Some(entry) = section.get(segment.page) else { return };
            if let Some(frame) = entry.frame() {
                self.note_use(segment, frame.metadata());
            }
            self.take(segment, entry.frame().map_or(Bytes::Zeros, |frame| Bytes::Stable(frame)));
        }
    }

    /// Takes all that is cached from here on, up to the first page that is not.
    fn take_cached(&mut self, state: &State) {
        while !self.rest.is_empty() {
            let segment = self.segment();
            let Some(entry) = state.table.get(segment.page) else { return };
            match entry.content {
                ContentRef::Frame(frame) => self.note_use(segment, frame.metadata()),
                ContentRef::Placed(frame) => self.note_use(segment, frame.metadata()),
                ContentRef::HoleZero | ContentRef::DedupZero => {}
            }
            self.take(segment, Bytes::of(entry.content));
        }
    }

    /// Tells the evictor that a page is used. The rest of a page of which a sequential reader had
    /// the first part just before is not another use.
    fn note_use(&self, segment: Segment, frame: &FrameMetadata) {
        if segment.start == 0 || !self.sequential {
            heat::note_use(frame);
        }
    }

    /// Takes what was filled, where nothing newer is cached.
    fn take_filled(&mut self, state: &State, filled: &FilledPages) {
        let pages = filled.asked_pages();
        while !self.rest.is_empty() && pages.contains(&self.segment().page) {
            let segment = self.segment();
            let page = match state.table.get(segment.page) {
                Some(entry) => Bytes::of(entry.content),
                None => filled.bytes(segment.page).map_or(Bytes::Zeros, Bytes::Stable),
            };
            self.take(segment, page);
        }
    }
}

impl Mapping {
    /// Reads the bytes from `offset` on into the whole buffer. Pages that are not cached are filled
    /// from the backing.
    ///
    /// The caller has clipped the range to the size of the file. A read that overlaps a write may
    /// see part of it.
    pub fn read<B: Backing>(
        &self,
        offset: u64,
        buffer: &mut [u8],
        backing: &B,
    ) -> Result<(), B::Error> {
        let end = check_range(offset, buffer.len() as u64)?;
        let mut progress = Progress {
            offset,
            sequential: self.readahead.note_read(offset, end),
            rest: buffer,
            pages_copied: 0,
            pages_missed: 0,
            attempts: 0,
            readahead: true,
        };
        let result = self.read_on(&mut progress, backing);
        let events = self.cache().events();
        events.add(Event::Hits, progress.pages_copied.saturating_sub(progress.pages_missed));
        events.add(Event::Misses, progress.pages_missed);
        result
    }

    fn read_on<B: Backing>(
        &self,
        progress: &mut Progress<'_>,
        backing: &B,
    ) -> Result<(), B::Error> {
        progress.take_held(&self.pages);
        if progress.rest.is_empty() {
            return Ok(());
        }
        let mut state = self.state().read();
        loop {
            progress.take_cached(&state);
            if progress.rest.is_empty() {
                return Ok(());
            }
            let request = self.fill_request(&state, progress);
            drop(state);
            state = self.resolve_miss(request, progress, backing)?;
        }
    }

    /// What to ask for: the missing pages from here on, and more of them if the reads are
    /// sequential.
    fn fill_request(&self, state: &State, progress: &Progress<'_>) -> FillRequest {
        let first = progress.segment().page;
        let present = state.table.next_present(first).unwrap_or(PAGE_INDEX_END);
        let missing = (present - first).min(MAX_FILL_PAGES);
        let wanted = pages_spanned(progress.segment().start as u64 + progress.rest.len() as u64);
        let asked = wanted.min(missing);
        let window =
            if progress.readahead { self.readahead.window(progress.sequential) } else { 0 };
        let ahead = window.min(missing - asked);
        // Both are at most `MAX_FILL_PAGES`.
        FillRequest { first, asked: asked as usize, ahead: ahead as usize, epoch: state.epoch() }
    }

    /// Fills missing pages. When it returns, they are cached or taken, or another attempt is due.
    fn resolve_miss<B: Backing>(
        &self,
        request: FillRequest,
        progress: &mut Progress<'_>,
        backing: &B,
    ) -> Result<RwLockReadGuard<'_, State>, B::Error> {
        progress.attempts += 1;
        let may_repeat = progress.attempts < MAX_ATTEMPTS;
        match FilledPages::ask(request, self.memory_for_read(&request), backing) {
            Ok(filled) => Ok(self.use_filled(filled, progress, may_repeat)),
            Err(error) => {
                let state = self.state().read();
                let overtaken = state.overtook_fill(request.epoch, request.asked_pages());
                if may_repeat && (overtaken || request.ahead > 0) {
                    // What lies ahead may be what could not be read, and nobody asked for it.
                    progress.readahead = false;
                    return Ok(state);
                }
                Err(error)
            }
        }
    }

    /// Frames if there are any, else memory that serves this read only.
    fn memory_for_read(&self, request: &FillRequest) -> FillMemory {
        let cache = self.cache();
        cache.make_room();
        FillMemory::frames(cache.pool(), request.asked + request.ahead)
            .unwrap_or_else(|| FillMemory::heap(request.asked))
    }

    /// Installs what was filled, or takes it without installing where that is not possible.
    fn use_filled(
        &self,
        filled: FilledPages,
        progress: &mut Progress<'_>,
        may_repeat: bool,
    ) -> RwLockReadGuard<'_, State> {
        let missed = filled.asked_pages();
        let mut state = self.state().write();
        let current = filled.is_current(&state);
        if current && filled.is_installable() {
            progress.pages_missed += missed.end - missed.start;
            self.cache().events().add(Event::PagesReadAhead, filled.pages_ahead());
            filled.install(self, &mut state);
        } else if current || !may_repeat {
            // After so many attempts the outdated content is as good as any: the changes that
            // outdate it happen while this read is under way, so it may be ordered before them.
            progress.pages_missed += missed.end - missed.start;
            progress.take_filled(&state, &filled);
        }
        RwLockWriteGuard::downgrade(state)
    }
}
