//! Which addresses of the process belong to live mappings: asked by signal handlers, and by those
//! who were given a buffer.
//!
//! The lock is a leaf. It is never held while mapped memory is touched, so a signal handler that
//! takes it cannot have interrupted its holder.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use parking_lot::RwLock;

use super::{LiveError, LiveRange};
use crate::{RegionValue, Regions};

/// A range in the directory.
#[derive(Clone)]
struct Known(Arc<LiveRange>);

impl RegionValue for Known {
    fn part(&self, _skip: u64, _length: u64) -> Self {
        self.clone()
    }

    fn join(&self, _length: u64, _next: &Self) -> Option<Self> {
        None
    }
}

static RANGES: LazyLock<RwLock<Regions<Known>>> = LazyLock::new(|| RwLock::new(Regions::new()));
/// Ranges there are, so that those who ask for nothing need no lock.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Adds a range.
pub(super) fn add(addresses: Range<usize>, range: &Arc<LiveRange>) -> Result<(), LiveError> {
    let addresses = addresses.start as u64..addresses.end as u64;
    // The kernel gave the addresses to nobody else.
    let pages = range.pages();
    RANGES
        .write()
        .insert(addresses, Known(Arc::clone(range)))
        .map_err(|_| LiveError::BadSize { pages })?;
    COUNT.fetch_add(1, Ordering::Release);
    Ok(())
}

/// Removes it.
pub(super) fn remove(addresses: Range<usize>) {
    let removed = RANGES.write().remove(addresses.start as u64..addresses.end as u64);
    COUNT.fetch_sub(removed.len(), Ordering::Release);
}

/// The range that an address belongs to.
pub(super) fn find(address: usize) -> Option<Arc<LiveRange>> {
    if COUNT.load(Ordering::Acquire) == 0 {
        return None;
    }
    let ranges = RANGES.read();
    ranges.find(address as u64).value().map(|known| Arc::clone(&known.0))
}

/// Whether any of these bytes is mapped memory: then to touch them may fault, which no lock must be
/// held for that a fault may need.
pub fn is_mapped(bytes: &[u8]) -> bool {
    if COUNT.load(Ordering::Acquire) == 0 || bytes.is_empty() {
        return false;
    }
    let start = bytes.as_ptr().addr() as u64;
    RANGES.read().iter(start..start + bytes.len() as u64).next().is_some()
}
