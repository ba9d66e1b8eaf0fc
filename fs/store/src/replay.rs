//! Replay: what the log holds beyond the tree becomes the logged layer again.
//!
//! The chain of transactions is walked to its end. Those that a `durable_through` mark in the chain
//! covers are applied as they are. The data of the others may not have reached the device although
//! the transaction did, since both are flushed together; so each of their blocks is read and
//! compared with its checksum, and the first transaction that does not hold ends the replay.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use braidfs_block::BlockDevice;
use braidfs_format::{
    BLOCK_SIZE, BlockAddress, DeltaNumber, ExtentContent, Geometry, LogRecord, Superblock,
};

use crate::change::check_record;
use crate::data::check_block;
use crate::error::{ErrorContext, StoreError, StoreErrorKind};
use crate::layers::{AnyShared, Layer, Layers};
use crate::log::{LogReader, Placed, RingStart, Step};
use crate::range_counts::RangeCounts;
use crate::space::{BlockRun, Space};

/// Blocks of data that are read at once to be verified.
const BATCH_BLOCKS: usize = 256;

/// What a replay found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReplayReport {
    /// Deltas that were applied.
    pub deltas: u64,
    /// Bytes of their transactions.
    pub bytes: u64,
    /// Blocks of data that were read to verify deltas not known to be durable.
    pub verified_blocks: u64,
    /// Why the last transaction was not applied, if one was there that is not whole: it was under
    /// way when the volume was last used, and nobody was told that it is durable.
    pub discarded: Option<String>,
    /// Whether the volume had been closed in order: then there was nothing to replay.
    pub clean: bool,
    /// How long it took.
    pub duration: Duration,
}

/// The log as replay leaves it.
#[derive(Debug)]
pub(crate) struct Replayed {
    pub(crate) report: ReplayReport,
    /// The transactions that were applied.
    pub(crate) transactions: VecDeque<Placed>,
    /// The highest mark in the chain.
    pub(crate) recorded: DeltaNumber,
    /// Whether it found shared blocks.
    pub(crate) any_shared: AnyShared,
    /// What each applied delta superseded.
    superseded: Vec<(DeltaNumber, Vec<BlockRun>)>,
}

/// Where the log begins after the last unify.
pub(crate) fn ring_start(superblock: &Superblock) -> RingStart {
    RingStart {
        delta: superblock.unified_through,
        position: superblock.log_tail,
        checksum: superblock.log_previous_checksum,
    }
}

/// Replays the log of the volume into `layers`. `progress` is told blocks of the ring that were
/// walked, and blocks it has.
pub(crate) fn replay(
    device: &dyn BlockDevice,
    superblock: &Superblock,
    layers: &mut Layers,
    progress: &dyn Fn(u64, u64),
) -> Result<Replayed, StoreError> {
    let began = Instant::now();
    let geometry = superblock.geometry;
    let mut reader =
        LogReader::new(device, &geometry, superblock.volume_id, ring_start(superblock));
    let mut replay = Replay::new(device, geometry, superblock, layers);
    loop {
        match reader.next()? {
            Step::Transaction(placed, records) => replay.accept(placed, records)?,
            Step::End(reason) => {
                replay.out.report.discarded = reason;
                break;
            }
        }
        progress(reader.walked(), geometry.log_blocks);
    }
    replay.verify_rest()?;
    let mut out = replay.out;
    out.report.clean = superblock.clean && out.report.deltas == 0 && out.report.discarded.is_none();
    out.report.duration = began.elapsed();
    Ok(out)
}

impl Replayed {
    /// Takes the blocks of the replayed layers out of the free space. Those that were superseded
    /// by deltas beyond the mark stay unavailable too: another replay would verify them.
    pub(crate) fn adopt(&mut self, layers: &Layers, space: &Space) -> Result<(), StoreError> {
        for run in layers.logged().runs() {
            space.adopt(run)?;
        }
        for (delta, runs) in std::mem::take(&mut self.superseded) {
            if delta > self.recorded {
                for run in runs {
                    space.adopt(run)?;
                    space.free_after(run, delta)?;
                }
            }
        }
        Ok(())
    }

    /// As [`Self::adopt`], on a volume whose extents may share blocks.
    pub(crate) fn adopt_shared(
        &mut self,
        layers: &mut Layers,
        space: &Space,
    ) -> Result<(), StoreError> {
        let mut references = RangeCounts::default();
        layers.logged().runs().for_each(|run| references.change(run, |count| count + 1));
        let mut tracked = RangeCounts::default();
        for (run, count) in references.iter() {
            for (part, in_tree) in space.parts_in_tree(run)? {
                if !in_tree {
                    space.adopt(part)?;
                }
                if in_tree || count > 1 {
                    tracked.change(part, |_| count);
                }
            }
        }
        layers.set_sharing(tracked, &self.any_shared);
        // The newest first: a block that several deltas superseded waits for the last of them.
        for (delta, runs) in std::mem::take(&mut self.superseded).into_iter().rev() {
            if delta > self.recorded {
                runs.into_iter().try_for_each(|run| adopt_superseded(space, run, delta))?;
            }
        }
        Ok(())
    }
}

/// Takes what `delta` superseded, and nothing refers to any more, out of the free space for a while.
fn adopt_superseded(space: &Space, run: BlockRun, delta: DeltaNumber) -> Result<(), StoreError> {
    for (part, in_use) in space.parts_in_use(run)? {
        if !in_use {
            space.adopt(part)?;
            space.free_after(part, delta)?;
        }
    }
    Ok(())
}

struct Replay<'a> {
    device: &'a dyn BlockDevice,
    geometry: Geometry,
    layers: &'a mut Layers,
    /// Transactions that no mark covers yet.
    waiting: VecDeque<(Placed, Vec<LogRecord>)>,
    out: Replayed,
}

impl<'a> Replay<'a> {
    fn new(
        device: &'a dyn BlockDevice,
        geometry: Geometry,
        superblock: &Superblock,
        layers: &'a mut Layers,
    ) -> Self {
        let out = Replayed {
            report: ReplayReport::default(),
            transactions: VecDeque::new(),
            recorded: superblock.unified_through,
            any_shared: AnyShared::default(),
            superseded: Vec::new(),
        };
        Self { device, geometry, layers, waiting: VecDeque::new(), out }
    }

    fn accept(&mut self, placed: Placed, records: Vec<LogRecord>) -> Result<(), StoreError> {
        for record in &records {
            check_record(record, &self.geometry).doing("replaying the log")?;
        }
        self.out.recorded = self.out.recorded.max(placed.durable_through);
        self.waiting.push_back((placed, records));
        while self.waiting.front().is_some_and(|(next, _)| next.delta <= self.out.recorded) {
            if let Some((placed, records)) = self.waiting.pop_front() {
                self.apply(placed, records);
            }
        }
        Ok(())
    }

    /// Applies what no mark covers, as long as the data fits.
    fn verify_rest(&mut self) -> Result<(), StoreError> {
        while let Some((placed, records)) = self.waiting.pop_front() {
            match self.verify(placed.delta, &records) {
                Ok(()) => self.apply(placed, records),
                Err(error) if error.kind() == StoreErrorKind::Corrupt => {
                    let reason = format!("the data of delta {} is not whole", placed.delta);
                    tracing::info!(%error, "{reason}");
                    self.out.report.discarded = Some(reason);
                    self.waiting.clear();
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn apply(&mut self, placed: Placed, records: Vec<LogRecord>) {
        self.out.report.deltas += 1;
        self.out.report.bytes += placed.blocks * BLOCK_SIZE as u64;
        self.out.transactions.push_back(placed);
        let superseded = &mut self.out.superseded;
        self.layers.publish(Layer::from_records(records, placed.delta, placed.next_inode));
        self.layers.merge_through(placed.delta, |delta, runs| superseded.push((delta, runs)));
    }

    /// Reads every block of data that `delta` has written, in order of addresses. Older blocks that
    /// it refers to, as those of a file that it shares, were verified with the delta of their birth.
    fn verify(&mut self, delta: DeltaNumber, records: &[LogRecord]) -> Result<(), StoreError> {
        let mut blocks: Vec<(BlockAddress, u32)> = Vec::new();
        for record in records {
            if let LogRecord::Map { change, .. } = record
                && let Some(ExtentContent::Blocks { address, checksums, birth }) =
                    change.extent.as_ref().map(|extent| &extent.content)
                && *birth >= delta
            {
                blocks.extend((*address..).zip(checksums.iter().copied()));
            }
        }
        blocks.sort_unstable();
        self.out.report.verified_blocks += blocks.len() as u64;
        let mut rest = blocks.as_slice();
        let mut buffer = Vec::new();
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(contiguous(rest));
            self.verify_batch(batch, &mut buffer)?;
            rest = later;
        }
        Ok(())
    }

    fn verify_batch(
        &self,
        batch: &[(BlockAddress, u32)],
        buffer: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        let Some((start, _)) = batch.first() else { return Ok(()) };
        buffer.resize(batch.len() * BLOCK_SIZE, 0);
        self.device
            .read_at(start * BLOCK_SIZE as u64, buffer)
            .doing("verifying the data of a logged delta")
            .at_block(*start)?;
        for ((address, checksum), block) in batch.iter().zip(buffer.chunks_exact(BLOCK_SIZE)) {
            check_block(block, *checksum, *address)?;
        }
        Ok(())
    }
}

/// How many of the first of `blocks` lie side by side, up to a batch.
fn contiguous(blocks: &[(BlockAddress, u32)]) -> usize {
    let joined = blocks
        .windows(2)
        .take(BATCH_BLOCKS - 1)
        .take_while(|pair| matches!(pair, [(before, _), (after, _)] if before + 1 == *after));
    joined.count() + 1
}
