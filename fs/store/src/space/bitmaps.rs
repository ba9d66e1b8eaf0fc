//! All groups and sections of a volume: changes to bits that keep the summaries right.

use std::collections::BTreeMap;
use std::ops::Range;

use braidfs_format::{BlockAddress, Geometry};

use super::group::Group;
use super::run::BlockRun;
use super::section::{Section, sections_of, zone_end};
use super::words::{GROUP_WORDS, Mask, Runs, Words, any_free, free_quads, masks};
use crate::error::StoreError;

/// The bits and the summaries of the whole volume.
pub(super) struct Bitmaps {
    pub(super) geometry: Geometry,
    pub(super) groups: Vec<Group>,
    pub(super) sections: Vec<Section>,
    /// How many of the sections lie in the node zone; they are the first.
    pub(super) zone_sections: usize,
}

/// The part of a run that lies in one section.
#[derive(Clone)]
struct Piece {
    section: usize,
    group: usize,
    local: Range<u32>,
}

impl Bitmaps {
    /// The bitmaps with these groups, which must be all of the volume.
    pub(super) fn new(geometry: Geometry, groups: Vec<Group>) -> Self {
        let mut sections = sections_of(&geometry);
        for section in &mut sections {
            if let Some(group) = groups.get(section.group()) {
                summarize(section, group);
            }
        }
        let zone_end = zone_end(&geometry);
        let zone_sections = sections.partition_point(|section| section.blocks.end <= zone_end);
        Self { geometry, groups, sections, zone_sections }
    }

    /// The section that a block of the data area lies in.
    pub(super) fn section_of(&self, address: BlockAddress) -> usize {
        self.sections.partition_point(|section| section.blocks.end <= address)
    }

    /// Refuses a run that does not lie in the data area.
    pub(super) fn check_area(&self, run: BlockRun, doing: &'static str) -> Result<(), StoreError> {
        if run.length > 0 && self.geometry.holds_data(run.start, run.length) {
            return Ok(());
        }
        let detail = format!(
            "{} blocks from {} on do not lie where data may lie; check the volume with fsck",
            run.length, run.start
        );
        Err(StoreError::corrupt(doing, detail).at_block(run.start))
    }

    /// Refuses a run if `wrong` names any of its bits; the error says that this block `is` so.
    pub(super) fn check(
        &self,
        run: BlockRun,
        doing: &'static str,
        is: &str,
        wrong: impl Fn(&Group, Mask) -> u64,
    ) -> Result<(), StoreError> {
        let mut found = None;
        self.look(run, doing, |index, group, mask| {
            let bits = wrong(group, mask) & mask.bits;
            if bits != 0 && found.is_none() {
                found = Some(Mask { bits, ..mask }.first_block(index));
            }
        })?;
        match found {
            None => Ok(()),
            Some(block) => {
                let detail = format!("a block {is}; check the volume with fsck");
                Err(StoreError::corrupt(doing, detail).at_block(block))
            }
        }
    }

    /// Looks at each word that a run lies in, which must lie in the data area.
    pub(super) fn look(
        &self,
        run: BlockRun,
        doing: &'static str,
        mut look: impl FnMut(usize, &Group, Mask),
    ) -> Result<(), StoreError> {
        self.check_area(run, doing)?;
        for piece in self.pieces(run) {
            if let Some(group) = self.groups.get(piece.group) {
                masks(piece.local).for_each(|mask| look(piece.group, group, mask));
            }
        }
        Ok(())
    }

    /// Changes each word that a run of the data area lies in.
    pub(super) fn change(
        &mut self,
        run: BlockRun,
        mut change: impl FnMut(&mut Group, &mut Section, Mask),
    ) {
        for piece in self.pieces(run) {
            let group = self.groups.get_mut(piece.group);
            let section = self.sections.get_mut(piece.section);
            if let (Some(group), Some(section)) = (group, section) {
                masks(piece.local).for_each(|mask| change(group, section, mask));
            }
        }
    }

    /// Marks free blocks as in use; returns how many free quads that broke.
    pub(super) fn take(&mut self, run: BlockRun) -> u64 {
        let mut broken = 0;
        self.change(run, |group, section, mask| {
            let Some(word) = group.used.get_mut(mask.word) else { return };
            let before = free_quads(*word).count_ones();
            *word |= mask.bits;
            let quads = u64::from(before - free_quads(*word).count_ones());
            section.free = section.free.saturating_sub(u64::from(mask.bits.count_ones()));
            section.quads = section.quads.saturating_sub(quads);
            section.longest = section.longest.min(section.free);
            broken += quads;
        });
        broken
    }

    /// Marks blocks in use as free; returns how many free quads that made.
    pub(super) fn give(&mut self, run: BlockRun) -> u64 {
        let mut made = 0;
        self.change(run, |group, section, mask| {
            let Some(word) = group.used.get_mut(mask.word) else { return };
            let before = free_quads(*word).count_ones();
            *word &= !mask.bits;
            let quads = u64::from(free_quads(*word).count_ones() - before);
            let freed = u64::from(mask.bits.count_ones());
            section.free += freed;
            section.quads += quads;
            // At worst the blocks join a longest run on either side of them.
            section.longest = (2 * section.longest + freed).min(section.free);
            made += quads;
        });
        made
    }

    /// The blocks of some runs, as bits of the groups that they lie in.
    pub(super) fn words_of(&self, runs: &[BlockRun]) -> BTreeMap<usize, Box<Words>> {
        let mut groups: BTreeMap<usize, Box<Words>> = BTreeMap::new();
        for piece in runs.iter().flat_map(|run| self.pieces(*run)) {
            let words = groups.entry(piece.group).or_insert_with(|| Box::new([0; GROUP_WORDS]));
            for mask in masks(piece.local) {
                if let Some(word) = words.get_mut(mask.word) {
                    *word |= mask.bits;
                }
            }
        }
        groups
    }

    fn pieces(&self, run: BlockRun) -> Vec<Piece> {
        let mut pieces = Vec::with_capacity(1);
        let Range { mut start, end } = run.range();
        let mut index = self.section_of(start);
        while start < end {
            let Some(section) = self.sections.get(index) else { break };
            let next = section.blocks.end.min(end);
            let base = section.group_start();
            let local = (start - base) as u32..(next - base) as u32;
            pieces.push(Piece { section: index, group: section.group(), local });
            (start, index) = (next, index + 1);
        }
        pieces
    }
}

/// Counts the summary of a section anew.
fn summarize(section: &mut Section, group: &Group) {
    let runs = Runs::new(&group.used, section.local(), any_free);
    (section.free, section.longest) = runs
        .map(|run| u64::from(run.end - run.start))
        .fold((0, 0), |(free, longest), length| (free + length, longest.max(length)));
    section.quads = masks(section.local())
        .map(|mask| u64::from((free_quads(group.used(mask.word)) & mask.bits).count_ones()))
        .sum();
}
