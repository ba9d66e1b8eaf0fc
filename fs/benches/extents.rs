//! Reads that miss the page cache: how often the store is asked where blocks are, and what a read
//! takes. `cargo bench -p braidfs --bench extents -- [--quick]`.
//!
//! The volume is in memory, so that what is measured is the way to the block, its copy and its
//! checksum, and no device. Before each round the volume is mounted anew, with a cache far smaller
//! than the file.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::time::Instant;

use braidfs::{Credentials, MkfsOptions, MountOptions, ROOT_INODE, Volume};
use braidfs_block::{BlockDevice, MemoryDevice};
use braidfs_measure::{Figure, Report, Samples};

const MIB: u64 = 1 << 20;
const PAGE: u64 = 4096;

fn main() {
    let mut report = Report::from_arguments("extents", &["reads"]);
    report.group("reads", reads);
    report.finish().expect("the figures can be written");
}

/// How the file was written.
#[derive(Clone, Copy)]
enum Layout {
    /// In one go: extents of up to 1 MiB.
    Long,
    /// Every other page anew after that: an extent a page.
    Short,
    /// Every other MiB is a hole.
    Sparse,
}

/// How it is read.
#[derive(Clone, Copy)]
enum Order {
    /// In order, 128 KiB at a time.
    Sequential,
    /// A page anywhere, each once.
    Random,
}

fn reads(report: &mut Report) {
    let mebibytes = report.choose(128, 16);
    for (layout, what) in [
        (Layout::Long, "long extents"),
        (Layout::Short, "short extents"),
        (Layout::Sparse, "half holes"),
    ] {
        let (device, inode) = volume_with(mebibytes, layout);
        for (order, how) in [(Order::Sequential, "in order"), (Order::Random, "anywhere")] {
            let (mut lookups, mut time) = (Samples::default(), Samples::default());
            for _ in 0..report.choose(7, 2) {
                let (count, ns) = read_cold(&device, inode, mebibytes, order);
                lookups.push(count / mebibytes as f64);
                time.push(ns / (mebibytes * MIB / PAGE) as f64);
            }
            let name = format!("cold reads {how}, {what}");
            let unit = "look-ups";
            report.add(
                Figure::less_is_better(&name, lookups.median(), unit)
                    .note("in the store's maps, a MiB read"),
            );
            report
                .add(Figure::less_is_better(name, time.min(), "ns").note("a page of 4 KiB, least"));
        }
    }
}

fn options() -> MountOptions {
    MountOptions { background: false, cache_bytes: Some(8 * MIB), ..MountOptions::default() }
}

/// A volume with a file of that size, and the file's number.
fn volume_with(mebibytes: u64, layout: Layout) -> (Arc<dyn BlockDevice>, u64) {
    let device: Arc<dyn BlockDevice> = Arc::new(MemoryDevice::new((4 * mebibytes + 64) * MIB));
    Volume::mkfs(&device, &MkfsOptions::default(), &|_, _| ()).expect("mkfs");
    let volume = Volume::mount(device.clone(), options()).expect("mount");
    let owner = Credentials::default();
    let inode = volume.mknod(ROOT_INODE, b"file", 0o100_644, 0, &owner).expect("mknod").inode;
    for at in 0..mebibytes {
        if !matches!(layout, Layout::Sparse) || at % 2 == 1 {
            write(&volume, inode, at * MIB, &[7; MIB as usize]);
        }
    }
    volume.syncfs().expect("sync");
    if matches!(layout, Layout::Short) {
        for page in (0..mebibytes * MIB / PAGE).step_by(2) {
            write(&volume, inode, page * PAGE, &[8; PAGE as usize]);
        }
    }
    volume.unmount().expect("unmount");
    (device, inode)
}

fn write(volume: &Volume, inode: u64, offset: u64, content: &[u8]) {
    assert_eq!(volume.write(inode, offset, content, false).expect("write"), content.len());
}

/// Reads the file once; how often maps were looked up, and nanoseconds.
fn read_cold(
    device: &Arc<dyn BlockDevice>,
    inode: u64,
    mebibytes: u64,
    order: Order,
) -> (f64, f64) {
    let volume = Volume::mount(device.clone(), options()).expect("mount");
    volume.lookup(ROOT_INODE, b"file").expect("lookup");
    let before = volume.statistics().store.map_lookups;
    let (bytes, count) = match order {
        Order::Sequential => (32 * PAGE, mebibytes * MIB / (32 * PAGE)),
        Order::Random => (PAGE, mebibytes * MIB / PAGE),
    };
    let mut buffer = vec![0; bytes as usize];
    let started = Instant::now();
    for at in 0..count {
        // A factor that is prime to the count, so each comes up once.
        let place = match order {
            Order::Sequential => at,
            Order::Random => at * 7919 % count,
        };
        volume.read(inode, place * bytes, &mut buffer).expect("read");
    }
    let ns = started.elapsed().as_nanos() as f64;
    let lookups = volume.statistics().store.map_lookups - before;
    volume.unmount().expect("unmount");
    (lookups as f64, ns)
}
