//! The log of a recording device.

use std::sync::Arc;

use super::crash::{CrashPoint, CrashPoints};
use crate::memory::MemoryDevice;

/// What a write puts into its range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// These bytes.
    Data(Arc<[u8]>),
    /// Zeros, by a discard.
    Discard,
}

/// A write or a discard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedWrite {
    /// Its first byte.
    pub offset: u64,
    /// Its length in bytes.
    pub length: u64,
    /// What it puts there.
    pub content: Content,
}

/// A note that the test made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mark {
    /// What it is about, as "acknowledged".
    pub name: &'static str,
    /// Which, as the number of a delta.
    pub value: u64,
}

/// One entry of the log.
///
/// The times are of a clock that ticks whenever a write returns or a flush begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A write was issued here.
    Write {
        /// What was written.
        write: RecordedWrite,
        /// When the call returned `Ok`; `None` while it has not, or if it failed.
        completed: Option<u64>,
    },
    /// A flush returned `Ok` here.
    Flush {
        /// When it began: writes completed by then are durable.
        started: u64,
    },
    /// The test made a note here.
    Mark(Mark),
}

/// A log that still grows.
#[derive(Debug, Default)]
pub(super) struct Log {
    events: Vec<Event>,
    clock: u64,
}

impl Log {
    pub(super) fn push(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Logs a write that is being issued; returns its place for [`end_write`](Self::end_write).
    pub(super) fn begin_write(&mut self, write: RecordedWrite) -> usize {
        self.events.push(Event::Write { write, completed: None });
        self.events.len() - 1
    }

    pub(super) fn end_write(&mut self, index: usize) {
        let now = self.tick();
        if let Some(Event::Write { completed, .. }) = self.events.get_mut(index) {
            *completed = Some(now);
        }
    }

    /// The time at which a flush begins.
    pub(super) fn begin_flush(&mut self) -> u64 {
        self.tick()
    }

    pub(super) fn recording(&self, base: &MemoryDevice) -> Recording {
        Recording { base: base.clone(), events: self.events.clone() }
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }
}

/// What was done to a device, from a known image on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    base: MemoryDevice,
    events: Vec<Event>,
}

impl Recording {
    /// The image that it started from.
    pub fn base(&self) -> &MemoryDevice {
        &self.base
    }

    /// Everything that happened, in order.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The moments at which the power can be lost: before each event, and after the last.
    pub fn crash_points(&self) -> CrashPoints<'_> {
        CrashPoints::new(self)
    }

    /// The moment after the first `position` events, or after all of them if there are fewer.
    pub fn crash_point(&self, position: usize) -> CrashPoint<'_> {
        CrashPoint::after(self, position.min(self.events.len()))
    }

    /// The image after the first `position` events if nothing is lost.
    pub fn image_at(&self, position: usize) -> MemoryDevice {
        self.crash_point(position).whole_image()
    }

    /// The same recording, each write of data taken apart into writes of at most `piece_bytes`
    /// (whole blocks, and one at least), so that each piece can be lost on its own: what a disk
    /// does that reorders within a write.
    #[must_use]
    pub fn split_writes(&self, piece_bytes: u64) -> Self {
        let piece = pieces_of(piece_bytes);
        let events = self.events.iter().flat_map(|event| split_event(event, piece)).collect();
        Self { base: self.base.clone(), events }
    }
}

fn pieces_of(piece_bytes: u64) -> usize {
    let block = crate::device::BLOCK_BYTES;
    usize::try_from((piece_bytes / block).max(1).saturating_mul(block)).unwrap_or(usize::MAX)
}

fn split_event(event: &Event, piece: usize) -> Vec<Event> {
    let Event::Write {
        write: RecordedWrite { offset, content: Content::Data(data), .. },
        completed,
    } = event
    else {
        return vec![event.clone()];
    };
    let mut offset = *offset;
    let pieces = data.chunks(piece).map(|bytes| {
        let length = bytes.len() as u64;
        let write = RecordedWrite { offset, length, content: Content::Data(Arc::from(bytes)) };
        offset += length;
        Event::Write { write, completed: *completed }
    });
    pieces.collect()
}
