//! What the page cache costs, and what forking is worth:
//! `cargo bench -p braidfs-pagecache --bench pagecache -- [--quick] [paths|writeback...]`.
//!
//! | group | what |
//! |---|---|
//! | `paths` | nanoseconds of a call, path by path |
//! | `writeback` | the three policies in turns: overwriting a file under continuous writeback |
//!
//! Writes `target/figures/pagecache.json`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod paths;
mod writeback;

use braidfs_measure::Report;

fn main() {
    let mut report = Report::from_arguments("pagecache", &["paths", "writeback"]);
    report.group("paths", paths::run);
    report.group("writeback", writeback::run);
    report.finish().expect("the figures can be written");
}
