//! Taking free blocks for a moment, so that nobody writes them while they are discarded.

use std::ops::Range;

use braidfs_format::BlockAddress;

use super::bitmaps::Bitmaps;
use super::manager::Space;
use super::run::BlockRun;
use super::words::{Runs, any_free};

impl Space {
    /// The data area: all blocks that can be free.
    pub fn data_area(&self) -> Range<BlockAddress> {
        let geometry = self.state.lock().bitmaps.geometry;
        geometry.data_start..geometry.data_end()
    }

    /// Takes the free blocks of `blocks`, as far as they are not promised to anybody. They go back
    /// by [`Space::free_now`], run by run.
    pub fn borrow_free(&self, blocks: Range<BlockAddress>) -> Vec<BlockRun> {
        let mut state = self.state.lock();
        let bitmaps = &mut state.bitmaps;
        let mut borrowed = Vec::new();
        for run in free_runs(bitmaps, &blocks) {
            if !self.ledger.reserve(run.length, 0) {
                continue;
            }
            let broken = self.ledger.break_quads(bitmaps.quads_under(run));
            let taken = bitmaps.cut_to_quads(run, broken);
            self.ledger.give_back(run.length - taken.length, 0);
            if taken.length > 0 {
                bitmaps.take(taken);
                self.ledger.used(taken.length);
                borrowed.push(taken);
            }
        }
        borrowed
    }
}

/// The runs of free blocks within `blocks`, each in one section.
fn free_runs(bitmaps: &Bitmaps, blocks: &Range<BlockAddress>) -> Vec<BlockRun> {
    let mut found = Vec::new();
    for section in bitmaps.sections.iter().skip(bitmaps.section_of(blocks.start)) {
        if section.blocks.start >= blocks.end {
            break;
        }
        let Some(group) = bitmaps.groups.get(section.group()) else { continue };
        let base = section.group_start();
        let mut local = section.local_from(blocks.start);
        local.end = local.end.min(blocks.end.saturating_sub(base).min(u64::from(u32::MAX)) as u32);
        let runs = Runs::new(&group.used, local, any_free);
        found.extend(
            runs.map(|run| {
                BlockRun::new(base + u64::from(run.start), u64::from(run.end - run.start))
            }),
        );
    }
    found
}
