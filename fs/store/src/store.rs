//! The store itself: what it is made of, how it is opened and closed.
//!
//! Lock order, first to last: `unify_lock`, `ring`, `layers`, `superblock`, the metadata reserve,
//! the locks of the space, those of the node cache. The flusher's state and the poison are leaves
//! and may be asked anywhere. No device is written, read or flushed under `layers` or `superblock`;
//! `ring` is held while a transaction is written, `unify_lock` for a whole unify.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use braidfs_block::BlockDevice;
use braidfs_format::{Geometry, IncompatFeatures, InodeNumber, NameHasher, Superblock};
use parking_lot::{Mutex, RwLock};
use uuid::Uuid;

use crate::change::ChangeSet;
use crate::error::{StoreError, StoreErrorKind};
use crate::flusher::{Flusher, Written};
use crate::layers::{AnyShared, Layers};
use crate::log::Ring;
use crate::metadata_reserve::MetadataReserve;
use crate::poison::Poison;
use crate::replay::{ReplayReport, Replayed, replay, ring_start};
use crate::space::{Reservation, Space};
use crate::statistics::Counters;
use crate::superblocks;
use crate::tree::{NodeStore, Tree};
use crate::unify::Reason;

/// How a volume is to be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenOptions {
    /// Nothing is ever written, not even what a replay finds.
    pub read_only: bool,
    /// Memory for tree nodes.
    pub node_cache_bytes: usize,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { read_only: false, node_cache_bytes: 64 << 20 }
    }
}

/// What may be done with the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Access {
    ReadWrite,
    ReadOnly,
    Closed,
}

/// The persistent key space of a volume. All methods may be called from several threads, but
/// publishes, and closing, are for the caller to serialise.
pub struct Store {
    pub(crate) device: Arc<dyn BlockDevice>,
    pub(crate) geometry: Geometry,
    hasher: NameHasher,
    access: AtomicU8,
    pub(crate) unify_lock: Mutex<()>,
    pub(crate) ring: Mutex<Ring>,
    pub(crate) layers: RwLock<Layers>,
    /// Whether the layers count references to shared blocks.
    pub(crate) any_shared: AnyShared,
    /// The next unify must write that extents may share blocks.
    pub(crate) wants_sharing: AtomicBool,
    /// The one in force.
    pub(crate) superblock: Mutex<Superblock>,
    pub(crate) metadata_reserve: MetadataReserve,
    pub(crate) space: Arc<Space>,
    pub(crate) nodes: Arc<NodeStore>,
    pub(crate) flusher: Flusher,
    pub(crate) poison: Poison,
    pub(crate) counters: Counters,
}

impl Store {
    /// Opens the volume on `device` and replays its log; `progress` is told how far that is, in
    /// blocks of the log. Unless it is opened read-only, a first transaction of this mount is
    /// written and flushed, so that what the replay left out can never come back.
    ///
    /// # Errors
    /// [`StoreErrorKind::NotAVolume`], [`StoreErrorKind::Unsupported`] and
    /// [`StoreErrorKind::Corrupt`] for what is on the device, [`StoreErrorKind::ReadOnly`] if the
    /// device or the volume can only be read, and failures of the device.
    pub fn open(
        device: Arc<dyn BlockDevice>,
        options: OpenOptions,
        progress: &dyn Fn(u64, u64),
    ) -> Result<(Self, ReplayReport), StoreError> {
        let superblock = superblocks::choose(&*device)?;
        check_access(&*device, &superblock, &options)?;
        let nodes =
            NodeStore::new(Arc::clone(&device), superblock.volume_id, options.node_cache_bytes);
        let tree = Tree::open(Arc::clone(&nodes), superblock.root, superblock.root_level);
        let space = Arc::new(Space::load(&*device, &superblock, &tree)?);
        let mut layers = Layers::new(
            tree,
            superblock.unified_through,
            superblock.next_inode,
            Arc::clone(&space),
        );
        let mut replayed = replay(&*device, &superblock, &mut layers, progress)?;
        if superblock.incompat.contains(IncompatFeatures::SHARED_EXTENTS) {
            replayed.adopt_shared(&mut layers, &space)?;
        } else {
            replayed.adopt(&layers, &space)?;
        }
        let report = std::mem::take(&mut replayed.report);
        let store = Self::assemble(device, &options, superblock, layers, nodes, space, replayed);
        if !options.read_only {
            store.begin_mount()?;
        }
        Ok((store, report))
    }

    fn assemble(
        device: Arc<dyn BlockDevice>,
        options: &OpenOptions,
        superblock: Superblock,
        layers: Layers,
        nodes: Arc<NodeStore>,
        space: Arc<Space>,
        replayed: Replayed,
    ) -> Self {
        let geometry = superblock.geometry;
        let mount_id = Uuid::new_v4().as_u64_pair().0;
        let Replayed { transactions, recorded, any_shared, .. } = replayed;
        let written = newest(&transactions, &superblock);
        let start = ring_start(&superblock);
        let ring = Ring::new(&geometry, superblock.volume_id, mount_id, start, transactions);
        let access = if options.read_only { Access::ReadOnly } else { Access::ReadWrite };
        Self {
            device,
            geometry,
            hasher: NameHasher::new(superblock.hash_key),
            access: AtomicU8::new(access as u8),
            unify_lock: Mutex::new(()),
            ring: Mutex::new(ring),
            layers: RwLock::new(layers),
            any_shared,
            wants_sharing: AtomicBool::new(false),
            superblock: Mutex::new(superblock),
            metadata_reserve: MetadataReserve::default(),
            space,
            nodes,
            flusher: Flusher::new(written, recorded),
            poison: Poison::default(),
            counters: Counters::default(),
        }
    }

    fn begin_mount(&self) -> Result<(), StoreError> {
        let delta =
            self.publish(ChangeSet { next_inode: self.next_inode(), ..ChangeSet::default() })?;
        self.make_durable(delta)
    }

    /// Makes everything durable, unifies it and marks the volume as closed. Later changes are
    /// refused; reads still work. Closing again, or closing what is read-only, does nothing.
    ///
    /// If there is no space to unify, the deltas stay in the log, and the next mount replays them.
    ///
    /// # Errors
    /// Those of [`Store::make_durable`], and failures of the device; the volume is then open still.
    pub fn close(&self) -> Result<(), StoreError> {
        if self.access.load(Ordering::Acquire) != Access::ReadWrite as u8 {
            return Ok(());
        }
        self.poison.check()?;
        let _turn = self.unify_lock.lock();
        self.make_durable(self.flusher.written())?;
        match self.unify_durable(Reason::Closing) {
            Err(error) if error.kind() == StoreErrorKind::NoSpace => {
                tracing::warn!(%error, "the log stays as it is; the next mount replays it");
            }
            outcome => outcome?,
        }
        self.access.store(Access::Closed as u8, Ordering::Release);
        Ok(())
    }

    /// Reserves `blocks` blocks for data to come.
    ///
    /// # Errors
    /// [`StoreErrorKind::NoSpace`] if they cannot be promised; [`Store::reclaim`] may help.
    pub fn reserve(&self, blocks: u64) -> Result<Reservation, StoreError> {
        if blocks > 0 && self.metadata_reserve.is_full() {
            let detail = "what is left is needed for metadata; delete something and try again";
            return Err(StoreError::no_space("reserving space", detail));
        }
        self.space.reserve(blocks, 0)
    }

    /// Reserves `blocks` blocks for data that takes the place of as many that were just given up for
    /// it, as preallocated ones: if there are no others they come out of what is held for metadata,
    /// which gets the freed ones in turn.
    ///
    /// # Errors
    /// [`StoreErrorKind::NoSpace`] if not even that is enough.
    pub fn reserve_prepaid(&self, blocks: u64) -> Result<Reservation, StoreError> {
        self.metadata_reserve.lend(&self.space, blocks)
    }

    /// Refuses what would change the volume if that cannot be done.
    pub(crate) fn check_writable(&self) -> Result<(), StoreError> {
        let read_only =
            |detail| Err(StoreError::new(StoreErrorKind::ReadOnly, "changing the volume", detail));
        match self.access.load(Ordering::Acquire) {
            access if access == Access::ReadOnly as u8 => read_only("it was opened read-only"),
            access if access == Access::Closed as u8 => read_only("it was closed already"),
            _ => self.poison.check(),
        }
    }

    /// The failure that stops all changes, if there was one.
    pub fn poisoned(&self) -> Option<StoreError> {
        self.poison.first().cloned()
    }

    /// The superblock in force, as the last unify wrote it.
    pub fn superblock(&self) -> Superblock {
        self.superblock.lock().clone()
    }

    /// Hashes names with the volume's secret.
    pub fn name_hasher(&self) -> &NameHasher {
        &self.hasher
    }

    /// The next inode number to hand out, as of the newest published delta.
    pub fn next_inode(&self) -> InodeNumber {
        self.layers.read().next_inode()
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("geometry", &self.geometry).finish_non_exhaustive()
    }
}

/// Refuses to open for writing what can only be read.
fn check_access(
    device: &dyn BlockDevice,
    superblock: &Superblock,
    options: &OpenOptions,
) -> Result<(), StoreError> {
    let refuse = |kind, detail| Err(StoreError::new(kind, "opening the volume", detail));
    if !options.read_only && device.geometry().read_only {
        return refuse(StoreErrorKind::ReadOnly, "the device is read-only; open it read-only");
    }
    if !options.read_only && superblock.requires_read_only() {
        let detail = "it has features that only a newer braidfs can write; open it read-only";
        return refuse(StoreErrorKind::Unsupported, detail);
    }
    Ok(())
}

/// The newest transaction that was applied, or what the last unify stands for.
fn newest(transactions: &VecDeque<crate::log::Placed>, superblock: &Superblock) -> Written {
    let unified = superblock.unified_through;
    transactions.back().map_or(Written { delta: unified, durable_through: unified }, |placed| {
        Written { delta: placed.delta, durable_through: placed.durable_through }
    })
}
