//! Every number by its name: the one table that help, man page, JSON and output are made from.

use super::VolumeStatistics;

/// How a number behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberKind {
    /// It only grows, from the mount on.
    Counter,
    /// It is what is so now.
    Amount,
    /// The highest amount since the last reset.
    Peak,
}

/// A number.
pub struct Number {
    /// Its name. What it is measured in stands at the end: `_bytes`, `_ns`; else it is a count.
    pub name: &'static str,
    /// How it behaves.
    pub kind: NumberKind,
    /// What it means.
    pub help: &'static str,
    /// Where it comes from.
    pub(super) read: fn(&VolumeStatistics) -> u64,
}

/// Numbers that are shown together.
pub struct Group {
    /// What they are about.
    pub title: &'static str,
    /// The numbers.
    pub numbers: &'static [Number],
}

/// All numbers, in the order in which they are shown.
pub fn numbers() -> impl Iterator<Item = &'static Number> {
    GROUPS.iter().flat_map(|group| group.numbers)
}

/// The groups, in the order in which they are shown.
pub fn groups() -> &'static [Group] {
    GROUPS
}

const fn counter(
    name: &'static str,
    help: &'static str,
    read: fn(&VolumeStatistics) -> u64,
) -> Number {
    Number { name, kind: NumberKind::Counter, help, read }
}

const fn amount(
    name: &'static str,
    help: &'static str,
    read: fn(&VolumeStatistics) -> u64,
) -> Number {
    Number { name, kind: NumberKind::Amount, help, read }
}

const fn peak(
    name: &'static str,
    help: &'static str,
    read: fn(&VolumeStatistics) -> u64,
) -> Number {
    Number { name, kind: NumberKind::Peak, help, read }
}

const BLOCK_BYTES: u64 = braidfs_format::BLOCK_SIZE as u64;

const GROUPS: &[Group] = &[
    Group { title: "traffic", numbers: TRAFFIC },
    Group { title: "forking", numbers: FORKING },
    Group { title: "pressure", numbers: PRESSURE },
    Group { title: "the cache", numbers: CACHE },
    Group { title: "deltas and the log", numbers: DELTAS },
    Group { title: "the device", numbers: DEVICE },
];

const FORKING: &[Number] = &[
    counter("forks", "pages written while under writeback that got a new frame", |s| s.cache.forks),
    counter("copied_bytes", "copied so that writing and writeback go on side by side", |s| {
        s.cache.bytes_copied
    }),
    amount("frozen_bytes", "held by copies that only writeback needs", |s| s.cache.frozen_bytes),
    peak("frozen_bytes_peak", "the most that was", |s| s.cache.frozen_bytes_peak),
    counter("writeback_waits", "writes that waited for the writeback of a page", |s| s.cache.waits),
    counter("writeback_wait_ns", "for how long", |s| s.cache.wait_ns),
];

const PRESSURE: &[Number] = &[
    amount("dirty_bytes", "not durable yet: open, or under writeback", |s| s.cache.dirty_bytes),
    counter("throttles", "writes held back because much is dirty", |s| s.cache.throttles),
    counter("throttle_ns", "for how long", |s| s.cache.throttle_ns),
    counter("memory_waits", "waits for a page of memory", |s| s.cache.memory_waits),
    counter("memory_wait_ns", "for how long", |s| s.cache.memory_wait_ns),
    counter("evictions", "clean pages given up for others", |s| s.cache.evictions),
];

const CACHE: &[Number] = &[
    counter("hits", "pages read from the cache", |s| s.cache.hits),
    counter("misses", "pages that had to be read or found to be holes", |s| s.cache.misses),
    counter("pages_read_ahead", "pages read before anybody asked", |s| s.cache.pages_read_ahead),
    counter("mapped_faults", "faults of memory that programs map by the library", |s| {
        s.cache.mapped_faults
    }),
    counter("mapped_pause_ns", "stores to it kept waiting by deltas, for how long", |s| {
        s.cache.mapped_pause_ns
    }),
    counter("zero_dedups", "pages of zeros kept without memory", |s| s.cache.zero_dedups),
    counter("zero_scans", "pages at rest looked at for zeros", |s| s.cache.zero_scans),
    counter("zero_finds", "those full of zeros, whose memory was given back", |s| {
        s.cache.zero_finds
    }),
    counter("zero_unshares", "pages of zeros that got memory again", |s| s.cache.zero_unshares),
    amount("cached_bytes", "held by cached pages, forked copies included", |s| {
        s.cache.frames_used * BLOCK_BYTES
    }),
    amount("cache_bytes", "that they may take", |s| s.cache.frames_total * BLOCK_BYTES),
    amount("table_bytes", "held by page tables", |s| s.cache.table_bytes),
    amount("inodes_in_memory", "files and directories in memory", |s| s.inodes_in_memory),
];

const DELTAS: &[Number] = &[
    counter("deltas", "transactions written to the log", |s| s.store.deltas),
    counter("log_written_bytes", "written to the log", |s| s.store.log_bytes),
    counter("flushes", "flushes of the device for deltas", |s| s.store.flushes),
    counter("flush_ns", "time spent in them", |s| s.store.flush_ns),
    counter("unifies", "times the log was folded into the tree", |s| s.store.unifies),
    counter("unify_ns", "time spent on that", |s| s.store.unify_ns),
    amount("log_used_bytes", "of the log that are not folded yet", |s| {
        s.store.log_used_blocks * BLOCK_BYTES
    }),
    amount("overlay_keys", "keys in memory that the tree does not have yet", |s| {
        s.store.overlay_keys
    }),
];

const DEVICE: &[Number] = &[
    counter("data_written_bytes", "file data written to the device", |s| {
        s.store.data_blocks_written * BLOCK_BYTES
    }),
    counter("data_read_bytes", "file data read, holes and inline content included", |s| {
        s.store.data_blocks_read * BLOCK_BYTES
    }),
    counter("node_hits", "tree nodes found in memory", |s| s.store.node_hits),
    counter("node_misses", "tree nodes read from the device", |s| s.store.node_misses),
    amount("free_bytes", "free on the volume", |s| s.store.free_blocks * BLOCK_BYTES),
    amount("pending_bytes", "not needed any more, but not reusable yet", |s| {
        s.store.pending_blocks * BLOCK_BYTES
    }),
];

const TRAFFIC: &[Number] = &[
    counter("read_bytes", "read by programs, what the kernel had cached aside", |s| s.read_bytes),
    counter("written_bytes", "written by programs, when the kernel hands it over", |s| {
        s.written_bytes
    }),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::Measure;

    #[test]
    fn names_stand_once_and_say_what_they_mean() {
        let measures = Measure::ALL.iter().map(|measure| (measure.name(), measure.help()));
        let all: Vec<_> =
            numbers().map(|number| (number.name, number.help)).chain(measures).collect();
        for (at, (name, help)) in all.iter().enumerate() {
            assert!(all[..at].iter().all(|(other, _)| other != name), "{name} stands twice");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b"_".contains(&b)), "{name}");
            assert!(!help.is_empty(), "{name}");
        }
        for number in numbers() {
            assert_eq!(number.name.ends_with("_peak"), number.kind == NumberKind::Peak);
        }
    }
}
