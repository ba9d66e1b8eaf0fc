//! What memory costs: `cargo bench -p braidfs-mm --bench mm -- [--quick] [table|zero|regions|mapped...]`.
//!
//! Each figure stands beside what it is compared with, measured in turns in the same run, and says
//! what is to be reached. Writes `target/figures/mm.json`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod fork_anchor;
mod mapped;
mod pin;
mod regions;
mod table;
mod zero;

use braidfs_measure::Report;

fn main() {
    if fork_anchor::is_wanted() {
        return fork_anchor::serve();
    }
    if table::discard::is_wanted() {
        return table::discard::serve();
    }
    let mut report = Report::from_arguments("mm", &["table", "zero", "regions", "mapped"]);
    report.group("table", table::run);
    report.group("zero", zero::run);
    report.group("regions", regions::run);
    report.group("mapped", mapped::run);
    report.finish().expect("the figures can be written");
}
