//! Sections: the data area cut at the borders of groups and of the node zone, each with a summary.
//!
//! The first sixteenth of the data area is the node zone. Nodes go there as long as it has a
//! free quad, data goes elsewhere as long as there is a free block, so that quads survive. Neither is
//! forbidden the other's place: in the end every block can be used.

use std::ops::Range;

use braidfs_format::{BlockAddress, GROUP_BLOCKS, Geometry};

/// A part of the data area that lies in one group and either wholly or not at all in the node zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    /// Its blocks.
    pub(super) blocks: Range<BlockAddress>,
    /// Free blocks.
    pub(super) free: u64,
    /// Free aligned quads.
    pub(super) quads: u64,
    /// No run of free blocks is longer.
    pub(super) longest: u64,
}

impl Section {
    fn new(blocks: Range<BlockAddress>) -> Self {
        Self { blocks, free: 0, quads: 0, longest: 0 }
    }

    /// The group it lies in.
    pub(super) fn group(&self) -> usize {
        (self.blocks.start / GROUP_BLOCKS) as usize
    }

    /// The address of the first block of that group.
    pub(super) fn group_start(&self) -> BlockAddress {
        self.blocks.start - self.blocks.start % GROUP_BLOCKS
    }

    /// Its blocks, counted from the start of the group.
    pub(super) fn local(&self) -> Range<u32> {
        let start = self.group_start();
        (self.blocks.start - start) as u32..(self.blocks.end - start) as u32
    }

    /// The same, without those below `address`.
    pub(super) fn local_from(&self, address: BlockAddress) -> Range<u32> {
        let all = self.local();
        let skip = address.saturating_sub(self.group_start()).min(u64::from(all.end)) as u32;
        all.start.max(skip)..all.end
    }

    /// Free blocks that lie in quads with a block in use.
    pub(super) fn free_in_broken_quads(&self) -> u64 {
        self.free.saturating_sub(4 * self.quads)
    }
}

/// The block behind the node zone: a multiple of 64, so that no word lies on both sides.
pub(super) fn zone_end(geometry: &Geometry) -> BlockAddress {
    let length = geometry.data_end().saturating_sub(geometry.data_start) / 16;
    let end = geometry.data_start.saturating_add(length);
    (end - end % 64).max(geometry.data_start)
}

/// The sections of a volume, in order of their addresses, with empty summaries.
pub(super) fn sections_of(geometry: &Geometry) -> Vec<Section> {
    let (mut start, end, zone_end) = (geometry.data_start, geometry.data_end(), zone_end(geometry));
    let mut sections = Vec::new();
    while start < end {
        let group_end = (start / GROUP_BLOCKS + 1).saturating_mul(GROUP_BLOCKS);
        let border = if start < zone_end { zone_end } else { end };
        let next = group_end.min(border).min(end);
        sections.push(Section::new(start..next));
        start = next;
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_tile_the_data_area_and_lie_in_one_group() {
        for block_count in [4096, 32256, 32260, 100_000, 1 << 20] {
            let geometry = Geometry::for_volume(block_count).unwrap();
            let sections = sections_of(&geometry);
            assert_eq!(sections[0].blocks.start, geometry.data_start);
            assert_eq!(sections.last().unwrap().blocks.end, geometry.data_end());
            for pair in sections.windows(2) {
                assert_eq!(pair[0].blocks.end, pair[1].blocks.start);
            }
            for section in &sections {
                let local = section.local();
                assert!(local.start < local.end && u64::from(local.end) <= GROUP_BLOCKS);
                let zone_end = zone_end(&geometry);
                assert!(section.blocks.end <= zone_end || section.blocks.start >= zone_end);
            }
        }
    }
}
