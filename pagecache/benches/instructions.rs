//! What the fork rule costs where there is nothing to fork, in instructions:
//! `cargo bench -p braidfs-pagecache --bench instructions`. Needs valgrind.
//!
//! The example `overwrites` is built twice: as always, and with `--cfg braidfs_without_fork_check`,
//! which compiles the checks of the fork rule out of writing. That takes out
//!
//! * on the way down the page table, whether each node belongs to this table alone;
//! * at the page, whether its frame belongs to this table alone, and keeping others from it while
//!   it is written;
//! * telling the versions apart: whether a dirty page is of the open version or of one in flight,
//!   whether to wait for that, and which one needs the frame that is replaced.
//!
//! What both builds have: the marks of entries (a cache that cannot fork must know which pages were
//! written, too), and finding the page twice, to look at it and to write it.
//!
//! Callgrind counts. Each figure is the difference of runs of two counts of writes, by the difference
//! of the counts. The load of the machine does not matter.
//!
//! Writes `target/figures/instructions.json`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::Command;

use braidfs_measure::{Figure, Report};

const WITHOUT: &str = "--cfg braidfs_without_fork_check";
/// The counts of writes that are compared.
const COUNTS: [u64; 2] = [2048, 8192];
const GOAL_PERCENT: f64 = 1.0;

fn main() {
    let mut report = Report::from_arguments("instructions", &["writes"]);
    report.group("writes", writes);
    report.finish().expect("the figures can be written");
}

fn writes(report: &mut Report) {
    let target = target_directory();
    let with = build(&target, None);
    let without = build(&target.join("without-fork-check"), Some(WITHOUT));
    for state in ["dirty", "clean"] {
        for bytes in ["4096", "512"] {
            let [with, without] = [&with, &without].map(|program| a_write(program, state, bytes));
            let figure = Figure::less_is_better(
                format!("write of {bytes} B to a {state} page"),
                with,
                "instr.",
            );
            report.add(
                figure
                    .against("without the check", without)
                    .goal_within_percent(GOAL_PERCENT)
                    .note("by callgrind; one thread, nothing under writeback"),
            );
            report.remark(&format!("{:+.1} instructions, {:+.2} %", with - without, {
                (with / without - 1.0) * 100.0
            }));
        }
    }
}

/// Where cargo built this program.
fn target_directory() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    program.ancestors().nth(3).expect("two levels deep in the target directory").to_owned()
}

/// Builds the program that is counted, with flags besides those in force, and says where it is.
fn build(target: &Path, flags: Option<&str>) -> PathBuf {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    command.args(["build", "--release", "--locked", "--quiet", "-p", "braidfs-pagecache"]);
    command.args(["--example", "overwrites", "--target-dir"]).arg(target);
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    if let Some(flags) = flags {
        let inherited = std::env::var("RUSTFLAGS").unwrap_or_default();
        command.env("RUSTFLAGS", format!("{inherited} {flags}"));
    }
    assert!(command.status().expect("cargo can be run").success(), "{command:?} failed");
    target.join("release/examples/overwrites")
}

/// Instructions of one write.
fn a_write(program: &Path, state: &str, bytes: &str) -> f64 {
    let [few, many] =
        COUNTS.map(|count| instructions(program, &[state, bytes, &count.to_string()]));
    (many - few) as f64 / (COUNTS[1] - COUNTS[0]) as f64
}

/// Instructions of a whole run, as callgrind counts them.
fn instructions(program: &Path, arguments: &[&str]) -> u64 {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]).arg(program);
    let output = command.args(arguments).output().expect("valgrind can be run; install valgrind");
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected :"));
    collected
        .filter(|_| output.status.success())
        .and_then(|(_, count)| count.trim().parse().ok())
        .unwrap_or_else(|| panic!("{command:?} did not count:\n{said}"))
}
