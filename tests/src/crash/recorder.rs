//! Driving a volume on a recording device.

use std::collections::BTreeMap;
use std::sync::Arc;

use braidfs::MountOptions;
use braidfs_block::{BlockDevice, MemoryDevice, Recording, RecordingDevice};

use super::liar::{Lie, LyingDevice};
use crate::model::{Model, Tree};
use crate::steps::{Scale, Step, Steps};
use crate::world::{LOG_BLOCKS, VOLUME_BYTES, World, format, repeatable};

/// The mark that says which delta the volume has said to be durable.
pub const ACKNOWLEDGED: &str = "acknowledged";

/// What a run takes place on.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Bytes of the volume.
    pub volume_bytes: u64,
    /// Blocks of its log ring.
    pub log_blocks: u64,
    /// How it is mounted; without a background thread.
    pub options: MountOptions,
    /// How the device lies, if it does.
    pub lie: Option<Lie>,
    /// How large a world random steps make.
    pub scale: Scale,
}

impl Default for Setup {
    fn default() -> Self {
        // Small, because every image is mounted and so has a cache made for it.
        let options = MountOptions { cache_bytes: Some(8 << 20), ..repeatable() };
        Self {
            volume_bytes: VOLUME_BYTES,
            log_blocks: LOG_BLOCKS,
            options,
            lie: None,
            scale: Scale::Small,
        }
    }
}

/// A volume, its model, and a record of what they did.
pub struct Recorder {
    /// The volume and its model.
    pub world: World,
    name: String,
    trace: Vec<Step>,
    device: Arc<RecordingDevice<MemoryDevice>>,
    options: MountOptions,
    states: BTreeMap<u64, Arc<Tree>>,
    /// Deltas that earlier mounts published.
    earlier_deltas: u64,
}

/// A run that is over.
pub struct Run {
    /// What names it: the seed, or the scenario.
    pub name: String,
    /// What the device saw.
    pub recording: Recording,
    /// The tree at each delta.
    pub states: BTreeMap<u64, Arc<Tree>>,
    /// The steps.
    pub trace: Vec<Step>,
    /// How its images are to be mounted.
    pub options: MountOptions,
}

impl Recorder {
    /// A fresh volume, mounted.
    ///
    /// # Panics
    /// If it can't be made or mounted.
    pub fn new(name: &str, setup: &Setup) -> Self {
        let memory = MemoryDevice::new(setup.volume_bytes);
        format(&memory, setup.log_blocks);
        let device = Arc::new(RecordingDevice::new(memory));
        let seen: Arc<dyn BlockDevice> = match &setup.lie {
            None => device.clone(),
            Some(lie) => Arc::new(LyingDevice::new(device.clone(), lie.clone())),
        };
        let world = World::mount(seen, setup.options.clone());
        let options = setup.options.clone();
        let states = BTreeMap::from([(0, Arc::new(world.model.staged_tree()))]);
        let mut recorder = Self {
            world,
            name: name.to_owned(),
            trace: Vec::new(),
            device,
            options,
            states,
            earlier_deltas: 0,
        };
        recorder.note_deltas();
        recorder
    }

    /// Runs `count` random steps of `seed`.
    pub fn random(seed: u64, count: usize, setup: &Setup) -> Run {
        let mut recorder = Self::new(&format!("seed {seed}"), setup);
        if seed.is_multiple_of(2) {
            recorder.world.cache_everything();
        }
        let mut steps = Steps::scaled(seed, true, setup.scale);
        for _ in 0..count {
            let step = steps.next(&recorder.world.model);
            recorder.apply(&step);
        }
        recorder.finish()
    }

    /// Applies a step, and notes the deltas that it made and what it acknowledged.
    ///
    /// # Panics
    /// If volume and model disagree, or a step that is not about durability makes a delta.
    pub fn apply(&mut self, step: &Step) {
        self.trace.push(step.clone());
        if let Step::Remount = step {
            return self.remount();
        }
        let (before, deltas) = (self.world.model.clone(), self.deltas());
        let worked = self.world.apply(step);
        match step {
            Step::Copy { from, .. } if self.deltas() > deltas => self.copied(before, step, from),
            _ if self.deltas() > deltas => {
                let expected = step.is_commit() || matches!(step, Step::Unify);
                assert!(expected, "{step:?} made a delta, which the harness can't follow");
            }
            _ => {}
        }
        self.note_deltas();
        if worked && step.is_commit() {
            self.device.mark(ACKNOWLEDGED, self.deltas());
        }
    }

    /// A copy has published its source before it changed anything, as an fsync does.
    fn copied(&mut self, before: Model, step: &Step, source: &str) {
        let after = std::mem::replace(&mut self.world.model, before);
        self.world.model.stage_file(source);
        self.note_deltas();
        self.world.repeat_on_model(step, &after);
    }

    /// As [`Self::apply`] on a volume that is nearly full: the step may find no space, and the volume may make everything
    /// durable to find some.
    ///
    /// # Panics
    /// If volume and model disagree otherwise.
    pub fn apply_when_nearly_full(&mut self, step: &Step) {
        if let Step::Copy { from, .. } = step {
            // So that the copy itself need not publish its source.
            self.apply_when_nearly_full(&Step::Fsync { path: from.clone() });
        }
        self.trace.push(step.clone());
        let (before, deltas) = (self.world.model.clone(), self.deltas());
        let is_refused = self.world.apply_unless_full(step);
        if !step.is_commit() && self.deltas() > deltas {
            // The search for space comes before the change.
            let after = std::mem::replace(&mut self.world.model, before);
            self.world.model.stage_everything();
            self.note_deltas();
            match is_refused {
                true => {}
                false => self.world.repeat_on_model(step, &after),
            }
            self.device.mark(ACKNOWLEDGED, self.deltas());
        }
        self.note_deltas();
        if step.is_commit() && !is_refused {
            self.device.mark(ACKNOWLEDGED, self.deltas());
        }
    }

    /// Applies steps in order.
    pub fn apply_all(&mut self, steps: impl IntoIterator<Item = Step>) {
        steps.into_iter().for_each(|step| self.apply(&step));
    }

    /// Ends the run where it is, without an unmount.
    pub fn finish(self) -> Run {
        let Self { name, trace, device, options, states, .. } = self;
        Run { name, recording: device.recording(), states, trace, options }
    }

    /// The number of the last published delta.
    pub fn deltas(&self) -> u64 {
        self.earlier_deltas + self.world.volume.statistics().store.deltas
    }

    fn remount(&mut self) {
        self.world.unmount();
        self.note_deltas();
        self.earlier_deltas = self.deltas();
        self.device.mark(ACKNOWLEDGED, self.earlier_deltas);
        self.world.mount_again();
        self.note_deltas();
    }

    /// The deltas that are new since the last call have the state that the model has staged.
    fn note_deltas(&mut self) {
        let last = self.states.keys().next_back().copied().unwrap_or(0);
        let now = self.deltas();
        if now > last {
            let tree = Arc::new(self.world.model.staged_tree());
            self.states.extend((last + 1..=now).map(|delta| (delta, tree.clone())));
        }
    }
}
