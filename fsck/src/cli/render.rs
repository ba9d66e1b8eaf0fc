//! A report in words, and as JSON.

use std::fmt::Write;

use braidfs_fsck::{Finding, PASSES, PassReport, PassStatus, Report, Severity};
use serde::Serialize;

use super::arguments::Arguments;

/// The JSON that the command prints.
#[derive(Serialize)]
struct Document<'a> {
    device: String,
    exit_status: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(flatten)]
    report: Option<&'a Report>,
}

/// The outcome as JSON: a report, or why there is none.
pub fn json(device: &str, exit_status: u8, outcome: Result<&Report, &str>) -> String {
    let document = Document {
        device: device.to_owned(),
        exit_status,
        error: outcome.err().map(str::to_owned),
        report: outcome.ok(),
    };
    // Nothing in a report can fail to be written: keys are strings, numbers are finite.
    let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
    text.push('\n');
    text
}

/// The report in words.
pub fn text(device: &str, arguments: &Arguments, report: &Report) -> String {
    let mut out = String::new();
    if arguments.verbose || arguments.timing {
        report.passes.iter().for_each(|pass| pass_line(&mut out, arguments, pass));
    }
    report.findings.iter().for_each(|finding| finding_lines(&mut out, arguments, finding));
    if report.findings_dropped > 0 {
        line(&mut out, &format!("and {} more; --json counts them by id", report.findings_dropped));
    }
    log_line(&mut out, arguments, report);
    totals_line(&mut out, arguments, report);
    line(&mut out, &format!("{device}: {}", verdict(arguments, report)));
    out
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

fn pass_line(out: &mut String, arguments: &Arguments, report: &PassReport) {
    let description = PASSES.iter().find(|pass| pass.id == report.id).map(|pass| pass.description);
    let outcome = match report.status {
        PassStatus::Done if arguments.timing => format!("{:.3} s", report.seconds),
        PassStatus::Done => "done".into(),
        PassStatus::Interrupted => "interrupted".into(),
        PassStatus::Skipped { reason } => format!("skipped: {reason}"),
    };
    let description = description.unwrap_or_default();
    line(out, &format!("pass {:>2}, {}: {description}: {outcome}", report.id, report.name));
}

fn finding_lines(out: &mut String, arguments: &Arguments, finding: &Finding) {
    let problem = finding.problem;
    let word = match problem.severity {
        Severity::Notice => "notice",
        Severity::Error => "error",
        Severity::Fatal => "fatal",
    };
    let mut text = format!("{} {word}: {}", problem.id, finding.message());
    if !finding.paths.is_empty() {
        // Writing to a string cannot fail.
        let _ = write!(text, " [{}]", finding.paths.join(", "));
    }
    line(out, &text);
    if arguments.verbose {
        line(out, &format!("      a repair would: {}", problem.repair));
    }
}

fn log_line(out: &mut String, arguments: &Arguments, report: &Report) {
    let Some(log) = &report.log else { return };
    if log.replayed > 0 || log.discarded > 0 {
        let mut text = format!(
            "the next mount replays {} deltas from {} blocks of the log, up to delta {}",
            log.replayed, log.blocks, log.last_delta
        );
        if log.discarded > 0 {
            let _ = write!(text, ", and drops {} that are not whole", log.discarded);
        }
        line(out, &text);
    }
    if arguments.verbose {
        line(out, &format!("the log ends there because: {}", log.end));
    }
}

fn totals_line(out: &mut String, arguments: &Arguments, report: &Report) {
    let Some(totals) = report.totals.as_ref().filter(|_| arguments.verbose) else { return };
    let text = format!(
        "{} inodes ({} directories, {} orphans), {} mapped blocks, {} tree nodes, {} data blocks \
         read",
        totals.inodes,
        totals.directories,
        totals.orphans,
        totals.mapped_blocks,
        totals.nodes,
        totals.data_blocks_read
    );
    line(out, &text);
}

/// What it comes to.
fn verdict(arguments: &Arguments, report: &Report) -> String {
    let problems = report.damage_count();
    match problems {
        _ if report.cancelled => format!("cancelled; {problems} problems found until then"),
        0 if report.skipped_as_clean => {
            format!("clean, {} (use -f to check it anyway)", figures(report))
        }
        0 => format!("no problems, {}", figures(report)),
        1 => format!("1 problem left uncorrected{}", promise(arguments)),
        _ => format!("{problems} problems left uncorrected{}", promise(arguments)),
    }
}

/// How full the volume is: after the replay if that was looked at, else as the superblock has it.
fn figures(report: &Report) -> String {
    let Some(volume) = &report.volume else { return String::new() };
    let (inodes, used) = match &report.totals {
        Some(totals) => (totals.inodes, totals.used_blocks),
        None => (volume.inodes, volume.used_blocks),
    };
    format!("{inodes} inodes, {used}/{} blocks in use", volume.blocks)
}

/// Why nothing was corrected, for those who asked for it.
fn promise(arguments: &Arguments) -> &'static str {
    if arguments.preen || arguments.auto || arguments.yes {
        "; this version does not repair yet, nothing was changed"
    } else {
        "; nothing was changed"
    }
}
