//! Free space: bitmaps, allocator, ledger and defree.
mod run;
pub use run::BlockRun;
