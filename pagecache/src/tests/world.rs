//! The cache and the model, side by side.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use super::model::{Content, Flight, HALF, Half, Model, Pending, bytes, halves_of};
use crate::backing::{Backing, PageFill};
use crate::cache::PageCache;
use crate::candidates::Candidate;
use crate::config::WritebackPolicy;
use crate::error::CacheError;
use crate::mapping::{Frozen, Mapping};
use crate::page::PAGE_SIZE;

/// Whatever went wrong, in words.
pub(super) type Checked = Result<(), String>;

/// The bounds of an exploration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) pages: usize,
    /// Versions that may be in flight at once.
    pub(super) versions: usize,
    pub(super) policy: WritebackPolicy,
    /// Whether parts of pages are written, and the file is cut within them.
    pub(super) parts: bool,
    /// Whether pages of zeros are written, which take no memory.
    pub(super) zeros: bool,
}

/// What may happen. Pages are numbered from 0, versions in flight from the oldest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    Write(usize),
    /// The second half of a page.
    WritePart(usize),
    WriteZeros(usize),
    /// Cuts the file in the middle of a page.
    CutWithin(usize),
    /// Cuts the file before a page.
    Cut(usize),
    Punch(usize),
    Read(usize),
    /// Reads, and something happens between the look at the disk and the installation.
    ReadWhile(usize, Meanwhile),
    Evict(usize),
    Freeze,
    Gather(usize),
    Complete(usize),
    Fail(usize),
    /// Somebody calls fsync, and waits from then on.
    Sync,
}

/// What happens to a page while it is filled for a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meanwhile {
    Write,
    /// It is written, written back, and evicted.
    WriteBack,
    Punch,
}

/// The disk of the model, as a backing.
struct Disk<'a> {
    model: &'a RefCell<Model>,
    /// Happens once, after the first fill has read.
    meanwhile: Cell<Option<&'a dyn Fn()>>,
}

impl Backing for Disk<'_> {
    type Error = CacheError;

    fn fill(&self, first: u64, pages: &mut [PageFill<'_>]) -> Result<(), CacheError> {
        for (page, fill) in (first as usize..).zip(pages) {
            let shown = self.model.borrow().disk.get(page).map(|stored| stored.visible());
            let shown = shown.unwrap_or_default();
            if shown != Content::default() {
                *fill.buffer() = bytes(shown);
            }
        }
        if let Some(meanwhile) = self.meanwhile.take() {
            meanwhile();
        }
        Ok(())
    }
}

/// The cache and the model.
pub(super) struct World {
    bounds: Bounds,
    pub(super) mapping: Arc<Mapping>,
    pub(super) model: RefCell<Model>,
    flights: RefCell<Vec<Frozen>>,
}

impl World {
    pub(super) fn new(cache: &Arc<PageCache>, bounds: Bounds) -> Self {
        cache.set_policy(bounds.policy);
        Self {
            bounds,
            mapping: Mapping::new(cache),
            model: RefCell::new(Model::new(bounds.pages)),
            flights: RefCell::default(),
        }
    }

    fn disk(&self) -> Disk<'_> {
        Disk { model: &self.model, meanwhile: Cell::new(None) }
    }

    /// All that may happen now.
    pub(super) fn operations(&self) -> Vec<Operation> {
        use Operation::*;
        let model = self.model.borrow();
        let mut all = Vec::new();
        for page in 0..self.bounds.pages {
            all.extend([Cut(page), Punch(page), Read(page), Evict(page)]);
            all.extend([
                ReadWhile(page, Meanwhile::Punch),
                ReadWhile(page, Meanwhile::Write),
                ReadWhile(page, Meanwhile::WriteBack),
            ]);
            // Whoever would have to wait is not there yet.
            if !self.would_wait(&model, page) {
                all.push(Write(page));
                all.extend(self.bounds.zeros.then_some(WriteZeros(page)));
                if self.bounds.parts {
                    all.extend([WritePart(page), CutWithin(page)]);
                }
            }
        }
        let open = model.pending.contains(&Pending::Open);
        let room = model.flights.len() < self.bounds.versions;
        if open && room {
            all.push(Freeze);
        }
        if model.sync.is_none() && (room || !open) {
            all.push(Sync);
        }
        for (at, flight) in model.flights.iter().enumerate() {
            all.extend([Gather(at), Complete(at)]);
            all.extend((!flight.published).then_some(Fail(at)));
        }
        all
    }

    fn would_wait(&self, model: &Model, page: usize) -> bool {
        self.bounds.policy == WritebackPolicy::Wait
            && matches!(model.pending[page], Pending::InFlight(_))
    }

    /// Does it, in the cache and in the model, and compares them.
    pub(super) fn apply(&self, operation: Operation) -> Checked {
        use Operation::*;
        self.model.borrow_mut().step += 1;
        match operation {
            Write(page) => self.write(page, 0, false)?,
            WritePart(page) => self.write(page, 1, false)?,
            WriteZeros(page) => self.write(page, 0, true)?,
            CutWithin(page) => self.cut(page, HALF)?,
            Cut(page) => self.cut(page, 0)?,
            Punch(page) => self.punch(page)?,
            Read(page) => self.read(page, &self.disk())?,
            ReadWhile(page, meanwhile) => self.read_while(page, meanwhile)?,
            Evict(page) => self.evict(page),
            Freeze => drop(self.freeze()),
            Gather(at) => self.check_flight(at)?,
            Complete(at) => self.complete(at)?,
            Fail(at) => self.fail(at)?,
            Sync => {
                let froze = self.freeze();
                self.model.borrow_mut().begin_sync(froze);
            }
        }
        self.check()
    }

    fn write(&self, page: usize, half: usize, zeros: bool) -> Checked {
        let step = self.model.borrow().step;
        let content = if zeros { Half::zeroed(step) } else { Half::written(step) };
        let (start, data) = (half * HALF, [content.byte; PAGE_SIZE]);
        let offset = (page * PAGE_SIZE + start) as u64;
        let written = self.mapping.write(offset, &data[start..], &self.disk());
        written.map_err(|error| format!("a write failed: {error}"))?;
        self.model.borrow_mut().write(page, half, content);
        Ok(())
    }

    /// Cuts the file `kept` bytes into a page. The backing learns of it first.
    fn cut(&self, page: usize, kept: usize) -> Checked {
        let whole_from = page + usize::from(kept > 0);
        let mut model = self.model.borrow_mut();
        (whole_from..self.bounds.pages).for_each(|page| model.punch(page));
        let zeroed = Half::zeroed(model.step);
        // Zeros that are zeros already are left alone, and do not become dirty.
        if kept > 0 && model.live[page][1].byte != 0 {
            model.write(page, 1, zeroed);
        }
        drop(model);
        let size = (page * PAGE_SIZE + kept) as u64;
        self.mapping.truncate(size, &self.disk()).map_err(|error| format!("a cut failed: {error}"))
    }

    fn punch(&self, page: usize) -> Checked {
        self.model.borrow_mut().punch(page);
        let bytes = (page * PAGE_SIZE) as u64..((page + 1) * PAGE_SIZE) as u64;
        self.mapping.punch(bytes, &self.disk()).map_err(|error| format!("a punch failed: {error}"))
    }

    /// Reads a page, and sees that it is what was written last when the read began, or later.
    fn read(&self, page: usize, disk: &Disk<'_>) -> Checked {
        let before = self.model.borrow().live[page];
        let mut buffer = [0xee; PAGE_SIZE];
        let read = self.mapping.read((page * PAGE_SIZE) as u64, &mut buffer, disk);
        read.map_err(|error| format!("a read failed: {error}"))?;
        let found = halves_of(&buffer)?;
        let now = self.model.borrow().live[page];
        if found != bytes_of(before) && found != bytes_of(now) {
            return Err(format!("page {page} read {found:?}, and should {now:?}"));
        }
        Ok(())
    }

    fn read_while(&self, page: usize, meanwhile: Meanwhile) -> Checked {
        let outcome = RefCell::new(Ok(()));
        let happens = || {
            *outcome.borrow_mut() = match meanwhile {
                Meanwhile::Punch => self.punch(page),
                Meanwhile::Write => self.write_unless_waiting(page),
                Meanwhile::WriteBack => self.write_back(page),
            };
        };
        let disk = Disk { model: &self.model, meanwhile: Cell::new(Some(&happens)) };
        self.read(page, &disk)?;
        outcome.into_inner()
    }

    fn write_unless_waiting(&self, page: usize) -> Checked {
        if self.would_wait(&self.model.borrow(), page) {
            return Ok(());
        }
        self.write(page, 0, false)
    }

    fn write_back(&self, page: usize) -> Checked {
        self.write_unless_waiting(page)?;
        self.freeze();
        while self.in_flight() > 0 {
            self.complete(0)?;
        }
        self.evict(page);
        Ok(())
    }

    fn evict(&self, page: usize) {
        let frame = self.mapping.frame_of(page as u64);
        let candidate = frame.map(|frame| Candidate { frame, page: page as u64 });
        self.mapping.evict(&Vec::from_iter(candidate), true);
    }

    fn in_flight(&self) -> usize {
        self.flights.borrow().len()
    }

    /// Freezes what is dirty; false if nothing is.
    fn freeze(&self) -> bool {
        let froze = self.model.borrow_mut().freeze();
        if froze {
            self.flights.borrow_mut().extend(self.mapping.freeze());
        }
        froze
    }

    /// A version that is looked at contains what was dirty when it was frozen.
    fn check_flight(&self, at: usize) -> Checked {
        let flights = self.flights.borrow();
        let Some(frozen) = flights.get(at) else { return Err("nothing was frozen".into()) };
        let mut found = Vec::new();
        for run in frozen.runs() {
            for (page, content) in (run.first as usize..).zip(&run.pages) {
                let halves = content.bytes().map_or(Ok([0; 2]), halves_of)?;
                found.push((page, halves));
            }
        }
        let model = self.model.borrow();
        let Flight { pages, number, .. } = &model.flights[at];
        let expected = pages.iter().map(|(page, content)| (*page, bytes_of(*content)));
        match expected.eq(found.iter().copied()) {
            true => Ok(()),
            false => Err(format!("version {number} has {found:?}, and should {pages:?}")),
        }
    }

    fn complete(&self, at: usize) -> Checked {
        for earlier in 0..=at {
            self.check_flight(earlier)?;
        }
        self.model.borrow_mut().complete(at);
        let frozen = self.flights.borrow_mut().remove(at);
        frozen.complete();
        Ok(())
    }

    fn fail(&self, at: usize) -> Checked {
        self.check_flight(at)?;
        self.model.borrow_mut().fail(at);
        let frozen = self.flights.borrow_mut().remove(at);
        frozen.fail();
        Ok(())
    }

    /// The properties that hold after every operation.
    fn check(&self) -> Checked {
        self.model.borrow_mut().end_sync()?;
        let model = self.model.borrow();
        for page in 0..self.bounds.pages {
            let pending = model.pending[page] != Pending::Clean;
            if self.mapping.is_dirty(page as u64) != pending {
                return Err(format!("page {page} should be {:?}", model.pending[page]));
            }
            if let Some(found) = self.mapping.cached_bytes(page as u64) {
                let live = bytes_of(model.live[page]);
                if halves_of(&found)? != live {
                    return Err(format!("page {page} is cached with older content than {live:?}"));
                }
            }
        }
        let open = model.pending.iter().filter(|pending| **pending == Pending::Open).count();
        if self.mapping.dirty_pages() != open as u64 {
            return Err(format!("{} pages dirty, {open} expected", self.mapping.dirty_pages()));
        }
        Ok(())
    }

    /// Everything is written back from here: nothing may be lost, and nothing left over.
    pub(super) fn finish(&self) -> Checked {
        while self.in_flight() > 0 {
            self.complete(self.in_flight() - 1)?;
            self.check()?;
        }
        self.freeze();
        while self.in_flight() > 0 {
            self.complete(0)?;
        }
        self.check()?;
        self.mapping.drop_clean(0..self.bounds.pages as u64);
        (0..self.bounds.pages).try_for_each(|page| self.read(page, &self.disk()))?;
        let counters = self.mapping.cache().counters();
        match (counters.dirty_bytes, counters.frozen_bytes) {
            (0, 0) => Ok(()),
            left => Err(format!("dirty and frozen bytes are left: {left:?}")),
        }
    }

    /// What the future depends on: the model and the mapping, with steps and versions by their rank.
    pub(super) fn key(&self) -> Vec<u8> {
        let model = self.model.borrow();
        let mut key = super::explore::Key::new(&model);
        key.add_model(&model);
        self.mapping.describe(self.bounds.pages as u64, &mut |word| key.add_word(word));
        key.into_bytes()
    }
}

fn bytes_of(content: Content) -> [u8; 2] {
    content.map(|half| half.byte)
}
