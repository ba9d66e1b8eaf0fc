//! The checker, as the suites use it: everything, data checksums included.

use braidfs_block::BlockDevice;
use braidfs_fsck::{CheckOptions, Report, Silent};

/// Checks all of a volume.
///
/// # Errors
/// What is wrong, in words.
pub fn check_volume(device: &dyn BlockDevice) -> Result<Report, String> {
    let options = CheckOptions { force: true, data: true, ..CheckOptions::default() };
    let report = braidfs_fsck::check(device, &options, &Silent)
        .map_err(|error| format!("fsck could not check: {error}"))?;
    if report.is_clean() {
        return Ok(report);
    }
    let findings: Vec<String> = report
        .findings
        .iter()
        .map(|finding| format!("{}: {}", finding.problem.id, finding.message()))
        .collect();
    Err(format!("fsck found:\n{}", findings.join("\n")))
}

/// Insists that a volume is clean.
///
/// # Panics
/// If it is not.
pub fn assert_clean(device: &dyn BlockDevice) {
    if let Err(problem) = check_volume(device) {
        panic!("{problem}");
    }
}
