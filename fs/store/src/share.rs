//! Sharing extents: several files, or places of one file, that refer to the same blocks.
//!
//! Overwriting is copy-on-write anyway, so a shared block needs nothing when one of its owners is
//! written: only the question whether it is free when an owner lets it go has another answer.
//! Layers count the references that are not in the tree yet ([`crate::layers`]), the tree those
//! that are, in [`SharedRange`](braidfs_format::item::SharedRange) items that only a unify changes.

use std::sync::atomic::Ordering;

use braidfs_format::{Extent, IncompatFeatures, Item, Key};

use crate::error::StoreError;
use crate::layers::{Mapped, run_of};
use crate::space::BlockRun;
use crate::store::Store;

impl Store {
    /// Whether extents of this volume may share blocks, or did once.
    pub fn has_shared(&self) -> bool {
        self.superblock.lock().incompat.contains(IncompatFeatures::SHARED_EXTENTS)
    }

    /// Lets extents share blocks from now on: code that does not know of it must not open the
    /// volume any more, so the superblock says it before the first transaction does. The first call
    /// on a volume unifies it.
    ///
    /// # Errors
    /// Those of [`Store::unify`].
    pub fn enable_sharing(&self) -> Result<(), StoreError> {
        if self.has_shared() {
            return Ok(());
        }
        self.check_writable()?;
        self.wants_sharing.store(true, Ordering::Release);
        let _turn = self.unify_lock.lock();
        if self.has_shared() {
            return Ok(());
        }
        self.unify_durable(crate::unify::Reason::Features)
    }

    /// Takes one more reference to the blocks of each of `extents`, as [`Store::map`] returned
    /// them: each must get into a published change set, with the birth that it has, or be given to
    /// [`Store::release_unpublished`]. False, and nothing happened, if a unify went on meanwhile:
    /// look them up again.
    ///
    /// The caller sees to it that nobody changes the maps that the extents are in.
    ///
    /// # Errors
    /// [`StoreErrorKind::Invalid`](crate::StoreErrorKind::Invalid) before
    /// [`Store::enable_sharing`]; the failure that stops all changes.
    pub fn share(&self, extents: &[Mapped]) -> Result<bool, StoreError> {
        self.check_writable()?;
        if !self.has_shared() {
            let detail = "sharing was not enabled on this volume";
            return Err(StoreError::invalid("sharing blocks", detail));
        }
        let found: Vec<_> = extents.iter().map(|mapped| (&mapped.extent, mapped.origin)).collect();
        Ok(self.layers.write().share(&found, &self.any_shared))
    }

    /// Whether anything else refers to blocks of this extent.
    ///
    /// # Errors
    /// When the tree cannot be read.
    pub fn is_shared(&self, mapped: &Mapped) -> Result<bool, StoreError> {
        let Some(run) = run_of(&mapped.extent).filter(|_| self.has_shared()) else {
            return Ok(false);
        };
        let (in_layers, view) = {
            let layers = self.layers.read();
            (layers.has_other_references(run, mapped.origin), layers.view())
        };
        if in_layers {
            return Ok(true);
        }
        if mapped.origin.logged {
            let in_tree = self.space.parts_in_tree(run)?.iter().any(|(_, in_tree)| *in_tree);
            return Ok(in_tree);
        }
        let before = view.tree.last_at_or_before(&Key::shared(run.start))?;
        let within =
            view.tree.range(&Key::shared(run.start), &Key::shared(run.range().end), usize::MAX)?;
        let overlaps = |(key, item): &(Key, Item)| match item {
            Item::Shared(range) => key.offset + u64::from(range.length) > run.start,
            _ => false,
        };
        Ok(before.iter().chain(&within).any(overlaps))
    }

    /// Gives back the blocks of an extent that no published change set ever held, or its share of
    /// them.
    pub fn release_unpublished(&self, extent: &Extent) {
        let Some(run) = run_of(extent) else { return };
        if self.any_shared.get() {
            self.release_shared(run);
        } else {
            self.free_unused(&[run]);
        }
    }

    /// What was shared may be in the transaction of a delta that was superseded since: it waits as
    /// what that delta freed.
    fn release_shared(&self, run: BlockRun) {
        let mut layers = self.layers.write();
        let dropped = layers.drop_unpublished(run);
        self.free_unused(&dropped.own);
        self.free_after(self.flusher.written(), dropped.last);
        layers.update_any_shared(&self.any_shared);
    }
}
