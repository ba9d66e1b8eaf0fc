//! What can be done with the file, and how it is drawn.

use super::Plan;
use crate::exercise::Random;

/// How bytes get in or out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// pwrite, pread.
    Plain,
    /// Through a shared mapping.
    Mapped,
    /// Through a handle with `O_DIRECT`.
    Direct,
}

/// An operation, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Writes a pattern that begins with `byte` and changes along the way.
    Write { offset: u64, length: u64, byte: u8, how: How },
    /// Reads and compares.
    Read { offset: u64, length: u64, how: How },
    /// Sets the size.
    Truncate { size: u64 },
    /// Preallocates; the size grows unless it is kept.
    Allocate { offset: u64, length: u64, keeps_size: bool },
    /// Punches a hole.
    Punch { offset: u64, length: u64 },
    /// Zeros; the size grows unless it is kept.
    Zero { offset: u64, length: u64, keeps_size: bool },
    /// Takes whole blocks out.
    Collapse { offset: u64, length: u64 },
    /// Puts whole blocks of zeros in.
    Insert { offset: u64, length: u64 },
    /// Copies within the file.
    Copy { from: u64, to: u64, length: u64 },
    /// fsync, fdatasync.
    Sync { data_only: bool },
    /// Drops what is cached and clean.
    Forget,
    /// Closes, and opens again.
    Reopen,
}

/// Collapse and insert take whole blocks only.
const BLOCK_BYTES: u64 = 4096;
/// O_DIRECT takes whole sectors on filesystems of the kernel.
const SECTOR_BYTES: u64 = 4096;

impl Operation {
    /// In a word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Write { how: How::Direct, .. } | Self::Read { how: How::Direct, .. } => "direct",
            Self::Write { .. } => "write",
            Self::Read { .. } => "read",
            Self::Truncate { .. } => "truncate",
            Self::Allocate { .. } => "allocate",
            Self::Punch { .. } => "punch",
            Self::Zero { .. } => "zero",
            Self::Collapse { .. } => "collapse",
            Self::Insert { .. } => "insert",
            Self::Copy { .. } => "copy",
            Self::Sync { .. } => "sync",
            Self::Forget => "forget",
            Self::Reopen => "reopen",
        }
    }
}

/// Weights of what is drawn.
const WEIGHTS: [(u64, &str); 12] = [
    (30, "write"),
    (20, "read"),
    (8, "truncate"),
    (6, "allocate"),
    (8, "punch"),
    (6, "zero"),
    (3, "collapse"),
    (3, "insert"),
    (6, "copy"),
    (3, "sync"),
    (2, "forget"),
    (2, "reopen"),
];

/// Draws the next operation for a file of `size`; none of those that are `missing`.
pub fn draw(random: &mut Random, plan: &Plan, size: u64, missing: &[&'static str]) -> Operation {
    loop {
        let kind = random.choose(&WEIGHTS).copied().unwrap_or("read");
        let drawn = draw_kind(random, plan, size, kind);
        if let Some(operation) = drawn.filter(|drawn| !missing.contains(&drawn.name())) {
            return operation;
        }
    }
}

/// One of a kind; none where this size has no room for it.
fn draw_kind(random: &mut Random, plan: &Plan, size: u64, kind: &str) -> Option<Operation> {
    // Places within the file and those behind its end are both to be hit.
    let room = if random.below(3) == 0 { plan.length } else { size.max(1) };
    let offset = random.below(room.min(plan.length - 1));
    let length = 1 + random.below(plan.most.min(plan.length - offset));
    let keeps_size = random.below(2) == 0;
    let how = how(random, plan);
    let inside = length.min(size.saturating_sub(offset));
    Some(match kind {
        "write" => {
            let (offset, length) = aligned(how, offset, length);
            let byte = random.byte();
            Operation::Write { offset, length, byte, how }
        }
        "read" => match how {
            How::Mapped if inside == 0 => return None,
            How::Mapped => Operation::Read { offset, length: inside, how },
            _ => {
                let (offset, length) = aligned(how, offset, length);
                Operation::Read { offset, length, how }
            }
        },
        "truncate" => Operation::Truncate { size: random.below(room) },
        "allocate" => Operation::Allocate { offset, length, keeps_size },
        "punch" => Operation::Punch { offset, length },
        "zero" => Operation::Zero { offset, length, keeps_size },
        "collapse" => {
            let (offset, length) = blocks(offset, length);
            (offset + length < size).then_some(Operation::Collapse { offset, length })?
        }
        "insert" => {
            let (offset, length) = blocks(offset, length);
            let fits = offset < size && size + length <= plan.length;
            fits.then_some(Operation::Insert { offset, length })?
        }
        "copy" => {
            let to = random.below(plan.length - inside.min(plan.length - 1));
            let overlaps = to < offset + inside && offset < to + inside;
            (inside > 0 && !overlaps).then_some(Operation::Copy {
                from: offset,
                to,
                length: inside,
            })?
        }
        "sync" => Operation::Sync { data_only: keeps_size },
        "forget" => Operation::Forget,
        _ => Operation::Reopen,
    })
}

fn how(random: &mut Random, plan: &Plan) -> How {
    match random.below(4) {
        0 if plan.with_maps => How::Mapped,
        1 if plan.with_direct => How::Direct,
        _ => How::Plain,
    }
}

/// Whole sectors for O_DIRECT.
fn aligned(how: How, offset: u64, length: u64) -> (u64, u64) {
    match how {
        How::Direct => (offset - offset % SECTOR_BYTES, length.next_multiple_of(SECTOR_BYTES)),
        _ => (offset, length),
    }
}

fn blocks(offset: u64, length: u64) -> (u64, u64) {
    (offset - offset % BLOCK_BYTES, length.next_multiple_of(BLOCK_BYTES))
}
