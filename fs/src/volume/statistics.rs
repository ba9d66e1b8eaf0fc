//! Numbers about the volume.

use hdrhistogram::Histogram as Values;

use super::Volume;
use crate::statistics::{Baseline, Measure, Report, VolumeStatistics};
use crate::types::Statistics;

impl Volume {
    /// Space and inodes, as statfs(2) shows them. What is freed but waits for a unify counts as free:
    /// a writer that needs it makes the unify happen.
    pub fn statfs(&self) -> Statistics {
        let store = self.store.statistics();
        let available = store.available_blocks.saturating_add(store.pending_blocks);
        Statistics {
            block_size: braidfs_format::BLOCK_SIZE as u32,
            blocks: store.data_blocks,
            blocks_free: store.free_blocks.saturating_add(store.pending_blocks),
            blocks_available: available,
            // Inodes take what space there is: each at least a share of a node.
            inodes: store.inode_count.saturating_add(available),
            inodes_free: available,
            name_max: braidfs_format::item::MAX_NAME_BYTES as u32,
        }
    }

    /// What the volume did since it was mounted.
    pub fn statistics(&self) -> VolumeStatistics {
        let (read_bytes, written_bytes) = self.recorders.traffic_bytes();
        VolumeStatistics {
            read_bytes,
            written_bytes,
            cache: self.cache.counters(),
            store: self.store.statistics(),
            inodes_in_memory: self.inodes.len() as u64,
        }
    }

    /// The same by public names, with how long operations took.
    pub fn statistics_report(&self) -> Report {
        let baseline = self.baseline.lock();
        Report::new(&self.statistics(), &self.recorders, &baseline, self.seconds_since_mount())
    }

    /// What was measured since the last reset.
    pub fn measured(&self, measure: Measure) -> Values<u64> {
        self.recorders.values(measure)
    }

    /// Lets peaks and measurements begin anew, and counts what the counters count from here on, too.
    pub fn reset_statistics(&self) {
        let mut baseline = self.baseline.lock();
        self.recorders.reset();
        self.cache.reset_peaks();
        *baseline = Baseline::new(&self.statistics(), self.seconds_since_mount());
    }

    fn seconds_since_mount(&self) -> f64 {
        self.mounted_at.elapsed().as_secs_f64()
    }
}
