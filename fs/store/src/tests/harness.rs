//! A store beside its model.

use std::collections::BTreeSet;
use std::sync::Arc;

use braidfs_block::{BlockDevice, MemoryDevice};
use braidfs_format::{BLOCK_SIZE, Item, Key, KeyKind};

use super::model::{Edit, Model, blocks_of, change_set};
use crate::{FormatOptions, OpenOptions, ReplayReport, Reservation, Store, StoreError};

pub(super) const MIB: u64 = 1 << 20;
const LAST: Key = Key { inode: u64::MAX, kind: KeyKind::Shared, offset: u64::MAX };

/// A new volume in memory.
pub(super) fn formatted(size_bytes: u64, log_blocks: Option<u64>) -> MemoryDevice {
    let device = MemoryDevice::new(size_bytes);
    let options = FormatOptions { log_blocks, ..FormatOptions::default() };
    Store::format(&device, &options, &|_, _| {}).unwrap();
    device
}

pub(super) fn open(device: Arc<dyn BlockDevice>) -> Result<(Store, ReplayReport), StoreError> {
    Store::open(device, OpenOptions::default(), &|_, _| {})
}

pub(super) fn open_read_only(device: Arc<dyn BlockDevice>) -> (Store, ReplayReport) {
    let options = OpenOptions { read_only: true, ..OpenOptions::default() };
    Store::open(device, options, &|_, _| {}).unwrap()
}

/// A store and, by delta, what it should hold.
pub(super) struct Harness {
    pub(super) device: Arc<dyn BlockDevice>,
    pub(super) store: Arc<Store>,
    /// The state after each delta; the first is mkfs.
    pub(super) history: Vec<Model>,
    /// Only the newest state is kept.
    pub(super) forgets: bool,
}

impl Harness {
    pub(super) fn new(device: impl BlockDevice + 'static) -> Self {
        let device: Arc<dyn BlockDevice> = Arc::new(device);
        let (store, _) = open(Arc::clone(&device)).unwrap();
        let mut root = Model::default();
        root.items.insert(Key::inode(1), store.get(&Key::inode(1)).unwrap().unwrap());
        Self { device, store: Arc::new(store), history: vec![root.clone(), root], forgets: false }
    }

    pub(super) fn model(&self) -> &Model {
        self.history.last().unwrap()
    }

    pub(super) fn publish(&mut self, edits: &[Edit]) -> u64 {
        self.try_publish(edits).unwrap()
    }

    pub(super) fn try_publish(&mut self, edits: &[Edit]) -> Result<u64, StoreError> {
        let reservation = match self.store.reserve(blocks_of(edits)) {
            Ok(reservation) => reservation,
            Err(_) => {
                self.store.reclaim()?;
                self.store.reserve(blocks_of(edits))?
            }
        };
        self.try_publish_with(edits, reservation)
    }

    pub(super) fn publish_with(&mut self, edits: &[Edit], reservation: Reservation) -> u64 {
        self.try_publish_with(edits, reservation).unwrap()
    }

    fn try_publish_with(
        &mut self,
        edits: &[Edit],
        mut reservation: Reservation,
    ) -> Result<u64, StoreError> {
        let changes = change_set(&self.store, edits, &mut reservation);
        let delta = self.store.publish(changes)?;
        assert_eq!(delta, self.history.len() as u64);
        let mut next = match self.history.last_mut() {
            Some(last) if self.forgets => std::mem::take(last),
            _ => self.model().clone(),
        };
        next.apply(edits);
        self.history.push(next);
        Ok(delta)
    }

    pub(super) fn commit(&mut self, edits: &[Edit]) -> u64 {
        let delta = self.publish(edits);
        self.store.make_durable(delta).unwrap();
        delta
    }

    /// Opens the volume anew, without closing it: as after the process was killed.
    pub(super) fn reopen(&mut self) -> ReplayReport {
        let (store, report) = open(Arc::clone(&self.device)).unwrap();
        self.store = Arc::new(store);
        self.history.push(self.model().clone());
        assert_eq!(self.store.next_delta(), self.history.len() as u64);
        report
    }

    pub(super) fn check(&self) {
        compare(&self.store, self.model());
        check_space(&self.store);
    }
}

/// Compares everything in `store` with `model`.
pub(super) fn compare(store: &Store, model: &Model) {
    let all = store.range(Key::MIN, LAST, usize::MAX).unwrap();
    let expected: Vec<_> = model.items.iter().map(|(key, item)| (*key, item.clone())).collect();
    assert_eq!(all, expected);
    for (key, item) in &model.items {
        assert_eq!(store.get(key).unwrap().as_ref(), Some(item));
    }
    compare_pieces(store, &expected);
    let files: BTreeSet<u64> = super::model_edits::INODES.collect();
    files.into_iter().for_each(|inode| compare_file(store, model, inode));
}

/// Compares the count of inodes, which is exact when everything is unified.
pub(super) fn compare_inode_count(store: &Store, model: &Model) {
    let inodes = model.items.keys().filter(|key| key.kind == KeyKind::Inode).count();
    assert_eq!(store.inode_count(), inodes as u64);
}

/// Walks all items a few at a time, as readdir does.
fn compare_pieces(store: &Store, expected: &[(Key, Item)]) {
    let mut from = Key::MIN;
    let mut walked = Vec::new();
    loop {
        let piece = store.range(from, LAST, 3).unwrap();
        assert!(piece.len() <= 3);
        let Some((last, _)) = piece.last() else { break };
        from = crate::layers::successor(*last).unwrap();
        walked.extend(piece);
    }
    assert_eq!(walked, expected);
}

fn compare_file(store: &Store, model: &Model, inode: u64) {
    let mut expected = model
        .blocks
        .range((inode, 0)..(inode, u64::MAX))
        .map(|((_, block), bytes)| (*block, bytes));
    let mut end = 0;
    for mapped in store.map(inode, 0..1 << 41).unwrap() {
        assert!(mapped.start >= end, "extents overlap");
        end = mapped.start + u64::from(mapped.extent.length);
        let mut pages = vec![[0xaa_u8; BLOCK_SIZE]; mapped.extent.length as usize];
        let mut slices: Vec<_> = pages.iter_mut().collect();
        store.read_extent(&mapped.extent, 0, &mut slices).unwrap();
        for (page, block) in pages.iter().zip(mapped.start..) {
            let (expected_block, bytes) = expected.next().unwrap();
            assert_eq!(block, expected_block, "inode {inode}");
            assert!(page[..] == bytes[..], "inode {inode} block {block} differs");
        }
    }
    assert_eq!(expected.next().map(|(block, _)| block), None, "inode {inode}");
    compare_single_blocks(store, model, inode);
}

fn compare_single_blocks(store: &Store, model: &Model, inode: u64) {
    for block in (0..super::model_edits::BLOCKS + 50).step_by(37) {
        let mapped = store.map(inode, block..block + 1).unwrap();
        let expected = model.blocks.get(&(inode, block));
        assert_eq!(mapped.len(), usize::from(expected.is_some()));
        if let (Some(mapped), Some(bytes)) = (mapped.first(), expected) {
            let mut page = [0xaa; BLOCK_SIZE];
            store.read_extent(&mapped.extent, 0, &mut [&mut page]).unwrap();
            assert!(page[..] == bytes[..], "inode {inode} block {block} differs");
        }
    }
}

/// Checks that the blocks in use are those that the tree and the layers refer to, each once, and
/// those that wait to be reused. Nothing may be published or in flight meanwhile.
pub(super) fn check_space(store: &Store) {
    store.make_durable(store.next_delta() - 1).unwrap();
    let layers = store.layers.read();
    let mut used = 0;
    let mut seen = BTreeSet::new();
    let mut count = |run: crate::space::BlockRun| {
        used += run.length;
        for block in run.range() {
            assert!(seen.insert(block), "block {block} is referred to twice");
        }
    };
    layers.view().tree.visit_blocks(&mut count).unwrap();
    layers.logged().runs().for_each(&mut count);
    let counts = store.space.counts();
    assert_eq!(counts.free + counts.pending + used, counts.total, "{counts:?}");
}
