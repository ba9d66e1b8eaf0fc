//! A volume and its model, side by side.
//!
//! A [`World`] applies each step to both and insists that both agree: on the outcome, and afterwards on
//! the whole tree.

mod read;
mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use braidfs::{FsError, FsErrorKind, MountOptions, Volume};
use braidfs_block::BlockDevice;
use braidfs_format::Timestamp;
use braidfs_store::{FormatOptions, Store};
use uuid::Uuid;

use crate::model::{Model, Tree, differences};
use crate::steps::Step;
pub use read::{read_attributes, read_content, read_tree};
pub use steps::resolve;

/// How large the log of a test's volume is.
pub const LOG_BLOCKS: u64 = 256;
/// The smallest volume there is.
pub const VOLUME_BYTES: u64 = 16 << 20;

/// A volume below FUSE, and what it must look like.
pub struct World {
    /// The device under the volume.
    pub device: Arc<dyn BlockDevice>,
    /// The mounted volume.
    pub volume: Arc<Volume>,
    /// What it must look like.
    pub model: Model,
    options: MountOptions,
    held: BTreeMap<u8, u64>,
    /// Inodes that are kept in memory, as a kernel's cache does; `None` if nothing is kept.
    cached: Option<BTreeSet<u64>>,
}

/// Mount options under which every step is repeatable.
pub fn repeatable() -> MountOptions {
    MountOptions { background: false, cache_bytes: Some(16 << 20), ..MountOptions::default() }
}

/// Makes a volume that is the same every time.
///
/// # Panics
/// If it can't be made.
pub fn format(device: &dyn BlockDevice, log_blocks: u64) {
    let options = FormatOptions {
        volume_id: Some(Uuid::from_u128(7)),
        log_blocks: Some(log_blocks),
        hash_key: Some([7; 16]),
        created_at: Some(Timestamp { seconds: 1_700_000_000, nanoseconds: 7 }),
        ..FormatOptions::default()
    };
    Store::format(device, &options, &|_, _| ()).expect("a volume can be made");
}

impl World {
    /// A fresh volume on `device`.
    ///
    /// # Panics
    /// If it can't be made or mounted.
    pub fn new(device: Arc<dyn BlockDevice>, options: MountOptions) -> Self {
        format(&device, LOG_BLOCKS);
        Self::mount(device, options)
    }

    /// The empty volume that is on `device`.
    ///
    /// # Panics
    /// If it can't be mounted.
    pub fn mount(device: Arc<dyn BlockDevice>, options: MountOptions) -> Self {
        let volume = Volume::mount(device.clone(), options.clone()).expect("a fresh volume mounts");
        let (model, held) = (Model::new(), BTreeMap::new());
        Self { device, volume, model, options, held, cached: None }
    }

    /// Applies a step to both and checks that both agree on whether it works. True if it does.
    ///
    /// # Panics
    /// If they do not agree.
    pub fn apply(&mut self, step: &Step) -> bool {
        if let Step::Remount = step {
            self.remount();
            return true;
        }
        let expected = self.apply_to_model(step);
        let found = self.apply_to_volume(step);
        let errno = found.as_ref().map(|_| ()).map_err(FsError::errno);
        assert_eq!(errno, expected, "{step:?}: {found:?}");
        self.update_cache();
        expected.is_ok()
    }

    /// As [`Self::apply`], but the volume may find that there is no space: then nothing may have changed. True if so.
    ///
    /// # Panics
    /// If volume and model do not agree.
    pub fn apply_unless_full(&mut self, step: &Step) -> bool {
        let before = self.model.clone();
        let expected = self.apply_to_model(step);
        let found = self.apply_to_volume(step);
        if found.as_ref().is_err_and(|error| error.kind() == FsErrorKind::NoSpace) {
            self.model = before;
            self.compare();
            return true;
        }
        let errno = found.as_ref().map(|_| ()).map_err(FsError::errno);
        assert_eq!(errno, expected, "{step:?}: {found:?}");
        self.update_cache();
        false
    }

    /// Applies a step again to a model that was set back and has other things staged now; what readers see must come
    /// out as `after`.
    ///
    /// # Panics
    /// If it does not.
    pub(crate) fn repeat_on_model(&mut self, step: &Step, after: &Model) {
        let _ = self.apply_to_model(step);
        assert!(self.model.live_tree() == after.live_tree(), "the model is not repeatable");
    }

    /// Keeps everything that has a name in memory from now on, as a kernel's cache does.
    pub fn cache_everything(&mut self) {
        self.cached = Some(BTreeSet::new());
    }

    /// Brings what is kept in memory up to date.
    fn update_cache(&mut self) {
        let Some(cached) = &mut self.cached else { return };
        let mut gone = std::mem::take(cached);
        for kind in ['f', 'd', 'l'] {
            for path in self.model.paths(kind) {
                let Ok(inode) = steps::resolve(&self.volume, &path) else { continue };
                if !gone.remove(&inode) && !cached.contains(&inode) {
                    steps::keep(&self.volume, &path);
                }
                cached.insert(inode);
            }
        }
        gone.into_iter().for_each(|inode| self.volume.forget(inode, 1));
    }

    /// Applies a step to the model alone.
    ///
    /// # Errors
    /// The error number that the operation must fail with.
    pub fn apply_to_model(&mut self, step: &Step) -> Result<(), i32> {
        steps::apply_to_model(&mut self.model, step)
    }

    /// Applies a step to the volume alone.
    ///
    /// # Errors
    /// Those of the operation.
    pub fn apply_to_volume(&mut self, step: &Step) -> Result<(), FsError> {
        steps::apply_to_volume(&self.volume, &mut self.held, step)
    }

    /// Unmounts in order and mounts again.
    ///
    /// # Panics
    /// If that fails.
    pub fn remount(&mut self) {
        self.unmount();
        self.mount_again();
    }

    /// Mounts what was unmounted.
    ///
    /// # Panics
    /// If that fails.
    pub fn mount_again(&mut self) {
        self.volume = Volume::mount(self.device.clone(), self.options.clone()).expect("mount");
    }

    /// Unmounts in order and mounts again; every attribute must be what it was.
    ///
    /// # Panics
    /// If not.
    pub fn remount_and_compare_attributes(&mut self) {
        self.volume.syncfs().expect("sync");
        // Without access times, which looking at things changes.
        let attributes = |volume: &Volume| {
            let mut found = read_attributes(volume).expect("readable");
            found.values_mut().for_each(|one| one.accessed = Timestamp::default());
            found
        };
        let before = attributes(&self.volume);
        self.remount();
        for (path, found) in attributes(&self.volume) {
            assert_eq!(before.get(&path), Some(&found), "{path:?} has other attributes");
        }
    }

    /// Lets go what is held and unmounts in order.
    ///
    /// # Panics
    /// If that fails.
    pub fn unmount(&mut self) {
        for holder in std::mem::take(&mut self.held) {
            steps::let_go(&self.volume, holder);
        }
        for inode in self.cached.iter_mut().flat_map(std::mem::take) {
            self.volume.forget(inode, 1);
        }
        self.model.release_everything();
        self.volume.unmount().expect("unmount");
        self.model.stage_everything();
    }

    /// Checks that a reader of the volume sees what a reader of the model sees.
    ///
    /// # Panics
    /// If not.
    pub fn compare(&self) {
        let found = self.tree();
        let differences = differences(&self.model.live_tree(), &found);
        assert!(differences.is_empty(), "the volume differs from its model:\n{differences}");
        for (holder, content) in self.model.held_contents().expect("the model is sound") {
            let found = read::read_content(&self.volume, self.held[&holder]).expect("readable");
            assert!(found == content, "what holder {holder} holds differs from its model");
        }
    }

    /// The volume's tree as a reader sees it.
    ///
    /// # Panics
    /// If anything can't be read.
    pub fn tree(&self) -> Tree {
        read_tree(&self.volume).expect("the tree can be read")
    }
}
