//! The pause of a transition: how long no change begins while a delta of many files is closed.
//! `cargo bench -p braidfs --bench transition -- [--quick] [GROUP...]`.
//!
//! The volume is in memory, and only this program changes it. Each round makes a number of files
//! dirty and closes a delta of everything, while another thread goes on writing to a file of its
//! own. Two times are taken: what the volume records as `transition` (from the wish to close the
//! delta until the next one is open, the wait for operations under way included), and the longest
//! write of that thread. On a busy machine the second is how long a thread may be off its processor;
//! so it stands beside what it is while the other thread only spins.
//!
//! Of 100,000 changed attributes or new names a delta closes by itself before all are made, so those
//! rows say nothing of one delta that has them all. Pages all wait for the delta that is measured.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use braidfs::statistics::Measure;
use braidfs::{Credentials, MkfsOptions, MountOptions, ROOT_INODE, SetAttributes, Volume};
use braidfs_block::{BlockDevice, MemoryDevice};
use braidfs_measure::{Figure, Report, Samples};

const MIB: u64 = 1 << 20;
const PAGE: usize = 4096;

fn main() {
    let kinds = [
        (Dirt::Page, "pages", "a page each"),
        (Dirt::Attribute, "attributes", "an attribute each"),
        (Dirt::Name, "names", "new names"),
        (Dirt::PageOfOthers, "fsync", "fsync of another"),
    ];
    let mut report = Report::from_arguments("transition", &kinds.map(|(_, group, _)| group));
    for (dirt, group, what) in kinds {
        report.group(group, |report| pauses(report, dirt, what));
    }
    report.finish().expect("the figures can be written");
}

/// What the delta that is closed has of each file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dirt {
    /// A page.
    Page,
    /// An attribute.
    Attribute,
    /// Its name: it is made in this delta. The transition after it is measured too.
    Name,
    /// A page, while what is closed is a delta of another file that is fsynced.
    PageOfOthers,
}

/// What a round saw, in microseconds.
struct Pauses {
    transition: f64,
    longest_write: f64,
    longest_beside_spinning: f64,
}

fn pauses(report: &mut Report, dirt: Dirt, what: &str) {
    let most = report.choose(100_000, 2_000);
    for count in [most / 100, most / 10, most] {
        let rounds = report.choose(5, 2);
        let seen = rounds_of(dirt, count, rounds);
        add(report, &format!("{count} files, {what}"), &seen);
    }
}

fn add(report: &mut Report, name: &str, seen: &[Pauses]) {
    let all = |of: fn(&Pauses) -> f64| seen.iter().map(of).collect::<Samples>();
    let transition = all(|pauses| pauses.transition);
    let (write, base) = (all(|seen| seen.longest_write), all(|seen| seen.longest_beside_spinning));
    let what = "no change begins, the wait for operations under way included";
    report.add(Figure::less_is_better(name, transition.median(), "us").note(what));
    report.add(
        Figure::less_is_better(format!("{name}, longest"), transition.quantile(1.0), "us")
            .goal_at_most(1000.0)
            .note("the longest of all rounds"),
    );
    report.add(
        Figure::less_is_better(format!("{name}, a write beside it"), write.median(), "us")
            .against("spinning", base.median())
            .note("the longest of a thread during the commit, which includes its time off the processor"),
    );
}

/// A volume with `count` files, and one more.
struct World {
    volume: Arc<Volume>,
    files: Vec<u64>,
    bystander: u64,
}

impl World {
    fn new(count: u64) -> Self {
        // Writeback begins by itself at an eighth of the cache: a page of each file is less. Four
        // deltas of them fit on the device.
        let bytes = count * PAGE as u64;
        let device: Arc<dyn BlockDevice> = Arc::new(MemoryDevice::new(6 * bytes + 512 * MIB));
        Volume::mkfs(&device, &MkfsOptions::default(), &|_, _| ()).expect("mkfs");
        let options = MountOptions {
            background: false,
            cache_bytes: Some(10 * bytes + 64 * MIB),
            ..MountOptions::default()
        };
        let volume = Volume::mount(device, options).expect("mount");
        let mut world = Self { volume, files: Vec::new(), bystander: 0 };
        world.bystander = world.create("bystander");
        world.volume.syncfs().expect("sync");
        world
    }

    fn create(&self, name: &str) -> u64 {
        let owner = Credentials::default();
        let made = self.volume.mknod(ROOT_INODE, name.as_bytes(), 0o100_644, 0, &owner);
        made.expect("create").inode
    }

    fn make_files(&mut self, count: u64, generation: usize) {
        self.files =
            (0..count).map(|number| self.create(&format!("{generation}-{number}"))).collect();
    }

    /// Writes a page into each file.
    fn write_each(&self, byte: u8) {
        for file in &self.files {
            self.volume.write(*file, 0, &[byte; PAGE], false).expect("write");
        }
    }

    fn write_beside(&self) {
        self.volume.write(self.bystander, 0, &[1; PAGE], false).expect("write");
    }

    /// Does something while another thread writes; microseconds that its longest write took.
    fn longest_write(&self, meanwhile: impl FnOnce()) -> f64 {
        let over = AtomicBool::new(false);
        let begun = Barrier::new(2);
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut longest = Duration::ZERO;
                self.write_beside();
                begun.wait();
                loop {
                    let started = Instant::now();
                    self.write_beside();
                    longest = longest.max(started.elapsed());
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    // A thread that writes without a pause is the load, and no bystander.
                    thread::sleep(Duration::from_micros(50));
                }
                longest
            });
            begun.wait();
            meanwhile();
            over.store(true, Ordering::Relaxed);
            writer.join().expect("the writer writes").as_secs_f64() * 1e6
        })
    }

    /// Commits, and sees what it took.
    fn commit(&self, commit: impl Fn()) -> Pauses {
        self.volume.reset_statistics();
        let started = Instant::now();
        let longest_write = self.longest_write(&commit);
        let took = started.elapsed();
        let transition = self.volume.measured(Measure::Transition).max() as f64 / 1e3;
        let longest_beside_spinning = self.longest_write(|| {
            let started = Instant::now();
            while started.elapsed() < took {
                std::hint::spin_loop();
            }
        });
        Pauses { transition, longest_write, longest_beside_spinning }
    }

    fn syncfs(&self) {
        self.volume.syncfs().expect("sync");
    }
}

fn rounds_of(dirt: Dirt, count: u64, rounds: usize) -> Vec<Pauses> {
    let mut world = World::new(count);
    let mut seen = Vec::new();
    if dirt != Dirt::Name {
        world.make_files(count, 0);
        world.syncfs();
    }
    for round in 0..rounds {
        match dirt {
            Dirt::Page | Dirt::PageOfOthers => world.write_each(round as u8 + 1),
            Dirt::Attribute => world.change_attributes(round),
            Dirt::Name => world.make_files(count, round),
        }
        if dirt == Dirt::PageOfOthers {
            seen.push(world.commit(|| world.volume.fsync(world.bystander, false).expect("fsync")));
            world.syncfs();
        } else {
            seen.push(world.commit(|| world.syncfs()));
        }
        if dirt == Dirt::Name {
            // This one lets go of the names before it.
            seen.push(world.commit(|| world.syncfs()));
            let files = std::mem::take(&mut world.files);
            world.unlink(files.len(), round);
        }
    }
    world.volume.unmount().expect("unmount");
    seen
}

impl World {
    fn change_attributes(&self, round: usize) {
        let mode = Some(if round.is_multiple_of(2) { 0o600 } else { 0o644 });
        let wanted = SetAttributes { mode, ..SetAttributes::default() };
        for file in &self.files {
            self.volume.setattr(*file, &wanted).expect("setattr");
        }
    }

    /// Removes the files of a generation.
    fn unlink(&self, count: usize, generation: usize) {
        for number in 0..count {
            let name = format!("{generation}-{number}");
            self.volume.unlink(ROOT_INODE, name.as_bytes()).expect("unlink");
        }
        self.syncfs();
    }
}
