//! Answering the faults of mapped memory.
//!
//! A fault makes a page accessible, and with it pages that are likely to be wanted next: cached ones
//! after it when it is for reading, and more and more when writes go on in sequence. What lies ahead
//! is never waited for.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use braidfs_mm::{Access, Content, ContentRef, Entry, LiveRange};

use super::Mapping;
use super::admit::Admission;
use super::editor::{Editor, Obstacle};
use super::fill::{FillMemory, FillRequest, FilledPages};
use super::live::refused;
use super::state::needing_version;
use super::version::Standing;
use super::write::Hold;
use crate::backing::Backing;
use crate::counters::Event;
use crate::heat;
use crate::page::page_start;

/// Pages shown with one that is read.
const READ_AROUND_PAGES: u64 = 16;
/// The most pages made writable at once.
const LARGEST_WRITE_PAGES: u64 = 64;

/// How many pages to make writable with one that is written: more with every fault in sequence. A
/// hint, as readahead is.
#[derive(Debug, Default)]
pub(super) struct WriteAhead {
    expected: AtomicU64,
    pages: AtomicU64,
}

impl WriteAhead {
    /// Notes a fault, and says how many pages it should make writable.
    fn note_fault(&self, page: u64) -> u64 {
        let sequential = self.expected.load(Ordering::Relaxed) == page;
        let pages = match self.pages.load(Ordering::Relaxed) {
            before if sequential => (2 * before).clamp(1, LARGEST_WRITE_PAGES),
            _ => 1,
        };
        self.pages.store(pages, Ordering::Relaxed);
        self.expected.store(page + pages, Ordering::Relaxed);
        pages
    }
}

impl Mapping {
    /// Pages to make accessible for a fault on `page`, which lies before `end`.
    pub fn fault_window(&self, page: u64, end: u64, access: Access) -> Range<u64> {
        let pages = match access {
            Access::Read => READ_AROUND_PAGES,
            Access::Write => self.write_ahead.note_fault(page),
        };
        page..page.saturating_add(pages).min(end)
    }

    /// Makes pages accessible in the range that shows them: the first one for sure, of the others as
    /// many as follow and can be had at once. Those that may be written become dirty in the open
    /// version.
    ///
    /// The caller keeps truncations out. As with [`write`](Self::write), it must not hold a lock that
    /// writeback takes if the policy lets writers wait, unless it was [admitted](Self::admit).
    pub fn fault<B: Backing>(
        &self,
        range: &LiveRange,
        pages: Range<u64>,
        access: Access,
        backing: &B,
    ) -> Result<(), B::Error> {
        Admission { mapping: self, waits: true }.fault(range, pages, access, backing)
    }

    /// Has missing pages filled. What cannot be is asked for again, and if it is the first page its
    /// error told, when it is needed.
    fn fill_for_fault<B: Backing>(&self, pages: Range<u64>, access: Access, backing: &B) {
        let request = {
            let state = self.state().read();
            if state.table.get(pages.start).is_some() {
                return;
            }
            let present = state.table.next_present(pages.start).unwrap_or(u64::MAX);
            let (start, end) = (page_start(pages.start), page_start(pages.end));
            let sequential = access == Access::Read
                && self.readahead.note_read(start, page_start(pages.start + 1));
            let asked = if access == Access::Write { pages.end - pages.start } else { 1 };
            let ahead = self.readahead.window(sequential).min((end - start) / page_start(1));
            FillRequest {
                first: pages.start,
                // Both are bounded by the windows.
                asked: asked.min(present - pages.start) as usize,
                ahead: ahead.min((present - pages.start).saturating_sub(asked)) as usize,
                epoch: state.epoch(),
            }
        };
        self.cache().make_room();
        let wanted = request.asked + request.ahead;
        let Some(memory) = FillMemory::frames(self.cache().pool(), wanted) else { return };
        if let Ok(filled) = FilledPages::ask(request, memory, backing) {
            let mut state = self.state().write();
            if filled.is_current(&state) {
                filled.install(self, &mut state);
            }
        }
    }
}

impl Admission<'_> {
    /// As [`Mapping::fault`].
    pub fn fault<B: Backing>(
        &self,
        range: &LiveRange,
        pages: Range<u64>,
        access: Access,
        backing: &B,
    ) -> Result<(), B::Error> {
        self.mapping.cache().events().add(Event::MappedFaults, 1);
        self.mapping.fill_for_fault(pages.clone(), access, backing);
        self.edit(backing, |editor| editor.fault(range, pages.clone(), access))
    }
}

impl Editor<'_> {
    /// See [`Mapping::fault`].
    fn fault(
        &mut self,
        range: &LiveRange,
        pages: Range<u64>,
        access: Access,
    ) -> Result<Hold, Obstacle> {
        let Some(base) = self.state.live.first_of(range) else {
            return Ok(Hold::Done);
        };
        let first = pages.start;
        // A page that is dirty anyway need not fault once more to be written.
        let open = self.state.table.get(first).map(|entry| self.state.standing(&entry));
        let writable = range.is_writable() && open == Some(Standing::Open);
        let (access, pages) = match access {
            Access::Read if writable => (Access::Write, first..first + 1),
            access => (access, pages),
        };
        if pages.end - pages.start > 1
            && access == Access::Write
            && let Some((arena, at)) = self.state.live.place_of(first)
        {
            arena.prepare(at, (pages.end - pages.start) as usize);
        }
        let mut end = first;
        for page in pages {
            match self.fault_page(page, access, page == first) {
                Ok(true) => end = page + 1,
                Err(obstacle) if page == first => return Err(obstacle),
                Ok(false) | Err(_) => break,
            }
        }
        range
            .show(first - base..end - base, access)
            .map_err(|error| Obstacle::Failed(refused(error)))?;
        Ok(Hold::Done)
    }

    /// Makes one page ready to be shown. False if it is not wanted at this price.
    fn fault_page(&mut self, page: u64, access: Access, must: bool) -> Result<bool, Obstacle> {
        let Some(entry) = self.state.table.get(page) else {
            return Err(Obstacle::NotCached { page, epoch: self.state.epoch() });
        };
        let standing = self.state.standing(&entry);
        let is_unwanted = match entry.content {
            // Shown already, perhaps to be written.
            ContentRef::Placed(frame) => frame.metadata().is_referenced() && access == Access::Read,
            ContentRef::Frame(_) => false,
            // Would take memory for zeros.
            ContentRef::HoleZero | ContentRef::DedupZero => access == Access::Read,
        };
        if is_unwanted && !must {
            return Ok(false);
        }
        self.place(page)?;
        if access == Access::Write {
            self.ready_placed(page, standing)?;
        }
        if let Some(ContentRef::Placed(frame)) = self.content(page) {
            heat::note_use(frame.metadata());
            frame.metadata().mark_referenced();
        }
        Ok(true)
    }

    /// Moves a page to its place. A frozen version that has it keeps the frame it is in.
    fn place(&mut self, page: u64) -> Result<(), Obstacle> {
        let Some(entry) = self.state.table.get(page) else { return Ok(()) };
        let source = match entry.content {
            ContentRef::Placed(_) => return Ok(()),
            ContentRef::Frame(frame) => Some(frame),
            ContentRef::HoleZero | ContentRef::DedupZero => None,
        };
        let Some((arena, at)) = self.state.live.place_of(page) else { return Ok(()) };
        let placed =
            arena.place(at, source.map(|frame| frame.page())).map_err(|_| Obstacle::NoFrame)?;
        if let Some(source) = source {
            heat::inherit(placed.as_ref().metadata(), source.metadata());
        }
        let needed_by = needing_version(&self.state.in_flight, &entry);
        let placed = Entry::new(Content::Placed(placed)).with_mark(entry.mark);
        self.state.table.insert(page, placed)?;
        if let Some(version) = needed_by {
            self.state.in_flight[version].sole_frames += 1;
            self.tally.frozen += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_in_sequence_get_more_at_a_time() {
        let ahead = WriteAhead::default();
        let mut page = 5;
        let mut windows = Vec::new();
        for _ in 0..9 {
            windows.push(ahead.note_fault(page));
            page += windows.last().unwrap();
        }
        assert_eq!(windows, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
        assert_eq!(ahead.note_fault(page + 1), 1);
    }
}
