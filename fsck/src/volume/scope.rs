//! What every pass is given: the device, the options, and where findings go.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use braidfs_block::{BlockDevice, BlockError};
use braidfs_format::{BLOCK_SIZE, BlockAddress};

use crate::error::Halt;
use crate::finding::Finding;
use crate::observer::Observer;
use crate::options::CheckOptions;
use crate::problem::Severity;

/// The surroundings of a check. Findings are behind cells, so that a pass can report while it
/// walks.
pub(crate) struct Scope<'a> {
    pub(crate) device: &'a dyn BlockDevice,
    pub(crate) options: &'a CheckOptions,
    observer: &'a dyn Observer,
    findings: RefCell<Vec<Finding>>,
    counts: RefCell<BTreeMap<&'static str, u64>>,
    worst: Cell<Option<Severity>>,
    done: Cell<u64>,
}

/// The findings of a whole check.
pub(crate) struct Findings {
    pub(crate) kept: Vec<Finding>,
    pub(crate) counts: BTreeMap<&'static str, u64>,
}

impl<'a> Scope<'a> {
    pub(crate) fn new(
        device: &'a dyn BlockDevice,
        options: &'a CheckOptions,
        observer: &'a dyn Observer,
    ) -> Self {
        Self {
            device,
            options,
            observer,
            findings: RefCell::default(),
            counts: RefCell::default(),
            worst: Cell::new(None),
            done: Cell::new(0),
        }
    }

    pub(crate) fn observer(&self) -> &dyn Observer {
        self.observer
    }

    /// Whole blocks of the device.
    pub(crate) fn device_blocks(&self) -> u64 {
        self.device.geometry().size_bytes / BLOCK_SIZE as u64
    }

    /// Fills `buffer`, a whole number of blocks, from block `address`.
    pub(crate) fn read(&self, address: BlockAddress, buffer: &mut [u8]) -> Result<(), BlockError> {
        self.device.read_at(address.saturating_mul(BLOCK_SIZE as u64), buffer)
    }

    /// Reports a finding: counts it, shows it to the observer, and keeps it up to the limit.
    pub(crate) fn report(&self, finding: Finding) {
        *self.counts.borrow_mut().entry(finding.problem.id).or_default() += 1;
        self.worst.set(self.worst.get().max(Some(finding.problem.severity)));
        self.observer.found(&finding);
        let mut findings = self.findings.borrow_mut();
        if findings.len() < self.options.findings_limit {
            findings.push(finding);
        }
    }

    /// The worst that was reported so far.
    pub(crate) fn worst(&self) -> Option<Severity> {
        self.worst.get()
    }

    /// How many findings there were so far, kept or not.
    pub(crate) fn finding_count(&self) -> u64 {
        self.counts.borrow().values().sum()
    }

    /// Begins to count the work of a pass.
    pub(crate) fn restart_progress(&self) {
        self.done.set(0);
    }

    /// Says that `units` more of the pass's work are done, and ends the pass if that is wanted.
    pub(crate) fn advance(&self, units: u64) -> Result<(), Halt> {
        let done = self.done.get().saturating_add(units);
        self.done.set(done);
        self.observer.progressed(done);
        if self.observer.is_cancelled() { Err(Halt::Cancelled) } else { Ok(()) }
    }

    /// Gives up the findings.
    pub(crate) fn take_findings(&self) -> Findings {
        Findings { kept: self.findings.take(), counts: self.counts.take() }
    }
}
