//! All copies of the superblock.

use std::io::{self, Write};

use braidfs_format::Superblock;
use serde::Serialize;

use crate::cli::error::CliResult;
use crate::cli::output::{done, json as print_json};
use crate::cli::raw::{RawImage, SuperblockCopy};
use crate::cli::time::utc;

#[derive(Debug, Serialize)]
struct View {
    block: u64,
    error: Option<String>,
    #[serde(flatten)]
    fields: Option<Fields>,
}

#[derive(Debug, Serialize)]
struct Fields {
    format_version: u32,
    compat: u64,
    read_only_compat: u64,
    incompat: u64,
    uuid: String,
    label: String,
    sequence: u64,
    block_count: u64,
    group_count: u64,
    bitmap_start: u64,
    log_start: u64,
    log_blocks: u64,
    data_start: u64,
    made_at: String,
    root_address: u64,
    root_birth: u64,
    root_checksum: u32,
    root_level: u8,
    node_count: u64,
    inode_count: u64,
    used_blocks: u64,
    unified_through: u64,
    log_tail: u64,
    log_previous_checksum: u32,
    next_inode: u64,
    clean: bool,
}

/// Dumps all copies.
pub fn dump(image: &RawImage, json: bool) -> CliResult {
    let views: Vec<View> = image.superblocks()?.iter().map(View::new).collect();
    if json {
        return print_json(&views);
    }
    let mut out = io::stdout().lock();
    done(views.iter().try_for_each(|view| view.write(&mut out)))
}

impl View {
    fn new(copy: &SuperblockCopy) -> Self {
        let (fields, error) = match &copy.content {
            Ok(superblock) => (Some(Fields::new(superblock)), None),
            Err(error) => (None, Some(error.to_string())),
        };
        Self { block: copy.address, error, fields }
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        if let Some(error) = &self.error {
            return writeln!(out, "block {}: {error}", self.block);
        }
        writeln!(out, "block {}:", self.block)?;
        let Ok(serde_json::Value::Object(fields)) = serde_json::to_value(&self.fields) else {
            return Ok(());
        };
        fields.iter().try_for_each(|(name, value)| writeln!(out, "  {name:<22} {value}"))
    }
}

impl Fields {
    fn new(superblock: &Superblock) -> Self {
        let geometry = &superblock.geometry;
        Self {
            format_version: superblock.format_version,
            compat: superblock.compat.bits(),
            read_only_compat: superblock.read_only_compat.bits(),
            incompat: superblock.incompat.bits(),
            uuid: superblock.volume_id.to_string(),
            label: superblock.label.clone(),
            sequence: superblock.sequence,
            block_count: geometry.block_count,
            group_count: geometry.group_count,
            bitmap_start: geometry.bitmap_start,
            log_start: geometry.log_start,
            log_blocks: geometry.log_blocks,
            data_start: geometry.data_start,
            made_at: utc((superblock.created_at_ns / 1_000_000_000) as i64),
            root_address: superblock.root.address,
            root_birth: superblock.root.birth,
            root_checksum: superblock.root.checksum,
            root_level: superblock.root_level,
            node_count: superblock.node_count,
            inode_count: superblock.inode_count,
            used_blocks: superblock.used_blocks,
            unified_through: superblock.unified_through,
            log_tail: superblock.log_tail,
            log_previous_checksum: superblock.log_previous_checksum,
            next_inode: superblock.next_inode,
            clean: superblock.clean,
        }
    }
}
