//! Memory that page tables use: counted, bounded, and reserved before an operation that needs it
//! starts.
//!
//! Four roles. [`TableMemory`] knows what all tables of a pool use together. A [`Charge`] lies in
//! each node and stands for its bytes. [`Funds`] are bytes put aside: only taking them can fail,
//! spending them cannot, so an operation that has its funds runs to its
//! end. A [`ReaderMark`] says that somebody reads without a lock, so that memory must not be freed at
//! once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::TableError;

/// What the page tables over one pool use together.
pub(crate) struct TableMemory {
    limit_bytes: usize,
    used_bytes: AtomicUsize,
    peak_bytes: AtomicUsize,
    retired_bytes: AtomicUsize,
    readers: AtomicUsize,
}

impl TableMemory {
    /// Memory for tables, of at most so many bytes.
    pub(crate) fn new(limit_bytes: usize) -> Self {
        Self {
            limit_bytes,
            used_bytes: AtomicUsize::new(0),
            peak_bytes: AtomicUsize::new(0),
            retired_bytes: AtomicUsize::new(0),
            readers: AtomicUsize::new(0),
        }
    }

    /// Bytes used or put aside.
    pub(crate) fn used_bytes(&self) -> usize {
        self.used_bytes.load(Ordering::Relaxed)
    }

    /// The most bytes ever used or put aside at once.
    pub(crate) fn peak_bytes(&self) -> usize {
        self.peak_bytes.load(Ordering::Relaxed)
    }

    /// Bytes given up but not freed yet.
    pub(crate) fn retired_bytes(&self) -> usize {
        self.retired_bytes.load(Ordering::Relaxed)
    }

    /// Notes that so many bytes wait to be freed; says how many there are now.
    pub(crate) fn retire(&self, bytes: usize) -> usize {
        self.retired_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes
    }

    /// Notes that so many bytes are freed.
    pub(crate) fn unretire(&self, bytes: usize) {
        self.retired_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether any table has a reader that takes no lock. If not, all that former ones did comes
    /// before what the caller does next.
    pub(crate) fn has_readers(&self) -> bool {
        self.readers.load(Ordering::Acquire) > 0
    }

    /// Takes bytes if the limit allows it.
    fn try_take(&self, bytes: usize) -> Result<(), TableError> {
        let within = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.limit_bytes);
        self.used_bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, within)
            .map(|before| self.note_peak(before + bytes))
            .map_err(|_| TableError::OutOfTableMemory { needed: bytes, limit: self.limit_bytes })
    }

    /// Takes bytes whatever the limit says: for those who gave back as many just before.
    fn take(&self, bytes: usize) {
        let before = self.used_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.note_peak(before + bytes);
    }

    fn give_back(&self, bytes: usize) {
        self.used_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn note_peak(&self, used: usize) {
        if used > self.peak_bytes() {
            self.peak_bytes.fetch_max(used, Ordering::Relaxed);
        }
    }
}

/// Says, while it lives, that a table has readers.
pub(crate) struct ReaderMark(Arc<TableMemory>);

impl ReaderMark {
    /// One more reader.
    pub(crate) fn new(memory: &Arc<TableMemory>) -> Self {
        // Relaxed: the reader reaches nodes only through a table, and whoever frees a node that the
        // table let go of comes after the table, and so after this.
        memory.readers.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(memory))
    }
}

impl Clone for ReaderMark {
    fn clone(&self) -> Self {
        Self::new(&self.0)
    }
}

impl Drop for ReaderMark {
    fn drop(&mut self) {
        // Release: the reader's last looks come before what is freed once there is no reader.
        self.0.readers.fetch_sub(1, Ordering::Release);
    }
}

/// Bytes that a node uses, given back when it is dropped.
pub(crate) struct Charge {
    memory: Arc<TableMemory>,
    bytes: usize,
}

impl Charge {
    /// Charges so many bytes, which must have been [spent](Funds::spend) just before.
    pub(crate) fn new(memory: &Arc<TableMemory>, bytes: usize) -> Self {
        memory.take(bytes);
        Self { memory: Arc::clone(memory), bytes }
    }

    /// Bytes charged.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Charges another amount from now on; if it is more, the rest must have been spent just
    /// before.
    pub(crate) fn change(&mut self, bytes: usize) {
        if bytes > self.bytes {
            self.memory.take(bytes - self.bytes);
        } else {
            self.memory.give_back(self.bytes - bytes);
        }
        self.bytes = bytes;
    }

    /// What the bytes are charged to.
    pub(crate) fn memory(&self) -> &Arc<TableMemory> {
        &self.memory
    }
}

impl Clone for Charge {
    fn clone(&self) -> Self {
        Self::new(&self.memory, self.bytes)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.memory.give_back(self.bytes);
    }
}

/// Bytes put aside for nodes to come; what is not spent is given back when they are dropped.
#[derive(Default)]
pub(crate) struct Funds {
    /// Where they come from; `None` while there are none, so that operations which need none touch
    /// nothing shared.
    memory: Option<Arc<TableMemory>>,
    bytes: usize,
}

impl Funds {
    /// Puts aside what is missing to so many bytes; on failure the funds are as before.
    pub(crate) fn raise_to(
        &mut self,
        bytes: usize,
        memory: &Arc<TableMemory>,
    ) -> Result<(), TableError> {
        let missing = bytes.saturating_sub(self.bytes);
        if missing > 0 {
            memory.try_take(missing)?;
            self.memory.get_or_insert_with(|| Arc::clone(memory));
            self.bytes += missing;
        }
        Ok(())
    }

    /// Bytes left of them.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Frees bytes for a [`Charge`] that follows at once.
    pub(crate) fn spend(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.bytes, "{bytes} bytes of {} put aside", self.bytes);
        self.give_back(bytes.min(self.bytes));
    }

    fn give_back(&mut self, bytes: usize) {
        if let Some(memory) = &self.memory {
            memory.give_back(bytes);
            self.bytes -= bytes;
        }
    }
}

impl Drop for Funds {
    fn drop(&mut self) {
        self.give_back(self.bytes);
    }
}
