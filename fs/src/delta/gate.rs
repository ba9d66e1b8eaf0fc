//! The gate of the open delta: operations pass it shared, closing takes it alone.

use std::sync::Arc;

use braidfs_format::{DeltaNumber, Item, Key};
use braidfs_store::{Reservation, Store};
use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::change_table::ChangeTable;
use crate::error::FsResult;

/// The open delta, and the one closed before it.
pub(crate) struct OpenDelta {
    /// The number that the open delta will be published under.
    pub number: DeltaNumber,
    /// The newest closed delta that takes every file's data; files dirtied at or before it are frozen
    /// before they change again.
    pub closed_full: DeltaNumber,
    /// The open delta's changes.
    pub changes: Arc<ChangeTable>,
    /// The changes of the delta closed last. They stay visible here until the next one closes; by
    /// then the store has them.
    pub closed: Arc<ChangeTable>,
    /// Space promised to the open delta's namespace changes.
    pub reservation: Mutex<Reservation>,
}

/// The gate. Held shared for the length of an operation's change ([`ChangeGuard`]).
pub(crate) struct DeltaGate {
    open: RwLock<OpenDelta>,
}

/// Ties an operation to the open delta: while it lives that delta is not closed.
pub(crate) struct ChangeGuard<'a> {
    open: RwLockReadGuard<'a, OpenDelta>,
}

/// The changes that are not in the store yet, newest first: for looking names up.
#[derive(Clone)]
pub(crate) struct View {
    open: Arc<ChangeTable>,
    closed: Arc<ChangeTable>,
}

impl DeltaGate {
    /// A gate whose open delta has number `number`.
    pub fn new(number: DeltaNumber) -> Self {
        let open = OpenDelta {
            number,
            closed_full: 0,
            changes: Arc::default(),
            closed: Arc::default(),
            reservation: Mutex::default(),
        };
        Self { open: RwLock::new(open) }
    }

    /// Enters the open delta. A thread must not enter twice.
    pub fn enter(&self) -> ChangeGuard<'_> {
        ChangeGuard { open: self.open.read() }
    }

    /// The unpublished changes as of now. A thread that holds a [`ChangeGuard`] asks that instead.
    pub fn view(&self) -> View {
        self.enter().view()
    }

    /// Waits for the operations under way and keeps new ones out.
    pub fn close(&self) -> RwLockWriteGuard<'_, OpenDelta> {
        self.open.write()
    }
}

impl ChangeGuard<'_> {
    /// The delta that this operation belongs to.
    pub fn delta(&self) -> DeltaNumber {
        self.open.number
    }

    /// See [`OpenDelta::closed_full`].
    pub fn closed_full(&self) -> DeltaNumber {
        self.open.closed_full
    }

    /// Where this delta's namespace changes go.
    pub fn changes(&self) -> &ChangeTable {
        &self.open.changes
    }

    /// The unpublished changes, this delta's included.
    pub fn view(&self) -> View {
        View { open: self.open.changes.clone(), closed: self.open.closed.clone() }
    }

    /// Hands space to the delta; it is given back when the delta is published.
    pub fn charge(&self, reservation: Reservation) {
        self.open.reservation.lock().join(reservation);
    }
}

impl View {
    /// The item under `key` as of now.
    ///
    /// # Errors
    /// Those of reading the store.
    pub fn item(&self, store: &Store, key: &Key) -> FsResult<Option<Item>> {
        if let Some(change) = self.open.get(key).or_else(|| self.closed.get(key)) {
            return Ok(change);
        }
        Ok(store.get(key)?)
    }

    /// The unpublished changes in `from..to`, the newest of each key, in order.
    pub fn changes(&self, from: Key, to: Key) -> Vec<(Key, Option<Item>)> {
        let mut newest = self.open.range(from, to);
        let older = self.closed.range(from, to);
        if older.is_empty() {
            return newest;
        }
        newest.extend(older);
        // A stable sort keeps the open delta's change of a key before the closed one's.
        newest.sort_by_key(|(key, _)| *key);
        newest.dedup_by_key(|(key, _)| *key);
        newest
    }
}
