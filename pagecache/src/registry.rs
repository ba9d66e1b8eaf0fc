//! Which mappings have pages, so that an evictor can find the owner of a frame.
//!
//! A frame carries the [`OwnerId`] of its mapping as a hint; the registry leads from there to the
//! mapping, if it still lives. Ids are reused, so whoever follows a hint confirms it under the lock
//! of the mapping. Mappings register when they get their first page: the many that never have one
//! cost nothing here.
//!
//! Lock: one mutex, a leaf. No strong reference is dropped under it.

use std::num::NonZeroU64;
use std::sync::{Arc, Weak};

use crate::mapping::Mapping;
use crate::sync::Mutex;

/// A mapping in the registry. Never zero, which in the metadata of a frame means that nobody owns
/// it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OwnerId(NonZeroU64);

impl OwnerId {
    /// The id as it stands in the metadata of a frame.
    pub(crate) fn to_word(self) -> u64 {
        self.0.get()
    }

    /// The id in the metadata of a frame, if it has an owner.
    pub(crate) fn from_word(word: u64) -> Option<Self> {
        NonZeroU64::new(word).map(Self)
    }

    fn of_slot(slot: usize) -> Self {
        Self(NonZeroU64::MIN.saturating_add(slot as u64))
    }

    fn slot(self) -> usize {
        (self.0.get() - 1) as usize
    }
}

/// The mappings that have pages.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    mappings: Vec<Weak<Mapping>>,
    free: Vec<usize>,
}

impl Registry {
    /// Adds a mapping.
    pub(crate) fn add(&self, mapping: Weak<Mapping>) -> OwnerId {
        let mut slots = self.slots.lock();
        let slot = slots.free.pop().unwrap_or(slots.mappings.len());
        if slot == slots.mappings.len() {
            slots.mappings.push(mapping);
        } else {
            slots.mappings[slot] = mapping;
        }
        OwnerId::of_slot(slot)
    }

    /// Removes a mapping; its id may be given to another.
    pub(crate) fn remove(&self, owner: OwnerId) {
        let mut slots = self.slots.lock();
        slots.mappings[owner.slot()] = Weak::new();
        slots.free.push(owner.slot());
    }

    /// The mapping with this id, if it lives.
    pub(crate) fn get(&self, owner: OwnerId) -> Option<Arc<Mapping>> {
        let slots = self.slots.lock();
        slots.mappings.get(owner.slot())?.upgrade()
    }

    /// The first living mapping from slot `from` on, and the slot after it; for visiting all in
    /// turn.
    pub(crate) fn next_from(&self, from: usize) -> Option<(usize, Arc<Mapping>)> {
        let slots = self.slots.lock();
        let rest = slots.mappings.iter().enumerate().skip(from);
        rest.filter_map(|(slot, mapping)| Some((slot + 1, mapping.upgrade()?))).next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::PageCache;
    use crate::config::CacheConfig;

    #[test]
    fn ids_are_reused_and_lead_to_living_mappings_only() {
        let cache = PageCache::new(CacheConfig::default()).unwrap();
        let registry = Registry::default();
        let mappings = [Mapping::new(&cache), Mapping::new(&cache)];
        let [first, second] = [0, 1].map(|at| registry.add(Arc::downgrade(&mappings[at])));
        assert!(Arc::ptr_eq(&registry.get(second).unwrap(), &mappings[1]));
        assert_eq!(OwnerId::from_word(second.to_word()), Some(second));
        assert_eq!(OwnerId::from_word(0), None);
        registry.remove(first);
        assert!(registry.get(first).is_none());
        assert_eq!(registry.next_from(0).unwrap().0, 2);
        assert_eq!(registry.add(Arc::downgrade(&mappings[0])), first);
        drop(mappings);
        assert!(registry.next_from(0).is_none());
    }
}
