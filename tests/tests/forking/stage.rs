//! What the tests play on: a volume over a device that holds and records, and a look at every image.

use std::fmt::Debug;
use std::sync::Arc;
use std::thread::{Scope, ScopedJoinHandle};

use braidfs::{Credentials, MountOptions, ROOT_INODE, Volume};
use braidfs_block::{BlockDevice, Event, MemoryDevice, Recording, RecordingDevice};
use braidfs_pagecache::WritebackPolicy;
use braidfs_tests::check::check_volume;
use braidfs_tests::holding::{HoldingDevice, await_that};
use braidfs_tests::world::{LOG_BLOCKS, VOLUME_BYTES, format, repeatable};

/// Bytes of a page.
pub const PAGE: usize = 4096;
/// The policies under which nobody waits for a page.
pub const NEVER_WAITING: [WritebackPolicy; 2] = [WritebackPolicy::Fork, WritebackPolicy::Copy];

/// The mark of the newest state that is known to be durable.
const ACKNOWLEDGED: &str = "acknowledged";
/// Images looked at for each moment, where not all can be.
const IMAGES: usize = 32;
/// Of the damages to the newest write, one in so many is looked at.
const SECTORS_SKIPPED: usize = 5;

/// A device that holds its flushes and records what reaches it.
pub type Device = HoldingDevice<RecordingDevice<MemoryDevice>>;

/// A mounted volume on such a device.
pub struct Stage {
    pub device: Arc<Device>,
    pub volume: Arc<Volume>,
}

impl Stage {
    /// An empty volume.
    pub fn new(policy: WritebackPolicy) -> Self {
        Self::with(MountOptions { policy, cache_bytes: Some(8 << 20), ..repeatable() })
    }

    pub fn with(options: MountOptions) -> Self {
        let memory = MemoryDevice::new(VOLUME_BYTES);
        format(&memory, LOG_BLOCKS);
        let device = Arc::new(HoldingDevice::new(RecordingDevice::new(memory)));
        let volume = Volume::mount(device.clone(), options).expect("mount");
        Self { device, volume }
    }

    /// A new file, durable.
    pub fn create(&self, name: &str) -> u64 {
        let owner = Credentials::default();
        let made = self.volume.mknod(ROOT_INODE, name.as_bytes(), 0o100_644, 0, &owner);
        let inode = made.expect("create").inode;
        self.volume.fsync(inode, false).expect("fsync");
        inode
    }

    /// Writes pages full of a byte, from the first on.
    pub fn fill(&self, inode: u64, pages: usize, byte: u8) {
        let written = self.volume.write(inode, 0, &vec![byte; pages * PAGE], false);
        assert_eq!(written.expect("write"), pages * PAGE);
    }

    /// Says that a state is durable from here on.
    pub fn acknowledge(&self, state: usize) {
        self.device.inner().mark(ACKNOWLEDGED, state as u64);
    }

    /// Starts an fsync, and returns when its delta is published and waits for the disk.
    pub fn start_fsync<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        inode: u64,
    ) -> ScopedJoinHandle<'scope, Result<(), braidfs::FsError>> {
        let before = self.deltas();
        let fsync = scope.spawn(move || self.volume.fsync(inode, false));
        await_that("a delta", || self.deltas() > before);
        self.device.flushes().await_one();
        fsync
    }

    fn deltas(&self) -> u64 {
        self.volume.statistics().store.deltas
    }
}

/// Cuts the power after every write, with a sample of what may have been lost or damaged of the writes since the
/// last flush, and sees that what a mount finds then is one of `states`, whole, and not older than what was acknowledged.
/// Returns how many images there were.
pub fn lose_power_everywhere<T: PartialEq + Debug>(
    recording: &Recording,
    states: &[T],
    look: impl Fn(&Volume) -> T,
) -> usize {
    let mut images = 0;
    for point in recording.crash_points() {
        let last = point.position().checked_sub(1).and_then(|last| recording.events().get(last));
        // What was not there a moment ago: only a write makes new images.
        if !matches!(last, Some(Event::Write { .. })) {
            continue;
        }
        let acknowledged = point.last_mark(ACKNOWLEDGED).unwrap_or(0) as usize;
        let newest = point.volatile_count().saturating_sub(1);
        let damaged = point.torn(newest).chain(point.garbage(newest)).step_by(SECTORS_SKIPPED);
        for case in point.subsets(IMAGES).chain(damaged) {
            images += 1;
            let device: Arc<dyn BlockDevice> = Arc::new(point.image(&case));
            check_volume(&device).unwrap_or_else(|problem| panic!("{case}: {problem}"));
            let options = MountOptions { cache_bytes: Some(1 << 20), ..repeatable() };
            let volume = Volume::mount(device, options).expect("every image mounts");
            let found = look(&volume);
            let state = states.iter().rposition(|state| *state == found);
            let Some(state) = state else { panic!("{case}: there never was {found:?}") };
            assert!(state >= acknowledged, "{case}: {found:?}, {acknowledged} was acknowledged");
        }
    }
    images
}

/// The content of a file, by its name.
pub fn content(volume: &Volume, name: &str) -> Option<Vec<u8>> {
    let found = volume.lookup(ROOT_INODE, name.as_bytes()).ok()?;
    let mut buffer = vec![0xee; found.size as usize];
    let count = volume.read(found.inode, 0, &mut buffer).expect("read");
    assert_eq!(count, buffer.len());
    Some(buffer)
}

/// The bytes that the pages of a file are full of.
pub fn page_bytes(volume: &Volume, name: &str) -> Vec<u8> {
    let content = content(volume, name).expect("the file is there");
    let byte_of = |page: &[u8]| {
        assert!(page.iter().all(|byte| *byte == page[0]), "a page is torn");
        page[0]
    };
    content.chunks(PAGE).map(byte_of).collect()
}
