//! The gate of the open delta: operations pass it shared, closing takes it alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use braidfs_format::{DeltaNumber, Item, Key};
use braidfs_store::{Reservation, Store};
use parking_lot::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::change_table::{Change, ChangeTable};
use crate::error::FsResult;

/// The open delta, and the one closed before it.
pub(crate) struct OpenDelta {
    /// Counts the deltas of this mount. The store counts what it publishes by itself: a delta that
    /// is too large for one transaction takes several.
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
    /// Nothing changes any more: the volume is being unmounted.
    sealed: bool,
    current: Arc<AtomicU64>,
    /// When it was opened.
    opened_at: Instant,
}

/// What a delta leaves when it closes.
pub(crate) struct Closed {
    /// Its number.
    pub number: DeltaNumber,
    /// Its changes.
    pub changes: Arc<ChangeTable>,
    /// Space promised to them.
    pub reservation: Reservation,
    /// When it was opened.
    pub opened_at: Instant,
    /// The changes of the delta before, which nobody looks names up in any more. To give them back takes
    /// time for each of them: to be dropped when the gate is open again.
    pub outdated: Arc<ChangeTable>,
}

impl OpenDelta {
    /// Closes this delta and opens the next one. `everything` says that it takes every file's data.
    pub fn advance(&mut self, everything: bool) -> Closed {
        let number = self.number;
        self.number += 1;
        self.current.store(self.number, Ordering::Release);
        if everything {
            self.closed_full = number;
        }
        let changes = std::mem::take(&mut self.changes);
        let outdated = std::mem::replace(&mut self.closed, changes.clone());
        let reservation = std::mem::take(self.reservation.get_mut());
        let opened_at = std::mem::replace(&mut self.opened_at, Instant::now());
        Closed { number, changes, reservation, opened_at, outdated }
    }
}

/// The gate. Held shared for the length of an operation's change ([`ChangeGuard`]).
pub(crate) struct DeltaGate {
    open: RwLock<OpenDelta>,
    current: Arc<AtomicU64>,
}

/// Ties an operation to the open delta: while it lives that delta is not closed.
pub(crate) struct ChangeGuard<'a> {
    open: RwLockReadGuard<'a, OpenDelta>,
}

/// The changes that are not in the store yet, newest first: for looking names up.
#[derive(Clone)]
pub(crate) struct View {
    delta: DeltaNumber,
    open: Arc<ChangeTable>,
    closed: Arc<ChangeTable>,
}

impl DeltaGate {
    /// A gate with an empty first delta open.
    pub fn new() -> Self {
        let current = Arc::new(AtomicU64::new(1));
        let open = OpenDelta {
            number: 1,
            closed_full: 0,
            changes: Arc::default(),
            closed: Arc::default(),
            reservation: Mutex::default(),
            sealed: false,
            current: current.clone(),
            opened_at: Instant::now(),
        };
        Self { open: RwLock::new(open), current }
    }

    /// Enters the open delta. A thread must not enter twice.
    pub fn enter(&self) -> ChangeGuard<'_> {
        ChangeGuard { open: self.open.read() }
    }

    /// The unpublished changes as of now. A thread that holds a [`ChangeGuard`] asks that instead.
    pub fn view(&self) -> View {
        self.enter().view()
    }

    /// Whether no delta was closed since `view` was taken. Asked under the lock of a directory, this
    /// tells that the view has all changes of it: who makes more needs that lock.
    pub fn is_current(&self, view: &View) -> bool {
        self.current.load(Ordering::Acquire) == view.delta
    }

    /// Waits for the operations under way and refuses all that come later.
    pub fn seal(&self) {
        self.open.write().sealed = true;
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

    /// Whether the open delta takes no changes any more.
    pub fn is_sealed(&self) -> bool {
        self.open.sealed
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
        let OpenDelta { number, changes, closed, .. } = &*self.open;
        View { delta: *number, open: changes.clone(), closed: closed.clone() }
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

    /// The unpublished changes in `from..to`, the newest of each key, in order. If there are more than
    /// `most`, the first ones, and the key they reach to in place of `to`.
    pub fn changes(&self, from: Key, to: Key, most: usize) -> (Vec<Change>, Key) {
        let mut end = to;
        let mut newest = Vec::new();
        // A stable sort keeps the open delta's change of a key before the closed one's.
        for table in [&self.open, &self.closed] {
            let part = table.range(from, to, most);
            if let Some((last, _)) = part.last().filter(|_| part.len() == most) {
                end = end.min(Key { offset: last.offset.saturating_add(1), ..*last });
            }
            newest.extend(part);
        }
        newest.sort_by_key(|(key, _)| *key);
        newest.dedup_by_key(|(key, _)| *key);
        newest.truncate(newest.partition_point(|(key, _)| *key < end));
        (newest, end)
    }
}
