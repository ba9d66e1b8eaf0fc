//! Which blocks of a run are in use, or belong to the tree.

use braidfs_format::GROUP_BLOCKS;

use super::group::Group;
use super::manager::Space;
use super::run::BlockRun;
use super::words::{Mask, runs_of_bits};
use crate::error::StoreError;

impl Space {
    /// `run` in parts that the tree refers to (true) and parts that it does not, in order.
    ///
    /// # Errors
    /// Corrupt if it does not lie in the data area.
    pub fn parts_in_tree(&self, run: BlockRun) -> Result<Vec<(BlockRun, bool)>, StoreError> {
        self.parts(run, Group::persisted)
    }

    /// `run` in parts that are in use (true) and parts that are not, in order.
    ///
    /// # Errors
    /// Corrupt if it does not lie in the data area.
    pub fn parts_in_use(&self, run: BlockRun) -> Result<Vec<(BlockRun, bool)>, StoreError> {
        self.parts(run, Group::used)
    }

    fn parts(
        &self,
        run: BlockRun,
        bits: impl Fn(&Group, usize) -> u64,
    ) -> Result<Vec<(BlockRun, bool)>, StoreError> {
        let state = self.state.lock();
        let mut parts: Vec<(BlockRun, bool)> = Vec::new();
        state.bitmaps.look(run, "looking at blocks", |index, group, mask| {
            let set = bits(group, mask.word);
            let mut pieces = Vec::new();
            for (bits, is_set) in [(set, true), (!set, false)] {
                let mask = Mask { bits: mask.bits & bits, ..mask };
                runs_of_bits(mask.word, mask.bits, |local| pieces.push((local, is_set)));
            }
            pieces.sort_unstable_by_key(|(local, _)| local.start);
            let base = index as u64 * GROUP_BLOCKS;
            for (local, is_set) in pieces {
                let length = u64::from(local.end - local.start);
                match parts.last_mut() {
                    Some((last, before)) if *before == is_set => last.length += length,
                    _ => {
                        let start = base + u64::from(local.start);
                        parts.push((BlockRun::new(start, length), is_set));
                    }
                }
            }
        })?;
        Ok(parts)
    }
}
