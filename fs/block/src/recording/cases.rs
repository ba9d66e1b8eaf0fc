//! What can have become of the uncertain writes at a crash.

use std::fmt;

use super::crash::CrashPoint;
use super::log::Content;
use super::subsets::subsets;

/// The unit that a disk writes whole.
pub(super) const SECTOR_BYTES: usize = 512;

/// How one write arrived damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DamageKind {
    /// Only its first bytes arrived, a multiple of 512.
    KeepPrefix(usize),
    /// Only its last bytes arrived, a multiple of 512.
    KeepSuffix(usize),
    /// All of it arrived, but the sector of 512 bytes with this number holds garbage.
    Garbage(usize),
}

/// Damage to one of the uncertain writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Damage {
    /// Its number among the uncertain writes.
    pub write: usize,
    /// How it is damaged.
    pub kind: DamageKind,
}

/// One image that a power loss can leave, in words that a failing test can print.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CrashCase {
    /// How many events have happened.
    pub position: usize,
    /// Which uncertain writes are there; those beyond the end of the list are.
    pub kept: Vec<bool>,
    /// A write that is there in part, whatever `kept` says about it.
    pub damage: Option<Damage>,
}

impl CrashCase {
    /// Whether the uncertain write with this number is there.
    pub fn keeps(&self, write: usize) -> bool {
        self.kept.get(write).copied().unwrap_or(true)
    }
}

impl fmt::Display for CrashCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "power lost after event {}", self.position)?;
        let lost: Vec<usize> = (0..self.kept.len()).filter(|&write| !self.kept[write]).collect();
        if !lost.is_empty() {
            write!(f, ", of {} uncertain writes lost {lost:?}", self.kept.len())?;
        }
        let Some(Damage { write, kind }) = self.damage else {
            return Ok(());
        };
        match kind {
            DamageKind::KeepPrefix(bytes) => {
                write!(f, ", of uncertain write {write} only the first {bytes} bytes there")
            }
            DamageKind::KeepSuffix(bytes) => {
                write!(f, ", of uncertain write {write} only the last {bytes} bytes there")
            }
            DamageKind::Garbage(sector) => {
                write!(f, ", in uncertain write {write} garbage in sector {sector}")
            }
        }
    }
}

impl CrashPoint<'_> {
    /// Each subset of the uncertain writes once, or `maximum` of them if there are more: then all kept,
    /// none kept, each one lost, each one kept alone, and others that are the same every time.
    pub fn subsets(&self, maximum: usize) -> impl Iterator<Item = CrashCase> {
        let position = self.position();
        let kept = subsets(self.volatile_count(), maximum);
        kept.map(move |kept| CrashCase { position, kept, damage: None })
    }

    /// The uncertain write with this number torn at each sector, either side of the tear kept; all
    /// other writes are there.
    pub fn torn(&self, write: usize) -> impl Iterator<Item = CrashCase> {
        let tears = (1..self.sectors(write)).map(|sector| sector * SECTOR_BYTES);
        self.damaged(
            write,
            tears.flat_map(|bytes| [DamageKind::KeepPrefix(bytes), DamageKind::KeepSuffix(bytes)]),
        )
    }

    /// Each sector of the uncertain write with this number holding garbage in turn; all other writes are
    /// there.
    pub fn garbage(&self, write: usize) -> impl Iterator<Item = CrashCase> {
        self.damaged(write, (0..self.sectors(write)).map(DamageKind::Garbage))
    }

    /// Everything: the subsets, and each uncertain write torn and with garbage in every way.
    pub fn cases(&self, maximum_subsets: usize) -> impl Iterator<Item = CrashCase> {
        let writes = 0..self.volatile_count();
        let damaged = writes.flat_map(|write| self.torn(write).chain(self.garbage(write)));
        self.subsets(maximum_subsets).chain(damaged)
    }

    /// The sectors of an uncertain write; a discard has none that could be torn.
    fn sectors(&self, write: usize) -> usize {
        match self.volatile().nth(write).map(|write| &write.content) {
            Some(Content::Data(data)) => data.len() / SECTOR_BYTES,
            Some(Content::Discard) | None => 0,
        }
    }

    fn damaged(
        &self,
        write: usize,
        kinds: impl Iterator<Item = DamageKind>,
    ) -> impl Iterator<Item = CrashCase> {
        let (position, count) = (self.position(), self.volatile_count());
        kinds.map(move |kind| CrashCase {
            position,
            kept: vec![true; count],
            damage: Some(Damage { write, kind }),
        })
    }
}
