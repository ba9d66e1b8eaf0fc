//! `dump`: what is on a volume.

mod inode;
mod item;
mod log;
mod superblock;
mod tree;

pub use log::LogWalk;

use super::args::{DumpArguments, DumpWhat};
use super::error::CliResult;
use super::raw::RawImage;

/// Runs `dump`.
pub fn run(arguments: &DumpArguments) -> CliResult {
    let image = RawImage::open(&arguments.image)?;
    let json = arguments.json;
    match arguments.what {
        DumpWhat::Superblock => superblock::dump(&image, json),
        DumpWhat::Log { records } => log::dump(&image, records, json),
        DumpWhat::Tree { items } => tree::dump(&image, items, json),
        DumpWhat::Inode { number } => inode::dump(&image, number, json),
    }
}
