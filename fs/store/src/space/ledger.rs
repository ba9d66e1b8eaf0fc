//! The ledger: how many free blocks and quads nobody has been promised yet.
//!
//! A reservation changes the two balances with atomics alone. The order in which it does makes sure
//! that at every moment the balance of quads is too high rather than too low beside that of
//! blocks: an allocation within a reservation may then always break a quad if it has to.

use std::sync::atomic::{AtomicU64, Ordering};

/// Balances of a volume's free space.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Free blocks, less those reserved, less four for each quad reserved.
    blocks: AtomicU64,
    /// Free quads, less those reserved.
    quads: AtomicU64,
    /// Free blocks.
    free: AtomicU64,
    /// Blocks that leave.
    pending: AtomicU64,
}

impl Ledger {
    pub(super) fn new(free: u64, quads: u64) -> Self {
        Self {
            blocks: AtomicU64::new(free),
            quads: AtomicU64::new(quads),
            free: AtomicU64::new(free),
            pending: AtomicU64::new(0),
        }
    }

    /// Promises `blocks` and `quads`, both or nothing.
    pub(super) fn reserve(&self, blocks: u64, quads: u64) -> bool {
        let Some(all) = quads.checked_mul(4).and_then(|four| four.checked_add(blocks)) else {
            return false;
        };
        if !withdraw(&self.blocks, all) {
            return false;
        }
        if withdraw(&self.quads, quads) {
            return true;
        }
        self.blocks.fetch_add(all, Ordering::AcqRel);
        false
    }

    /// Takes a promise back.
    pub(super) fn give_back(&self, blocks: u64, quads: u64) {
        self.quads.fetch_add(quads, Ordering::AcqRel);
        self.blocks.fetch_add(blocks + 4 * quads, Ordering::AcqRel);
    }

    /// Takes up to `wanted` quads that are not reserved, for data to break.
    pub(super) fn break_quads(&self, wanted: u64) -> u64 {
        let take = |quads: u64| Some(quads - quads.min(wanted));
        match self.quads.fetch_update(Ordering::AcqRel, Ordering::Acquire, take) {
            Ok(before) | Err(before) => before.min(wanted),
        }
    }

    /// Notes that reserved blocks, alone or in quads, are in use now.
    pub(super) fn used(&self, blocks: u64) {
        self.free.fetch_sub(blocks, Ordering::AcqRel);
    }

    /// Notes that blocks are free again and made `quads` whole.
    pub(super) fn freed(&self, blocks: u64, quads: u64) {
        self.free.fetch_add(blocks, Ordering::AcqRel);
        self.quads.fetch_add(quads, Ordering::AcqRel);
        self.blocks.fetch_add(blocks, Ordering::AcqRel);
    }

    /// Notes that more blocks leave.
    pub(super) fn leaving(&self, blocks: u64) {
        self.pending.fetch_add(blocks, Ordering::AcqRel);
    }

    /// Notes that blocks leave no more.
    pub(super) fn left(&self, blocks: u64) {
        self.pending.fetch_sub(blocks, Ordering::AcqRel);
    }

    /// Blocks that can still be promised.
    pub(super) fn available_blocks(&self) -> u64 {
        self.blocks.load(Ordering::Acquire)
    }

    /// Quads that can still be promised, or broken.
    pub(super) fn available_quads(&self) -> u64 {
        self.quads.load(Ordering::Acquire)
    }

    pub(super) fn free_blocks(&self) -> u64 {
        self.free.load(Ordering::Acquire)
    }

    pub(super) fn pending_blocks(&self) -> u64 {
        self.pending.load(Ordering::Acquire)
    }
}

/// Lowers a balance by `amount` unless it is lower than that.
fn withdraw(balance: &AtomicU64, amount: u64) -> bool {
    balance
        .fetch_update(Ordering::AcqRel, Ordering::Acquire, |balance| balance.checked_sub(amount))
        .is_ok()
}
