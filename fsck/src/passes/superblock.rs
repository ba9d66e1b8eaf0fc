//! Pass 1: the superblock.
//!
//! All four copies are read. The one in force is the intact one with the highest sequence. The far
//! copies are looked for where an intact near copy says, or else at the end of the device.
//!
//! A power loss while a superblock is written leaves torn copies in one slot, and so does the loss
//! of a sector; as long as one copy is intact nothing is lost, so a copy that is not is only a
//! notice.

use braidfs_format::{BLOCK_SIZE, BlockAddress, FormatErrorKind, Superblock};

use super::{Known, log};
use crate::error::{CheckError, Halt};
use crate::finding::Finding;
use crate::problem::{
    COPIES_DISAGREE, COPY_DAMAGED, COPY_IMPOSSIBLE, DEVICE_TOO_SMALL, FOREIGN_COPY, NO_VALID_COPY,
    Severity,
};
use crate::volume::scope::Scope;

/// What was found where a copy should be.
struct Copy {
    address: BlockAddress,
    state: State,
}

enum State {
    /// A whole superblock.
    Intact(Box<Superblock>),
    /// The first bytes of one, or nothing like one; and why it is not whole.
    Damaged { has_magic: bool, reason: String },
    /// Whole, and it cannot be.
    Impossible(String),
    /// Whole, and newer than this code.
    Unsupported(String),
}

impl Copy {
    fn read(scope: &Scope<'_>, address: BlockAddress) -> Self {
        let mut block = vec![0; BLOCK_SIZE];
        let state = match scope.read(address, &mut block) {
            Ok(()) => State::decode(&block, address),
            Err(error) => State::Damaged { has_magic: false, reason: error.to_string() },
        };
        Self { address, state }
    }

    fn intact(&self) -> Option<&Superblock> {
        match &self.state {
            State::Intact(superblock) => Some(superblock),
            _ => None,
        }
    }

    fn has_magic(&self) -> bool {
        !matches!(self.state, State::Damaged { has_magic: false, .. })
    }
}

impl State {
    fn decode(block: &[u8], address: BlockAddress) -> Self {
        let error = match Superblock::decode(block, address) {
            Ok(superblock) => return Self::Intact(Box::new(superblock)),
            Err(error) => error,
        };
        match error.kind {
            FormatErrorKind::BadMagic | FormatErrorKind::BadChecksum => {
                let has_magic = Superblock::sniff(block);
                Self::Damaged { has_magic, reason: error.to_string() }
            }
            FormatErrorKind::Unsupported => Self::Unsupported(error.detail),
            _ => Self::Impossible(error.to_string()),
        }
    }
}

/// Runs the pass.
pub(crate) fn run(scope: &Scope<'_>, known: &mut Known) -> Result<(), Halt> {
    let copies = read_copies(scope)?;
    if !copies.iter().any(Copy::has_magic) {
        return Err(CheckError::NotAVolume.into());
    }
    refuse_newer(&copies)?;
    // Of equal ones `max_by_key` takes the last: the near copy, seen from the end.
    let intact = copies.iter().rev().filter_map(Copy::intact);
    let Some(chosen) = intact.max_by_key(|superblock| superblock.sequence) else {
        let reasons: Vec<String> = copies.iter().map(describe).collect();
        scope.report(Finding::new(&NO_VALID_COPY).detail(reasons.join("; ")));
        return Ok(());
    };
    check_copies(scope, &copies, chosen);
    let (blocks, device_blocks) = (chosen.geometry.block_count, scope.device_blocks());
    if blocks > device_blocks {
        let finding = Finding::new(&DEVICE_TOO_SMALL).expected(blocks).found(device_blocks);
        scope.report(finding);
        return Ok(());
    }
    let damaged = scope.worst() > Some(Severity::Notice);
    known.skips_rest =
        chosen.clean && !scope.options.force && !damaged && log::is_empty(scope, chosen);
    known.superblock = Some(chosen.clone());
    Ok(())
}

fn read_copies(scope: &Scope<'_>) -> Result<Vec<Copy>, Halt> {
    let device_blocks = scope.device_blocks();
    let mut copies = Vec::new();
    for slot in 0..2u64 {
        copies.push(Copy::read(scope, slot));
        scope.advance(1)?;
    }
    let newest = copies.iter().filter_map(Copy::intact).max_by_key(|copy| copy.sequence);
    let end = newest.map_or(device_blocks, |superblock| superblock.geometry.block_count);
    for address in end.saturating_sub(2).max(2)..end.min(device_blocks) {
        copies.push(Copy::read(scope, address));
        scope.advance(1)?;
    }
    Ok(copies)
}

/// Newer code may have changed anything, so a volume that it wrote is not judged at all.
fn refuse_newer(copies: &[Copy]) -> Result<(), CheckError> {
    for copy in copies {
        match &copy.state {
            State::Unsupported(detail) => return Err(CheckError::Unsupported(detail.clone())),
            State::Intact(superblock) if superblock.requires_read_only() => {
                let detail = format!("it has features {:#x}", superblock.read_only_compat.bits());
                return Err(CheckError::Unsupported(detail));
            }
            _ => {}
        }
    }
    Ok(())
}

fn describe(copy: &Copy) -> String {
    let reason = match &copy.state {
        State::Damaged { reason, .. } | State::Impossible(reason) | State::Unsupported(reason) => {
            reason
        }
        State::Intact(_) => "intact",
    };
    format!("block {}: {reason}", copy.address)
}

/// Reports the copies that are not as the one in force lets expect.
fn check_copies(scope: &Scope<'_>, copies: &[Copy], chosen: &Superblock) {
    for copy in copies {
        let at = |problem| Finding::new(problem).block(copy.address);
        match &copy.state {
            State::Intact(superblock) => check_intact(scope, superblock, chosen),
            State::Damaged { reason, .. } => scope.report(at(&COPY_DAMAGED).detail(reason)),
            State::Impossible(reason) => scope.report(at(&COPY_IMPOSSIBLE).detail(reason)),
            State::Unsupported(_) => {}
        }
    }
}

fn check_intact(scope: &Scope<'_>, copy: &Superblock, chosen: &Superblock) {
    if copy.volume_id != chosen.volume_id {
        let detail = format!("{} instead of {}", copy.volume_id, chosen.volume_id);
        scope.report(Finding::new(&FOREIGN_COPY).block(copy.own_address).detail(detail));
        return;
    }
    let moved = Superblock { own_address: chosen.own_address, ..copy.clone() };
    if copy.sequence == chosen.sequence && moved != *chosen {
        let finding = Finding::new(&COPIES_DISAGREE)
            .block(copy.own_address)
            .other(chosen.own_address)
            .found(copy.sequence);
        scope.report(finding);
    }
}
