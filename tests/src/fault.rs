//! Runs on a disk that fails: what the volume says meanwhile, and what is on the disk afterwards.
//!
//! A [`FaultRun`] is a volume on a device that fails on demand, with a record of what reached the device. Each
//! step goes to the model too; once the device has failed, the rules are others: what can't be kept any more
//! must be refused, and what is refused must change nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use braidfs::{FsError, FsErrorKind, MountOptions};
use braidfs_block::{BlockOperation, Fault, FaultyDevice, MemoryDevice, RecordingDevice};

use crate::crash::recover;
use crate::model::{Model, Tree, differences};
use crate::steps::{Step, Steps};
use crate::world::{World, read_tree, repeatable};

type Device = Arc<RecordingDevice<Arc<FaultyDevice<MemoryDevice>>>>;

/// A volume on a disk that fails on demand.
pub struct FaultRun {
    /// The volume and its model.
    pub world: World,
    /// Where faults are set.
    pub faults: Arc<FaultyDevice<MemoryDevice>>,
    device: Device,
    states: BTreeMap<u64, Arc<Tree>>,
    earlier_deltas: u64,
    acknowledged: u64,
    /// Whether a commit has failed: nothing may be changed or acknowledged any more.
    failed: bool,
    /// Whether only reads fail, which an operation can do without that needs none of them.
    only_reads: bool,
}

/// Mount options under which nothing but the steps makes the volume use its device.
pub fn options() -> MountOptions {
    MountOptions { cache_bytes: Some(8 << 20), ..repeatable() }
}

impl FaultRun {
    /// Mounts the volume on `base`, which has the tree of `model` and was unmounted at delta `deltas`.
    ///
    /// # Panics
    /// If it does not mount.
    pub fn new(base: &MemoryDevice, model: Model, deltas: u64) -> Self {
        let faults = Arc::new(FaultyDevice::new(base.clone()));
        let device = RecordingDevice::with_base(faults.clone(), base.clone());
        let device = Arc::new(device.expect("the base is as large as the device"));
        let mut world = World::mount(device.clone(), options());
        world.model = model;
        let states = BTreeMap::from([(deltas, Arc::new(world.model.staged_tree()))]);
        let mut run = Self {
            world,
            faults,
            device,
            states,
            earlier_deltas: deltas,
            acknowledged: deltas,
            failed: false,
            only_reads: false,
        };
        run.note_deltas(run.deltas());
        run.acknowledged = run.deltas();
        run
    }

    /// Applies `count` random steps of `seed`, then looks at what is on the disk.
    ///
    /// # Panics
    /// If anything is not as it must be.
    pub fn run(mut self, seed: u64, count: usize) -> Outcome {
        let mut steps = Steps::new(seed, false);
        for _ in 0..count {
            let step = steps.next(&self.world.model);
            self.apply(&step);
            if self.only_reads {
                self.read_what_can_be_read();
            }
        }
        self.apply(&Step::Sync);
        if self.only_reads {
            self.faults.heal();
        }
        self.world.compare();
        self.finish()
    }

    /// Reads the whole tree; if that fails, it must be because of the device.
    fn read_what_can_be_read(&self) {
        let injected = self.faults.injected();
        let found = read_tree(&self.world.volume);
        let struck = self.faults.injected() > injected;
        match found {
            Err(error) => assert!(struck && is_io(&error), "{error}"),
            Ok(tree) => assert_eq!(differences(&self.world.model.live_tree(), &tree), ""),
        }
    }

    /// Applies a step, with the rules that hold now.
    ///
    /// # Panics
    /// If the volume does not keep them.
    pub fn apply(&mut self, step: &Step) {
        let before = self.world.model.clone();
        let (injected, deltas) = (self.faults.injected(), self.deltas());
        let expected = self.world.apply_to_model(step);
        let found = self.world.apply_to_volume(step);
        let struck = self.faults.injected() > injected;
        if let (Step::Copy { from, .. }, false) = (step, self.failed)
            && (self.deltas() > deltas || self.is_read_only())
        {
            let copied = found.is_ok();
            self.note_published_source(before.clone(), step, from, copied);
            assert!(copied || struck, "{step:?}: {found:?}");
            return;
        }
        if self.failed {
            assert!(refused(step, expected, &found), "after a failure {step:?} gave {found:?}");
            if found.is_err() {
                self.world.model = before;
            }
        } else if struck && found.as_ref().is_err_and(is_io) {
            self.note_failure(step, before);
        } else {
            assert_eq!(found.as_ref().map_err(FsError::errno).copied(), expected, "{step:?}");
            self.note_deltas(self.deltas());
            if expected.is_ok() && step.is_commit() {
                self.acknowledged = self.deltas();
            }
        }
    }

    fn is_read_only(&self) -> bool {
        self.world.volume.flush(braidfs::ROOT_INODE).is_err()
    }

    /// A copy has published its source, or tried to, before it changed anything.
    fn note_published_source(&mut self, before: Model, step: &Step, source: &str, copied: bool) {
        self.world.model = before;
        self.world.model.stage_file(source);
        self.failed = self.is_read_only();
        self.note_deltas(self.deltas() + u64::from(self.failed));
        if copied {
            // It worked on the volume, and so it does on the model.
            let _ = self.world.apply_to_model(step);
        }
    }

    /// A step met a failure of the device. A commit that did is the last one there is.
    fn note_failure(&mut self, step: &Step, before: Model) {
        let commits = step.is_commit() || matches!(step, Step::Unify);
        if commits {
            // What it tried to write may have reached the disk or not.
            self.note_deltas(self.deltas() + 1);
            self.failed = true;
        } else {
            self.world.model = before;
        }
    }

    /// Mounts what is on the disk, and what may be if some of the last writes did not make it.
    fn finish(mut self) -> Outcome {
        let before = self.faults.injected();
        let closed = self.world.volume.unmount();
        let injected = self.faults.injected();
        let expected = self.failed || injected > before;
        assert!(closed.is_err() == expected || self.only_reads, "unmount: {closed:?}");
        if closed.is_err() && !self.failed {
            self.world.model.stage_everything();
            self.note_deltas(self.deltas() + 1);
            self.failed = true;
        }
        let Self { world, device, states, acknowledged, failed, .. } = self;
        let recording = device.recording();
        let end = recording.crash_point(recording.events().len());
        let mut cases: Vec<_> = end.subsets(4).collect();
        cases.truncate(4);
        for case in cases {
            let image = Arc::new(end.image(&case));
            let recovered =
                recover(image, &options()).unwrap_or_else(|problem| panic!("{case}: {problem}"));
            let delta = recovered.delta;
            assert!(delta >= acknowledged, "at {delta}, but {acknowledged} was acknowledged");
            let state = match failed {
                // Closing published whatever was left to publish.
                false => Arc::new(world.model.live_tree()),
                true => states.get(&delta).cloned().expect("the delta has a state"),
            };
            let differences = differences(&state, &recovered.tree);
            assert!(differences.is_empty(), "{case}: at delta {delta}:\n{differences}");
        }
        Outcome { injected, failed }
    }

    fn deltas(&self) -> u64 {
        self.earlier_deltas + self.world.volume.statistics().store.deltas
    }

    fn note_deltas(&mut self, now: u64) {
        let last = self.states.keys().next_back().copied().unwrap_or(0);
        let tree = Arc::new(self.world.model.staged_tree());
        self.states.extend((last + 1..=now).map(|delta| (delta, tree.clone())));
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// How often the device failed.
    pub injected: u64,
    /// Whether the volume gave up because of it.
    pub failed: bool,
}

/// Sets a fault on a fresh run over `base`, and runs random steps.
pub fn run_with(base: &Prepared, fault: Fault, seed: u64, count: usize) -> Outcome {
    let mut run = FaultRun::new(&base.image, base.model.clone(), base.deltas);
    run.only_reads = fault.operation == BlockOperation::Read;
    run.faults.inject(fault);
    run.run(seed, count)
}

/// A volume with something on it, unmounted.
pub struct Prepared {
    /// What is on its device.
    pub image: MemoryDevice,
    /// What is on the volume.
    pub model: Model,
    /// Its last delta.
    pub deltas: u64,
}

impl Prepared {
    /// A volume with what random steps leave on it.
    pub fn random(seed: u64, count: usize) -> Self {
        let image = Arc::new(MemoryDevice::new(crate::world::VOLUME_BYTES));
        let mut world = World::new(image.clone(), options());
        let mut steps = Steps::new(seed, false);
        for _ in 0..count {
            let step = steps.next(&world.model);
            world.apply(&step);
        }
        world.unmount();
        let deltas = world.volume.statistics().store.deltas;
        Self { image: (*image).clone(), model: world.model.clone(), deltas }
    }
}

fn is_io(error: &FsError) -> bool {
    matches!(error.kind(), FsErrorKind::Io | FsErrorKind::NoSpace)
}

/// Whether the volume answered as it must after a failure: what would change or acknowledge anything is
/// refused; what would have failed anyway may fail as ever.
fn refused(step: &Step, expected: Result<(), i32>, found: &Result<(), FsError>) -> bool {
    let harmless = matches!(step, Step::Release { .. } | Step::Hold { .. });
    match found {
        Ok(()) => harmless || changes_nothing(step),
        Err(error) if step.is_commit() => is_io(error) || expected == Err(error.errno()),
        Err(error) => {
            is_io(error) || error.kind() == FsErrorKind::ReadOnly || expected == Err(error.errno())
        }
    }
}

/// Steps that succeed because there is nothing to do.
fn changes_nothing(step: &Step) -> bool {
    match step {
        Step::Write { data, .. } | Step::WriteHeld { data, .. } => data.length == 0,
        Step::Copy { .. } => true,
        _ => false,
    }
}
