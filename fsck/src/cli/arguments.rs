//! The command line, as a table that help, completions and a man page can be made from.
//!
//! The letters are those of e2fsck, so that fsck(8) and people's fingers find what they know.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgGroup, Parser};

/// Check a braidfs volume.
///
/// The volume must not be mounted. It is looked at as its next mount will find it, with the log
/// replayed in memory; nothing is ever written to it. A volume that was unmounted in order is taken
/// to be clean unless -f is given.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "fsck.braidfs",
    bin_name = "fsck.braidfs",
    version,
    disable_version_flag = true,
    after_help = EXIT_STATUS,
    group = ArgGroup::new("answer").args(["no", "preen", "auto", "yes"]).multiple(false),
)]
pub struct Arguments {
    /// Change nothing and answer every question with no. This is what it does in any case for now
    #[arg(short = 'n', long = "no")]
    pub no: bool,

    /// Repair without asking what can be repaired safely. For now problems are reported and left
    #[arg(short = 'p', long = "preen")]
    pub preen: bool,

    /// The same as -p, for the sake of older scripts
    #[arg(short = 'a', hide_short_help = true)]
    pub auto: bool,

    /// Answer every question with yes. For now problems are reported and left
    #[arg(short = 'y', long = "yes")]
    pub yes: bool,

    /// Check even if the volume was unmounted in order and seems clean
    #[arg(short = 'f', long = "force")]
    pub force: bool,

    /// Read all data, too, and compare every block with its checksum
    #[arg(long = "data")]
    pub data: bool,

    /// Tell about each pass, and what a repair of each problem would do
    #[arg(short = 'v', long = "verbose")]
    pub verbose: bool,

    /// Write the progress to this file descriptor, in lines of pass, done, total and device; 0 or
    /// no number shows a bar. Without this option a bar is shown on a terminal
    #[arg(
        short = 'C',
        long = "progress",
        value_name = "FD",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "0",
        allow_negative_numbers = true
    )]
    pub progress: Option<i32>,

    /// Tell how long each pass took
    #[arg(short = 't', long = "timing")]
    pub timing: bool,

    /// Print the report as JSON
    #[arg(long = "json")]
    pub json: bool,

    /// Print the version
    #[arg(short = 'V', long = "version", action = clap::ArgAction::Version)]
    version: Option<bool>,

    /// The image file or block device
    #[arg(value_name = "DEVICE")]
    pub device: PathBuf,
}

const EXIT_STATUS: &str = "\
Exit status, the sum of:
    0  no problems
    1  problems were corrected
    2  problems were corrected, the system should be rebooted
    4  problems were left uncorrected
    8  operational error: not a volume, in use, unreadable
   16  usage error
   32  cancelled
  128  shared library error";

/// Brings `-C3`, `-C 3` and `-fC3`, all of which e2fsck takes, into the one form that the table
/// has.
pub fn normalise(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut normal: Vec<OsString> = Vec::new();
    let mut arguments = arguments.into_iter().peekable();
    while let Some(argument) = arguments.next() {
        let Some((flags, attached)) = argument.to_str().and_then(split_progress) else {
            let ends = argument == "--";
            normal.push(argument);
            if ends {
                normal.extend(arguments);
                break;
            }
            continue;
        };
        let descriptor = match attached {
            "" => arguments.next_if(|next| next.to_str().is_some_and(is_number)),
            attached => Some(attached.into()),
        };
        if !flags.is_empty() {
            normal.push(format!("-{flags}").into());
        }
        let mut progress = OsString::from("--progress=");
        progress.push(descriptor.unwrap_or_else(|| "0".into()));
        normal.push(progress);
    }
    normal
}

/// Splits a group of short options that ends with `C` and perhaps a number.
fn split_progress(argument: &str) -> Option<(&str, &str)> {
    let (flags, attached) = argument.strip_prefix('-')?.split_once('C')?;
    let plain = flags.bytes().all(|byte| byte.is_ascii_alphabetic());
    (plain && (attached.is_empty() || is_number(attached))).then_some((flags, attached))
}

fn is_number(text: &str) -> bool {
    text.parse::<i32>().is_ok()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn normal(arguments: &[&str]) -> Vec<OsString> {
        normalise(arguments.iter().map(OsString::from))
    }

    #[test]
    fn the_table_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn all_spellings_of_the_progress_option_are_one() {
        assert_eq!(normal(&["-C", "0", "x"]), ["--progress=0", "x"]);
        assert_eq!(normal(&["-C3", "x"]), ["--progress=3", "x"]);
        assert_eq!(normal(&["-C-3", "x"]), ["--progress=-3", "x"]);
        assert_eq!(normal(&["-C", "x"]), ["--progress=0", "x"]);
        assert_eq!(normal(&["-fC0", "x"]), ["-f", "--progress=0", "x"]);
        assert_eq!(normal(&["--", "-C"]), ["--", "-C"]);
        assert_eq!(normal(&["a-C", "--json"]), ["a-C", "--json"]);
    }

    #[test]
    fn one_answer_at_most() {
        assert!(Arguments::try_parse_from(["fsck", "-n", "-y", "x"]).is_err());
        assert!(Arguments::try_parse_from(["fsck", "-f", "-y", "x"]).is_ok());
    }
}
