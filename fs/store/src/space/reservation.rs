//! Reservations: promises of space that give themselves back.

use std::mem;
use std::sync::Arc;

use super::ledger::Ledger;
use crate::error::StoreError;

/// A promise of blocks for data and of quads for tree nodes. What of it is not used when it is
/// dropped can be promised to others again. Reservations of different volumes must not be joined.
#[derive(Debug, Default)]
pub struct Reservation {
    ledger: Option<Arc<Ledger>>,
    blocks: u64,
    quads: u64,
}

impl Reservation {
    /// Promises `blocks` and `quads`, both or nothing.
    pub(super) fn new(ledger: &Arc<Ledger>, blocks: u64, quads: u64) -> Result<Self, StoreError> {
        if ledger.reserve(blocks, quads) {
            return Ok(Self { ledger: Some(ledger.clone()), blocks, quads });
        }
        let detail = format!(
            "{blocks} blocks and {quads} nodes were asked for, {} blocks are left; delete \
             something and try again",
            ledger.available_blocks()
        );
        Err(StoreError::no_space("reserving space", detail))
    }

    /// Blocks for data that are left of it.
    pub fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Quads for nodes that are left of it.
    pub fn quads(&self) -> u64 {
        self.quads
    }

    /// Takes over what `other` promises.
    pub fn join(&mut self, mut other: Reservation) {
        let ledger = other.ledger.take();
        self.ledger = self.ledger.take().or(ledger);
        self.blocks += mem::take(&mut other.blocks);
        self.quads += mem::take(&mut other.quads);
    }

    /// Moves up to `blocks` into a reservation of their own.
    pub fn split(&mut self, blocks: u64) -> Reservation {
        let blocks = blocks.min(self.blocks);
        self.blocks -= blocks;
        Self { ledger: self.ledger.clone(), blocks, quads: 0 }
    }

    /// Moves up to `quads` into a reservation of their own.
    pub fn split_quads(&mut self, quads: u64) -> Reservation {
        let quads = quads.min(self.quads);
        self.quads -= quads;
        Self { ledger: self.ledger.clone(), blocks: 0, quads }
    }

    /// Gives all blocks but `blocks` back; the quads stay.
    pub fn trim_to(&mut self, blocks: u64) {
        drop(self.split(self.blocks.saturating_sub(blocks)));
    }

    /// Notes that blocks of it are in use now.
    pub(super) fn use_blocks(&mut self, blocks: u64) {
        self.blocks = self.blocks.saturating_sub(blocks);
    }

    /// Notes that a quad of it is in use now.
    pub(super) fn use_quad(&mut self) {
        self.quads = self.quads.saturating_sub(1);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if let Some(ledger) = &self.ledger
            && self.blocks + self.quads > 0
        {
            ledger.give_back(self.blocks, self.quads);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> Arc<Ledger> {
        Arc::new(Ledger::new(100, 20))
    }

    #[test]
    fn a_reservation_takes_both_or_nothing_and_gives_itself_back() {
        let ledger = ledger();
        let held = Reservation::new(&ledger, 10, 5).unwrap();
        assert_eq!((ledger.available_blocks(), ledger.available_quads()), (70, 15));
        assert!(Reservation::new(&ledger, 71, 0).is_err());
        assert!(Reservation::new(&ledger, 0, 16).is_err());
        assert!(Reservation::new(&ledger, u64::MAX, u64::MAX).is_err());
        assert_eq!((ledger.available_blocks(), ledger.available_quads()), (70, 15));
        drop(held);
        assert_eq!((ledger.available_blocks(), ledger.available_quads()), (100, 20));
    }

    #[test]
    fn parts_can_be_split_joined_and_trimmed() {
        let ledger = ledger();
        let mut all = Reservation::default();
        all.join(Reservation::new(&ledger, 30, 4).unwrap());
        let part = all.split(10);
        let quads = all.split_quads(9);
        assert_eq!((all.blocks(), all.quads(), part.blocks(), quads.quads()), (20, 0, 10, 4));
        all.trim_to(5);
        assert_eq!((all.blocks(), ledger.available_blocks()), (5, 100 - 15 - 16));
        all.join(part);
        all.join(quads);
        assert_eq!((all.blocks(), all.quads()), (15, 4));
        drop(all);
        assert_eq!((ledger.available_blocks(), ledger.available_quads()), (100, 20));
    }

    #[test]
    fn a_reservation_is_small_send_and_empty_by_default() {
        fn is_send<T: Send + Sync + 'static>(_: &T) {}
        let empty = Reservation::default();
        is_send(&empty);
        assert_eq!((empty.blocks(), empty.quads()), (0, 0));
    }
}
