//! `stats`: what a mount did, once or again and again.

mod table;
mod watch;

use super::args::StatsArguments;
use super::channel::Channel;
use super::error::{CliError, CliResult};
use super::output::{json, say};
use crate::fuse::{RESET, STATISTICS_ATTRIBUTE};
use crate::statistics::{Report, STATISTICS_VERSION};

/// Shows, watches or resets.
pub fn run(arguments: &StatsArguments) -> CliResult {
    let channel = Channel::open(&arguments.place)?;
    if arguments.reset {
        let reset = channel.set(STATISTICS_ATTRIBUTE, RESET.as_bytes());
        return reset.map_err(|errno| CliError::new(channel.refused(errno)));
    }
    if let Some(interval) = arguments.watch {
        return watch::run(&channel, interval, arguments.count, arguments.json);
    }
    let report = report(&channel)?;
    if arguments.json {
        return json(&report);
    }
    say(table::of(&report, &arguments.place).trim_end());
    Ok(())
}

/// What the server says.
fn report(channel: &Channel) -> CliResult<Report> {
    let report: Report = channel.get(STATISTICS_ATTRIBUTE)?;
    if report.version != STATISTICS_VERSION {
        return Err(CliError::new(format!(
            "the server counts by version {}, this program by {STATISTICS_VERSION}; use the braidfs \
             that mounted it",
            report.version
        )));
    }
    Ok(report)
}
