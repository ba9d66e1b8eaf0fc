//! What to check and how far.

/// How a volume is to be checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckOptions {
    /// Check everything even if the volume was unmounted in order and its log is empty.
    pub force: bool,
    /// Read all data, too, and compare it with its checksums.
    pub data: bool,
    /// Keep at most this many findings; more are counted, not kept.
    pub findings_limit: usize,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self { force: false, data: false, findings_limit: 10_000 }
    }
}

impl CheckOptions {
    /// Everything but the data, even on a clean volume.
    pub fn forced() -> Self {
        Self { force: true, ..Self::default() }
    }
}
