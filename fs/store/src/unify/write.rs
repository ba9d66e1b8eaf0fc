//! Writing the tree with a layer folded in; nothing refers to it yet.

use braidfs_format::{BLOCK_SIZE, DeltaNumber, Extent, NODE_BLOCKS};

use super::fold::{Folded, LongInline, Moved, fold, long_inline};
use super::references::count_shared;
use crate::data::Page;
use crate::error::StoreError;
use crate::layers::{Layer, run_of};
use crate::metadata_reserve::Budget;
use crate::space::{BlockRun, Reservation};
use crate::store::Store;
use crate::tree::{Tree, TreeCommit, TreeEdit};

/// Pages written at once.
const BATCH_PAGES: usize = 256;

/// A tree that is written, but neither flushed nor referred to.
pub(super) struct Written {
    pub(super) commit: TreeCommit,
    pub(super) folded: Folded,
    /// Whether anything was written that must be flushed.
    pub(super) dirty: bool,
}

impl Store {
    /// Writes the tree with `layer` in it. After
    /// [`StoreErrorKind::NoSpace`](crate::StoreErrorKind::NoSpace) everything that was allocated is
    /// free again.
    pub(super) fn write_tree(
        &self,
        layer: &Layer,
        tree: &Tree,
        budget: &mut Budget<'_>,
    ) -> Result<Written, StoreError> {
        let mut moved = self.move_inline(&long_inline(layer), layer.through(), budget)?;
        let runs: Vec<BlockRun> = moved.values().filter_map(run_of).collect();
        let mut edit = tree.edit();
        let written = fold(layer, &mut moved, &mut edit).and_then(|mut folded| {
            if self.has_shared() {
                count_shared(&mut edit, &self.space, &mut folded)?;
            }
            let commit = self.finish_edit(edit, layer.through(), budget)?;
            let dirty = !runs.is_empty() || !commit.allocated_nodes.is_empty();
            Ok(Written { commit, folded, dirty })
        });
        written.inspect_err(|_| self.free_unused(&runs))
    }

    fn finish_edit(
        &self,
        edit: TreeEdit,
        birth: DeltaNumber,
        budget: &mut Budget<'_>,
    ) -> Result<TreeCommit, StoreError> {
        let mut taken = Vec::new();
        let mut allocate = || {
            let node = self.space.allocate_node(budget.with(0, 1)?)?;
            taken.push(BlockRun::new(node, NODE_BLOCKS));
            Ok(node)
        };
        let commit = edit.finish(&mut allocate, birth);
        commit.inspect_err(|_| self.free_unused(&taken))
    }

    /// Writes inline content that is too long for the tree to blocks of its own.
    fn move_inline(
        &self,
        long: &LongInline<'_>,
        birth: DeltaNumber,
        budget: &mut Budget<'_>,
    ) -> Result<Moved, StoreError> {
        let reservation = budget.with(long.len() as u64, 0)?;
        let places: Vec<_> = long.keys().copied().collect();
        let contents: Vec<_> = long.values().copied().collect();
        let mut moved = Moved::new();
        for (places, contents) in places.chunks(BATCH_PAGES).zip(contents.chunks(BATCH_PAGES)) {
            let extents = self.write_padded(reservation, birth, contents)?;
            let blocks = extents
                .iter()
                .flat_map(|extent| (0..extent.length).filter_map(|skip| extent.slice(skip, 1)));
            moved.extend(places.iter().copied().zip(blocks));
        }
        Ok(moved)
    }

    fn write_padded(
        &self,
        reservation: &mut Reservation,
        birth: DeltaNumber,
        contents: &[&[u8]],
    ) -> Result<Vec<Extent>, StoreError> {
        let pages: Vec<Box<Page>> = contents.iter().map(|bytes| padded(bytes)).collect();
        let pages: Vec<&Page> = pages.iter().map(|page| &**page).collect();
        self.write_data(reservation, birth, &pages)
    }
}

fn padded(bytes: &[u8]) -> Box<Page> {
    let mut page = Box::new([0; BLOCK_SIZE]);
    for (to, from) in page.iter_mut().zip(bytes) {
        *to = *from;
    }
    page
}
