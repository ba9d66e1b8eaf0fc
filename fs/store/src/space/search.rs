//! Finding free runs and quads. Nothing is changed here but upper bounds of longest runs.

use std::ops::Range;

use braidfs_format::BlockAddress;

use super::bitmaps::Bitmaps;
use super::run::BlockRun;
use super::words::{Runs, any_free, free_in_broken_quads, free_quads, masks, quads_touched};

/// The first run of a range that is long enough, cut to what is wanted; or else the longest.
struct Scan {
    run: BlockRun,
    fits: bool,
}

impl Bitmaps {
    /// A run of `wanted` free blocks from `cursor` on, going round; if there is none, the longest
    /// run there is. The node zone comes last.
    pub(super) fn find_run(&mut self, wanted: u64, cursor: BlockAddress) -> Option<BlockRun> {
        let main = self.zone_sections..self.sections.len();
        self.find_fit(main.clone(), wanted, cursor)
            .or_else(|| self.find_longest(main, wanted))
            .or_else(|| self.find_longest(0..self.zone_sections, wanted))
    }

    /// A run of `wanted` free blocks from `cursor` on, going round.
    fn find_fit(
        &mut self,
        sections: Range<usize>,
        wanted: u64,
        cursor: BlockAddress,
    ) -> Option<BlockRun> {
        let (first, from) = self.start_in(&sections, cursor)?;
        if let Some(run) = self.fit_behind(first, wanted, from) {
            return Some(run);
        }
        ((first + 1)..sections.end).chain(sections.start..=first).find_map(|index| {
            if self.sections.get(index)?.longest < wanted {
                return None;
            }
            self.scan(index, wanted).filter(|scan| scan.fits).map(|scan| scan.run)
        })
    }

    /// The same within one section, without going round.
    fn fit_behind(&self, index: usize, wanted: u64, from: BlockAddress) -> Option<BlockRun> {
        let section = self.sections.get(index).filter(|section| section.longest >= wanted)?;
        let local = section.local_from(from);
        let scan = self.scan_part(index, local, wanted, any_free)?;
        scan.fits.then_some(scan.run)
    }

    /// Where among `sections` to begin: at `cursor`, or at the first if it lies in another.
    fn start_in(
        &self,
        sections: &Range<usize>,
        cursor: BlockAddress,
    ) -> Option<(usize, BlockAddress)> {
        if sections.is_empty() {
            return None;
        }
        let found = self.section_of(cursor);
        Some(if sections.contains(&found) { (found, cursor) } else { (sections.start, 0) })
    }

    /// A run that fits, if the bounds promise one; else the longest of all.
    fn find_longest(&mut self, sections: Range<usize>, wanted: u64) -> Option<BlockRun> {
        loop {
            let bound_of = |index: &usize| self.sections.get(*index).map_or(0, |it| it.longest);
            let index = sections.clone().max_by_key(bound_of)?;
            let bound = bound_of(&index);
            if bound == 0 {
                return None;
            }
            // A scan without a fit makes the bound exact, so this comes to an end.
            if let Some(scan) = self.scan(index, wanted)
                && (scan.fits || scan.run.length == bound)
            {
                return Some(scan.run);
            }
        }
    }

    /// Scans a whole section; without a fit, it learns how long the longest run is.
    fn scan(&mut self, index: usize, wanted: u64) -> Option<Scan> {
        let local = self.sections.get(index)?.local();
        let scan = self.scan_part(index, local, wanted, any_free);
        if let Some(section) = self.sections.get_mut(index)
            && !scan.as_ref().is_some_and(|scan| scan.fits)
        {
            section.longest = scan.as_ref().map_or(0, |scan| scan.run.length);
        }
        scan
    }

    fn scan_part(
        &self,
        index: usize,
        local: Range<u32>,
        wanted: u64,
        usable: fn(u64) -> u64,
    ) -> Option<Scan> {
        let section = self.sections.get(index)?;
        let group = self.groups.get(section.group())?;
        let mut longest = 0..0;
        for run in Runs::new(&group.used, local, usable) {
            if run.len() > longest.len() {
                longest = run;
            }
            if longest.len() as u64 >= wanted {
                break;
            }
        }
        let length = longest.len() as u64;
        let start = section.group_start() + u64::from(longest.start);
        let run = BlockRun::new(start, length.min(wanted));
        (length > 0).then_some(Scan { run, fits: length >= wanted })
    }

    /// A run of at most `wanted` free blocks that all lie in broken quads, from the section of
    /// `cursor` on, going round. The node zone comes last.
    pub(super) fn find_in_broken_quads(
        &self,
        wanted: u64,
        cursor: BlockAddress,
    ) -> Option<BlockRun> {
        let main = self.zone_sections..self.sections.len();
        let first = self.start_in(&main, cursor).map_or(main.start, |(first, _)| first);
        let around = (first..main.end).chain(main.start..first).chain(0..self.zone_sections);
        around.into_iter().find_map(|index| {
            let section = self.sections.get(index)?;
            if section.free_in_broken_quads() == 0 {
                return None;
            }
            let scan = self.scan_part(index, section.local(), wanted, free_in_broken_quads)?;
            Some(scan.run)
        })
    }

    /// A free quad from `cursor` on, going round, in the node zone or outside it.
    pub(super) fn find_quad(&self, in_zone: bool, cursor: BlockAddress) -> Option<BlockAddress> {
        let sections =
            if in_zone { 0..self.zone_sections } else { self.zone_sections..self.sections.len() };
        let (first, from) = self.start_in(&sections, cursor)?;
        self.quad_from(first, from).or_else(|| {
            let around = ((first + 1)..sections.end).chain(sections.start..=first);
            around.into_iter().find_map(|index| self.quad_from(index, 0))
        })
    }

    /// The first free quad of a section that does not begin below `from`.
    fn quad_from(&self, index: usize, from: BlockAddress) -> Option<BlockAddress> {
        let section = self.sections.get(index).filter(|section| section.quads > 0)?;
        let group = self.groups.get(section.group())?;
        let found = masks(section.local_from(from)).find_map(|mask| {
            let quads = free_quads(group.used(mask.word)) & mask.bits;
            (quads != 0).then(|| mask.word as u64 * 64 + u64::from(quads.trailing_zeros()))
        })?;
        Some(section.group_start() + found)
    }

    /// How many free quads a run of free blocks in one section lies in.
    pub(super) fn quads_under(&self, run: BlockRun) -> u64 {
        self.quads_by_word(run).map(|(_, quads)| u64::from(quads.count_ones())).sum()
    }

    /// The part of a run of free blocks in one section that lies in no more than `allowed` free
    /// quads, from its start on. It may be empty.
    pub(super) fn cut_to_quads(&self, run: BlockRun, mut allowed: u64) -> BlockRun {
        for (word_start, mut quads) in self.quads_by_word(run) {
            while quads != 0 {
                if allowed == 0 {
                    let end = word_start + u64::from(quads.trailing_zeros());
                    return BlockRun::new(run.start, end.saturating_sub(run.start));
                }
                allowed -= 1;
                quads &= quads - 1;
            }
        }
        run
    }

    /// The free quads that a run in one section lies in: the address of each word's first block, and
    /// the first bits of the quads.
    fn quads_by_word(&self, run: BlockRun) -> impl Iterator<Item = (BlockAddress, u64)> {
        let section = self.sections.get(self.section_of(run.start));
        let found = section.and_then(|section| Some((section, self.groups.get(section.group())?)));
        found.into_iter().flat_map(move |(section, group)| {
            let base = section.group_start();
            let mut local = section.local_from(run.start);
            local.end = local.end.min(run.range().end.saturating_sub(base) as u32);
            masks(local).map(move |mask| {
                let quads = quads_touched(free_quads(group.used(mask.word)), mask.bits);
                (base + mask.word as u64 * 64, quads)
            })
        })
    }
}
