//! Pass 10: the data, on demand.
//!
//! Extents are gathered and read in the order in which they lie on the device, a batch at a time,
//! so that a disk with a head has little to seek.

use braidfs_format::{Extent, ExtentContent, InodeNumber, Item, Key};

use super::Known;
use crate::error::Halt;
use crate::finding::Finding;
use crate::problem::{DATA_CHECKSUM, DATA_UNREADABLE};
use crate::volume::leaves::Kinds;
use crate::volume::merged::{Source, Visitor};
use crate::volume::scope::Scope;
use crate::volume::verify::{Cause, Mismatch, Verifier, WINDOW_BLOCKS};

/// Blocks that are gathered before they are read.
const BATCH_BLOCKS: usize = 1 << 18;

/// The work of the pass: blocks of extents, as the tree has them.
pub(crate) fn units(known: &Known) -> u64 {
    known.tree.as_ref().map_or(0, |tree| tree.claims.extents().count())
}

/// Runs the pass.
pub(crate) fn run(scope: &Scope<'_>, known: &mut Known) -> Result<(), Halt> {
    let Some(merged) = known.view(scope) else { return Ok(()) };
    let verifier = Verifier::new(scope, merged.superblock);
    let mut sweep = Sweep { scope, verifier, batch: Vec::new(), blocks: 0 };
    merged.walk(Kinds::EXTENTS, &mut sweep)?;
    sweep.read_batch()?;
    known.data_blocks_read = sweep.verifier.blocks_read();
    Ok(())
}

struct Entry {
    inode: InodeNumber,
    start: u64,
    extent: Extent,
}

struct Sweep<'a> {
    scope: &'a Scope<'a>,
    verifier: Verifier<'a>,
    batch: Vec<Entry>,
    /// Blocks of the extents in the batch.
    blocks: usize,
}

impl Sweep<'_> {
    fn read_batch(&mut self) -> Result<(), Halt> {
        let mut batch = std::mem::take(&mut self.batch);
        self.blocks = 0;
        batch.sort_by_key(|entry| entry.extent.blocks());
        for (index, Entry { inode, start, extent }) in batch.iter().enumerate() {
            let ahead = contiguous_blocks(batch.get(index..).unwrap_or_default());
            for mismatch in self.verifier.mismatches(extent, ahead) {
                self.report(*inode, *start, &mismatch);
            }
            self.scope.advance(u64::from(extent.length))?;
        }
        Ok(())
    }

    fn report(&self, inode: InodeNumber, start: u64, mismatch: &Mismatch) {
        let problem = match mismatch.cause {
            Cause::Checksum { .. } => &DATA_CHECKSUM,
            Cause::Unreadable(_) | Cause::Outside | Cause::BudgetSpent => &DATA_UNREADABLE,
        };
        let finding = Finding::new(problem)
            .inode(inode)
            .offset(start + u64::from(mismatch.index))
            .block(mismatch.address)
            .detail(&mismatch.cause);
        self.scope.report(finding);
    }
}

/// How many blocks the first extents of the batch take that lie behind each other, up to what is
/// read at once.
fn contiguous_blocks(batch: &[Entry]) -> u64 {
    let mut runs = batch.iter().filter_map(|entry| entry.extent.blocks());
    let Some((start, mut length)) = runs.next() else { return 0 };
    for (next, more) in runs {
        if next != start.saturating_add(length) || length + more > WINDOW_BLOCKS {
            break;
        }
        length += more;
    }
    length
}

impl Visitor for Sweep<'_> {
    fn item(&mut self, key: Key, item: Item, _source: Source) -> Result<(), Halt> {
        let Item::Extent(extent) = item else { return Ok(()) };
        let ExtentContent::Blocks { checksums, .. } = &extent.content else { return Ok(()) };
        self.blocks += checksums.len();
        self.batch.push(Entry { inode: key.inode, start: key.offset, extent });
        if self.blocks >= BATCH_BLOCKS { self.read_batch() } else { Ok(()) }
    }
}
