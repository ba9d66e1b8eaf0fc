//! Address spaces: against a naive map, with each change in the middle of each fault, and what is
//! left when all is unmapped.

mod middle;
mod model;
mod rules;

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::*;
use crate::{Frame, PAGE_SIZE, PoolConfig};

/// What a test does while a source is asked.
type Interruption = Box<dyn FnOnce() + Send>;

/// A source of so many pages, each full of one byte or without memory.
pub(super) struct File {
    pool: Arc<FramePool>,
    contents: Mutex<Contents>,
    /// What happens the next time it is asked, after it has its answer.
    interruption: Mutex<Option<Interruption>>,
    asked: Mutex<Vec<(u64, Access)>>,
}

#[derive(Default)]
struct Contents {
    pages: u64,
    bytes: BTreeMap<u64, (u8, Frame)>,
    failing: bool,
}

impl File {
    /// A file of so many pages; every third is a hole, the others hold their index and `salt`.
    pub(super) fn new(pool: &Arc<FramePool>, pages: u64, salt: u8) -> Arc<Self> {
        let file = Self {
            pool: Arc::clone(pool),
            contents: Mutex::new(Contents { pages, ..Contents::default() }),
            interruption: Mutex::default(),
            asked: Mutex::default(),
        };
        for page in (0..pages).filter(|page| page % 3 != 2) {
            file.set(page, salt.wrapping_add(page as u8).max(1));
        }
        Arc::new(file)
    }

    pub(super) fn set(&self, page: u64, byte: u8) {
        let frame = self.pool.allocate_copy(&[byte; PAGE_SIZE]).unwrap().share();
        self.contents.lock().bytes.insert(page, (byte, frame));
    }

    pub(super) fn byte(&self, page: u64) -> u8 {
        self.contents.lock().bytes.get(&page).map_or(0, |(byte, _)| *byte)
    }

    pub(super) fn cut(&self, pages: u64) {
        let mut contents = self.contents.lock();
        contents.pages = pages;
        contents.bytes.retain(|page, _| *page < pages);
    }

    fn interrupt(&self, interruption: impl FnOnce() + Send + 'static) {
        *self.interruption.lock() = Some(Box::new(interruption));
    }

    pub(super) fn take_asked(&self) -> Vec<(u64, Access)> {
        std::mem::take(&mut self.asked.lock())
    }

    fn interrupted<T>(&self, answer: T) -> T {
        let interruption = self.interruption.lock().take();
        if let Some(interruption) = interruption {
            interruption();
        }
        answer
    }
}

impl PageSource for File {
    type Error = &'static str;

    fn read_page(&self, index: u64) -> Result<SourcePage, &'static str> {
        self.asked.lock().push((index, Access::Read));
        let answer = {
            let contents = self.contents.lock();
            match contents.bytes.get(&index) {
                _ if contents.failing => Err("the disk is gone"),
                _ if index >= contents.pages => Ok(SourcePage::BeyondEnd),
                Some((_, frame)) => Ok(SourcePage::Frame(frame.clone())),
                None => Ok(SourcePage::Zeros),
            }
        };
        self.interrupted(answer)
    }

    /// A new frame each time, with the byte one higher: as if a page was forked for each write.
    fn write_page(&self, index: u64) -> Result<WritablePage, &'static str> {
        self.asked.lock().push((index, Access::Write));
        if index >= self.contents.lock().pages {
            return self.interrupted(Ok(WritablePage::BeyondEnd));
        }
        self.set(index, self.byte(index).wrapping_add(1));
        let frame = self.contents.lock().bytes.get(&index).map(|(_, frame)| frame.clone());
        self.interrupted(frame.map(WritablePage::Frame).ok_or("the page is gone"))
    }
}

pub(super) type Space = AddressSpace<File>;
pub(super) type Last = LastLookup<Mapped<File>>;

pub(super) fn pool() -> Arc<FramePool> {
    FramePool::new(&PoolConfig::new(16 << 20)).unwrap()
}

pub(super) fn space(pool: &Arc<FramePool>) -> Space {
    Space::new(pool, &Arc::new(ZeroPages::new(4)))
}

/// The byte that fills a page, or the signal for looking at it.
pub(super) fn read(space: &Space, page: u64, last: &mut Last) -> Result<u8, Signal> {
    let read = space.read_page(page, last, |bytes| {
        assert!(bytes.iter().all(|byte| *byte == bytes[0]), "a torn page");
        bytes[0]
    });
    read.map_err(|fault| fault.signal())
}

pub(super) fn write(space: &Space, page: u64, byte: u8, last: &mut Last) -> Result<(), Signal> {
    space.write_page(page, last, |bytes| bytes.fill(byte)).map_err(|fault| fault.signal())
}

/// Runs of pages a visitor was told of.
pub(super) fn pages_of(runs: &[Range<u64>]) -> Vec<u64> {
    runs.iter().cloned().flatten().collect()
}

pub(super) fn assert_nothing_left(pool: &FramePool) {
    assert_eq!(pool.free_frames(), pool.frames(), "frames are left");
    assert_eq!(pool.counters().table_bytes, 0, "table memory is left");
}
