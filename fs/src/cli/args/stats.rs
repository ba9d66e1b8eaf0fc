//! What `stats` can be told.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::size::parse_duration;
use crate::statistics::{Measure, NumberKind, groups};

const EXAMPLES: &str = "Examples:\n  \
    braidfs stats mnt\n  \
    braidfs stats mnt --watch\n  \
    braidfs stats mnt --json | jq .counters.forks";

/// The examples, and every number.
fn long_examples() -> String {
    let mut text =
        format!("{EXAMPLES}\n\nNumbers (those not marked only grow, from the mount on):");
    for group in groups() {
        // Writing to a String does not fail.
        let _ = write!(text, "\n {}", group.title);
        for number in group.numbers {
            let kind = match number.kind {
                NumberKind::Counter => "",
                NumberKind::Amount => " (now)",
                NumberKind::Peak => " (since the last reset)",
            };
            let _ = write!(text, "\n  {:<26}{}{kind}", number.name, number.help);
        }
    }
    text.push_str("\n\nMeasured since the last reset, in nanoseconds if not named otherwise:");
    for measure in Measure::ALL {
        let _ = write!(text, "\n  {:<26}{}", measure.name(), measure.help());
    }
    text.push_str(
        "\n\nWhat programs write is answered by the kernel's cache at first and reaches the server later;\n\
         what they read is often there already. The server counts and measures what reaches it.",
    );
    text
}

/// Show what a mount did: counters, memory, and how long operations take
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, after_long_help = long_examples())]
pub struct StatsArguments {
    /// A directory of the mount
    #[arg(value_name = "DIR")]
    pub place: PathBuf,
    /// Print JSON; with --watch, a line for each interval
    #[arg(long)]
    pub json: bool,
    /// Show rates, a line for each interval (of 1 second, if none is given), until Ctrl-C
    #[arg(long, value_name = "SECONDS", value_parser = parse_duration)]
    #[arg(num_args = 0..=1, default_missing_value = "1")]
    pub watch: Option<Duration>,
    /// End after so many intervals
    #[arg(long, value_name = "NUMBER", requires = "watch")]
    pub count: Option<u64>,
    /// Let peaks and measurements begin anew
    #[arg(long, conflicts_with_all = ["watch", "json"])]
    pub reset: bool,
}
