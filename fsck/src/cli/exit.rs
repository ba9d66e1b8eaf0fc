//! Exit status, in the bits that fsck(8) gives a meaning.

use braidfs_fsck::Report;

/// Nothing is wrong.
pub const OK: u8 = 0;
/// Problems were left as they are.
pub const UNCORRECTED: u8 = 4;
/// The check could not be made.
pub const OPERATIONAL: u8 = 8;
/// The command line makes no sense.
pub const USAGE: u8 = 16;
/// The check was cancelled.
pub const CANCELLED: u8 = 32;

/// The status that says what `report` says.
pub fn status_of(report: &Report) -> u8 {
    let damage = if report.is_clean() { OK } else { UNCORRECTED };
    let cancelled = if report.cancelled { CANCELLED } else { OK };
    damage | cancelled
}
