//! Going through the images of a run.

use std::fmt;
use std::sync::Arc;

use braidfs_block::{CrashCase, CrashPoint, Damage, DamageKind, Event, MemoryDevice};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

use super::image::{Recovered, recover, use_and_close};
use super::nested::explore_recovery;
use super::recorder::{ACKNOWLEDGED, Run};
use crate::model::differences;

/// The most writes of which every subset is tried.
const ALL_SUBSETS: usize = 6;
/// What a device writes whole.
const SECTOR_BYTES: usize = 512;
/// Failures after which a run is given up: they tend to be the same one.
const MOST_FAILURES: usize = 3;

/// How thorough to be.
#[derive(Debug, Clone)]
pub struct Effort {
    /// Subsets of the uncertain writes, where there are more writes than can be tried in every way.
    pub sampled_subsets: usize,
    /// Images with a torn write or garbage in a sector, at each place.
    pub damaged: usize,
    /// Every how many images the volume is used, unmounted and checked again; 0 for never.
    pub use_every: usize,
    /// Every how many images the recovery is cut, too; 0 for never.
    pub nested_every: usize,
    /// Whether each block of a write can be lost on its own.
    pub split_writes: bool,
}

impl Effort {
    /// For a run among many.
    pub fn small() -> Self {
        Self {
            sampled_subsets: 10,
            damaged: 2,
            use_every: 23,
            nested_every: 97,
            split_writes: false,
        }
    }

    /// For a scenario of few steps.
    pub fn thorough() -> Self {
        Self {
            sampled_subsets: 40,
            damaged: 12,
            use_every: 7,
            nested_every: 13,
            split_writes: false,
        }
    }
}

/// An image that is not what it must be.
pub struct Failure {
    /// The run.
    pub run: String,
    /// Which image.
    pub case: CrashCase,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.run, self.case, self.problem)
    }
}

/// What came of going through images.
#[derive(Default)]
pub struct Tally {
    /// Images that were looked at.
    pub images: usize,
    /// Images of cut recoveries among them.
    pub nested: usize,
    /// Those that are wrong; a run is given up after some.
    pub failures: Vec<Failure>,
}

impl Tally {
    /// Takes in another one.
    pub fn add(&mut self, other: Tally) {
        self.images += other.images;
        self.nested += other.nested;
        self.failures.extend(other.failures);
    }

    /// Insists that nothing is wrong.
    ///
    /// # Panics
    /// If anything is.
    pub fn assert_sound(&self, run: &Run) {
        let failures: Vec<String> = self.failures.iter().map(Failure::to_string).collect();
        assert!(failures.is_empty(), "{}\nafter the steps {:#?}", failures.join("\n"), run.trace);
    }
}

/// Goes through images that power losses can make of `run`, as many as `effort` says.
pub fn explore(run: &Run, effort: &Effort) -> Tally {
    let split = effort.split_writes.then(|| run.recording.split_writes(1));
    let recording = split.as_ref().unwrap_or(&run.recording);
    let mut explorer = Explorer::new(run, effort);
    for point in recording.crash_points() {
        let last = point.position().checked_sub(1).and_then(|last| recording.events().get(last));
        // A flush changes no image; what it acknowledges comes with the mark behind it.
        if !matches!(last, Some(Event::Flush { .. })) {
            explorer.explore_point(&point, matches!(last, Some(Event::Write { .. })));
        }
        if explorer.tally.failures.len() >= MOST_FAILURES {
            break;
        }
    }
    explorer.tally
}

struct Explorer<'a> {
    run: &'a Run,
    effort: &'a Effort,
    random: Xoshiro256PlusPlus,
    tally: Tally,
}

impl<'a> Explorer<'a> {
    fn new(run: &'a Run, effort: &'a Effort) -> Self {
        let random = Xoshiro256PlusPlus::seed_from_u64(run.recording.events().len() as u64);
        Self { run, effort, random, tally: Tally::default() }
    }

    fn explore_point(&mut self, point: &CrashPoint<'_>, after_write: bool) {
        let acknowledged = point.last_mark(ACKNOWLEDGED).unwrap_or(0);
        for case in self.cases(point, after_write) {
            self.tally.images += 1;
            let image = point.image(&case);
            if let Err(problem) = self.check(image, acknowledged) {
                let run = self.run.name.clone();
                self.tally.failures.push(Failure { run, case, problem });
            }
        }
    }

    fn cases(&mut self, point: &CrashPoint<'_>, after_write: bool) -> Vec<CrashCase> {
        let count = point.volatile_count();
        let few = count <= ALL_SUBSETS;
        let subsets = if few { 1 << count } else { self.effort.sampled_subsets };
        // Without the last write the image is one of those of the place before.
        let is_new = |case: &CrashCase| !after_write || case.keeps(count - 1);
        let mut cases: Vec<CrashCase> = point.subsets(subsets).filter(is_new).collect();
        if after_write {
            cases.extend((0..self.effort.damaged).filter_map(|_| self.damaged(point, count)));
        }
        cases
    }

    /// A case with a damaged write: the last one half of the time, and all others there then.
    fn damaged(&mut self, point: &CrashPoint<'_>, count: usize) -> Option<CrashCase> {
        let is_last = self.below(2) == 0;
        let write = if is_last { count - 1 } else { self.below(count) };
        let sectors = point.volatile().nth(write)?.length as usize / SECTOR_BYTES;
        let kind = match self.below(3) {
            0 => DamageKind::Garbage(self.below(sectors)),
            1 => DamageKind::KeepPrefix(SECTOR_BYTES * self.below(sectors)),
            _ => DamageKind::KeepSuffix(SECTOR_BYTES * self.below(sectors)),
        };
        let kept = (0..count).map(|_| is_last || self.below(3) > 0).collect();
        Some(CrashCase { position: point.position(), kept, damage: Some(Damage { write, kind }) })
    }

    fn check(&mut self, image: MemoryDevice, acknowledged: u64) -> Result<(), String> {
        let every = |every: usize, images: usize| every > 0 && images.is_multiple_of(every);
        let device = Arc::new(image);
        if every(self.effort.nested_every, self.tally.images) {
            let cut = explore_recovery(&device, &self.run.options, self.effort.sampled_subsets);
            self.tally.nested += cut?;
        }
        let recovered = recover(device.clone(), &self.run.options)?;
        self.compare(&recovered, acknowledged)?;
        if every(self.effort.use_every, self.tally.images) {
            use_and_close(&recovered, &device)?;
        }
        Ok(())
    }

    fn compare(&self, recovered: &Recovered, acknowledged: u64) -> Result<(), String> {
        let delta = recovered.delta;
        if delta < acknowledged {
            return Err(format!("it is at delta {delta}, but {acknowledged} was acknowledged"));
        }
        let Some(state) = self.run.states.get(&delta) else {
            return Err(format!("it is at delta {delta}, which there never was"));
        };
        let differences = differences(state, &recovered.tree);
        if differences.is_empty() {
            return Ok(());
        }
        Err(format!("it says that it is at delta {delta}, but\n{differences}"))
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.random.next_u64() % limit.max(1) as u64) as usize
    }
}
