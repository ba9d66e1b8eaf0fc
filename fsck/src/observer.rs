//! Whoever watches a check.

use crate::finding::Finding;
use crate::pass::Pass;

/// Watches a check and may end it. All methods are called on the thread that checks.
pub trait Observer {
    /// A pass begins. It has `units` of work, or an unknown amount if that is 0.
    fn pass_started(&self, pass: &Pass, units: u64) {
        let _ = (pass, units);
    }

    /// So many units of the pass are done.
    fn progressed(&self, done: u64) {
        let _ = done;
    }

    /// Something was found. Paths are added later, in the report.
    fn found(&self, finding: &Finding) {
        let _ = finding;
    }

    /// The pass is over.
    fn pass_finished(&self, pass: &Pass) {
        let _ = pass;
    }

    /// Whether the check shall end now. Asked often, so it should be quick.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {}
