//! A moment at which the power is lost: what is certain, and what is not.

use super::cases::{CrashCase, DamageKind, SECTOR_BYTES};
use super::log::{Content, Event, Mark, RecordedWrite, Recording};
use super::subsets::next_random;
use crate::memory::MemoryDevice;

/// A write that is not part of the settled image yet.
#[derive(Debug, Clone, Copy)]
struct Pending<'a> {
    write: &'a RecordedWrite,
    completed: Option<u64>,
    /// A flush covers it, but an earlier write, which it may overlap, is uncertain still.
    certain: bool,
}

/// What a replay of the log has come to: a settled image, and the writes after it in order of issue.
#[derive(Debug, Clone)]
struct State<'a> {
    settled: MemoryDevice,
    pending: Vec<Pending<'a>>,
}

impl<'a> State<'a> {
    fn new(recording: &Recording) -> Self {
        Self { settled: recording.base().clone(), pending: Vec::new() }
    }

    fn step(&mut self, event: &'a Event) {
        match event {
            Event::Write { write, completed } => {
                self.pending.push(Pending { write, completed: *completed, certain: false });
            }
            Event::Flush { started } => self.flush(*started),
            Event::Mark(_) => {}
        }
    }

    fn flush(&mut self, started: u64) {
        for pending in &mut self.pending {
            pending.certain |= pending.completed.is_some_and(|completed| completed < started);
        }
        let settled = self.pending.iter().take_while(|pending| pending.certain).count();
        for pending in self.pending.drain(..settled) {
            apply(&self.settled, pending.write);
        }
    }
}

fn apply(image: &MemoryDevice, write: &RecordedWrite) {
    match &write.content {
        Content::Data(data) => image.put(write.offset, data),
        Content::Discard => image.clear(write.offset, write.length),
    }
}

/// A moment between two events of a recording at which the power is lost.
#[derive(Debug, Clone)]
pub struct CrashPoint<'a> {
    recording: &'a Recording,
    position: usize,
    state: State<'a>,
}

impl<'a> CrashPoint<'a> {
    pub(super) fn after(recording: &'a Recording, position: usize) -> Self {
        let mut state = State::new(recording);
        recording.events().iter().take(position).for_each(|event| state.step(event));
        Self { recording, position, state }
    }

    /// How many events have happened.
    pub fn position(&self) -> usize {
        self.position
    }

    /// The writes that no flush covers, in the order in which they were issued.
    pub fn volatile(&self) -> impl Iterator<Item = &'a RecordedWrite> {
        self.state.pending.iter().filter(|pending| !pending.certain).map(|pending| pending.write)
    }

    /// How many writes no flush covers.
    pub fn volatile_count(&self) -> usize {
        self.volatile().count()
    }

    /// The value of the last mark called `name`.
    pub fn last_mark(&self, name: &str) -> Option<u64> {
        self.marks().filter(|mark| mark.name == name).last().map(|mark| mark.value)
    }

    /// The marks made so far, in order.
    pub fn marks(&self) -> impl Iterator<Item = Mark> {
        self.recording.events().iter().take(self.position).filter_map(|event| match event {
            Event::Mark(mark) => Some(*mark),
            Event::Write { .. } | Event::Flush { .. } => None,
        })
    }

    /// The image that holds the durable writes alone.
    pub fn durable_image(&self) -> MemoryDevice {
        self.image_keeping(|_| false)
    }

    /// The image that holds every write.
    pub fn whole_image(&self) -> MemoryDevice {
        self.image_keeping(|_| true)
    }

    /// The image that holds the durable writes and those uncertain ones that `keep` says, by their number.
    pub fn image_keeping(&self, keep: impl Fn(usize) -> bool) -> MemoryDevice {
        self.build(|image, index, write| {
            if keep(index) {
                apply(image, write);
            }
        })
    }

    /// The image that `case` describes; its numbers count the uncertain writes of this moment.
    pub fn image(&self, case: &CrashCase) -> MemoryDevice {
        self.build(|image, index, write| match case.damage {
            Some(damage) if damage.write == index => apply_damaged(image, write, damage.kind),
            _ if case.keeps(index) => apply(image, write),
            _ => {}
        })
    }

    /// The settled image with the certain writes, and with what `decide` makes of each uncertain one.
    fn build(&self, decide: impl Fn(&MemoryDevice, usize, &RecordedWrite)) -> MemoryDevice {
        let image = self.state.settled.clone();
        let mut uncertain = 0;
        for pending in &self.state.pending {
            if pending.certain {
                apply(&image, pending.write);
            } else {
                decide(&image, uncertain, pending.write);
                uncertain += 1;
            }
        }
        image
    }
}

/// Applies a write of which not every byte arrived as it was sent.
fn apply_damaged(image: &MemoryDevice, write: &RecordedWrite, damage: DamageKind) {
    let Content::Data(data) = &write.content else {
        return apply(image, write);
    };
    let mut bytes = vec![0; data.len()];
    image.get(write.offset, &mut bytes);
    match damage {
        DamageKind::KeepPrefix(count) => {
            let count = count.min(data.len());
            bytes[..count].copy_from_slice(&data[..count]);
        }
        DamageKind::KeepSuffix(count) => {
            let start = data.len() - count.min(data.len());
            bytes[start..].copy_from_slice(&data[start..]);
        }
        DamageKind::Garbage(sector) => {
            bytes.copy_from_slice(data);
            let garbage = bytes.chunks_mut(SECTOR_BYTES).nth(sector);
            fill_with_garbage(garbage.unwrap_or_default(), write.offset);
        }
    }
    image.put(write.offset, &bytes);
}

fn fill_with_garbage(bytes: &mut [u8], seed: u64) {
    let mut state = seed;
    for chunk in bytes.chunks_mut(8) {
        let random = next_random(&mut state).to_le_bytes();
        chunk.copy_from_slice(&random[..chunk.len()]);
    }
}

/// All moments of a recording, in order; each costs one step more than the last.
#[derive(Debug)]
pub struct CrashPoints<'a> {
    recording: &'a Recording,
    next: Option<CrashPoint<'a>>,
}

impl<'a> CrashPoints<'a> {
    pub(super) fn new(recording: &'a Recording) -> Self {
        Self { recording, next: Some(CrashPoint::after(recording, 0)) }
    }
}

impl<'a> Iterator for CrashPoints<'a> {
    type Item = CrashPoint<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let point = self.next.take()?;
        if let Some(event) = self.recording.events().get(point.position) {
            let mut state = point.state.clone();
            state.step(event);
            let position = point.position + 1;
            self.next = Some(CrashPoint { recording: self.recording, position, state });
        }
        Some(point)
    }
}
