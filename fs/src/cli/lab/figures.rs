//! Pictures of the results: how writes are distributed, and what the policies take over time.

use std::path::Path;

use clap::ValueEnum;

use super::draw::{Area, Chart, Pen, Picture, Scale, Tick};
use super::observe::Sample;
use super::report::{Measured, Report, driver_title, name_of, write, writer_title};
use crate::cli::args::{Disk, Driver, Writer};
use crate::cli::error::CliResult;

const PANEL_WIDTH: f64 = 270.0;
const PANEL_HEIGHT: f64 = 150.0;
const LEFT: f64 = 60.0;
const TOP: f64 = 96.0;
const GAP: f64 = 46.0;
const COLUMN_GAP: f64 = 46.0;
const BOLD: &str = "font-weight=\"bold\" font-size=\"15\"";
const PLAIN: &str = "fill=\"#444\"";

/// The contestants' colours; ours are broad, the others dashed.
const PENS: [(&str, Pen); 6] = [
    ("fork", Pen { colour: "#1b7f3b", width: 2.4, is_dashed: false }),
    ("wait", Pen { colour: "#c6322b", width: 2.4, is_dashed: false }),
    ("copy", Pen { colour: "#e08a00", width: 2.4, is_dashed: false }),
    ("ext4", Pen { colour: "#3b6fb6", width: 1.4, is_dashed: true }),
    ("xfs", Pen { colour: "#7b4fb0", width: 1.4, is_dashed: true }),
    ("btrfs", Pen { colour: "#555", width: 1.4, is_dashed: true }),
];

/// Draws everything that was measured into files of a directory.
pub fn draw(report: &Report, directory: &Path) -> CliResult {
    for disk in Disk::value_variants() {
        let of_disk: Vec<&Measured> =
            report.results.iter().filter(|result| result.disk == name_of(*disk)).collect();
        if !of_disk.is_empty() {
            let name = format!("writeback-{}.svg", name_of(*disk));
            write(&directory.join(name), &latencies(report, *disk, &of_disk))?;
            let name = format!("writeback-{}-over-time.svg", name_of(*disk));
            if let Some(picture) = over_time(report, *disk, &of_disk) {
                write(&directory.join(name), &picture)?;
            }
        }
    }
    Ok(())
}

fn disk_title(report: &Report, disk: Disk) -> String {
    match disk {
        Disk::Slow => format!("a disk with {} ms more a write and a flush", report.slow_disk_ms),
        Disk::Real => "the real disk".to_owned(),
    }
}

/// Writes the names of those who take part beside their lines.
fn legend(picture: &mut Picture, y: f64, results: &[&Measured]) {
    let mut x = LEFT;
    for (name, pen) in PENS {
        if results.iter().any(|result| result.contestant == name) {
            picture.line((x, y - 4.0), (x + 26.0, y - 4.0), pen);
            picture.text(x + 32.0, y, "start", PLAIN, name);
            x += 92.0;
        }
    }
}

fn panel(column: usize, row: usize) -> Area {
    Area {
        x: LEFT + column as f64 * (PANEL_WIDTH + COLUMN_GAP),
        y: TOP + row as f64 * (PANEL_HEIGHT + GAP),
        width: PANEL_WIDTH,
        height: PANEL_HEIGHT,
    }
}

/// One panel for each kind of writing and of writeback: the time of a write, by the part of the
/// writes that did not take longer.
fn latencies(report: &Report, disk: Disk, results: &[&Measured]) -> String {
    let present = |name: &str, of: fn(&Measured) -> &String| results.iter().any(|r| of(r) == name);
    let writers: Vec<Writer> = variants(|writer| present(writer, |result| &result.writer));
    let drivers: Vec<Driver> = variants(|driver| present(driver, |result| &result.driver));
    let last = panel(writers.len() - 1, drivers.len() - 1);
    let mut picture = Picture::new(last.x + last.width + 24.0, last.y + last.height + 50.0);
    let title =
        format!("Time of a write while its file is written back, on {}", disk_title(report, disk));
    picture.text(LEFT, 26.0, "start", BOLD, &title);
    legend(&mut picture, 50.0, results);
    for (column, writer) in writers.iter().enumerate() {
        let middle = panel(column, 0).x + PANEL_WIDTH / 2.0;
        picture.text(middle, TOP - 22.0, "middle", "font-weight=\"bold\"", writer_title(*writer));
        for (row, driver) in drivers.iter().enumerate() {
            let area = panel(column, row);
            picture.text(area.x + 4.0, area.y - 6.0, "start", PLAIN, driver_title(*driver));
            let wanted: Vec<&Measured> = results
                .iter()
                .filter(|r| r.writer == name_of(*writer) && r.driver == name_of(*driver))
                .copied()
                .collect();
            curves(&mut picture, area, &wanted, column == 0, row + 1 == drivers.len());
        }
    }
    let below = "part of the writes that did not take longer";
    picture.text(LEFT, last.y + last.height + 36.0, "start", PLAIN, below);
    picture.svg()
}

/// The choices that `is_present` by their names.
fn variants<T: ValueEnum + Copy>(is_present: impl Fn(&str) -> bool) -> Vec<T> {
    T::value_variants().iter().copied().filter(|value| is_present(&name_of(*value))).collect()
}

fn curves(
    picture: &mut Picture,
    area: Area,
    results: &[&Measured],
    is_leftmost: bool,
    is_lowest: bool,
) {
    // By how many nines a part has: 0.9, 0.99, 0.999 lie at equal distances.
    let across = Scale::logarithmic(1.0, 1e4);
    let nines = |quantile: f64| 1.0 / (1.0 - quantile);
    let up = Scale::logarithmic(1e2, 1e9);
    let chart = Chart::new(picture, area, across, up);
    let tick = |value: f64, label: &str| Tick { value, label: label.to_owned() };
    let parts = [
        tick(nines(0.5), "50%"),
        tick(nines(0.9), "90%"),
        tick(nines(0.99), "99%"),
        tick(nines(0.999), "99.9%"),
        tick(nines(0.9999), "99.99%"),
    ];
    chart.mark_across(picture, &parts, is_lowest);
    let times = [
        tick(1e3, "1 us"),
        tick(1e4, "10 us"),
        tick(1e5, "100 us"),
        tick(1e6, "1 ms"),
        tick(1e7, "10 ms"),
        tick(1e8, "100 ms"),
    ];
    chart.mark_up(picture, &times, is_leftmost);
    // Ours come last, so that they lie above the others.
    for (name, pen) in PENS.iter().rev() {
        for result in results.iter().filter(|result| result.contestant == *name) {
            let points: Vec<(f64, f64)> = result
                .curve
                .iter()
                .map(|(quantile, time)| (nines(*quantile), *time as f64))
                .collect();
            chart.curve(picture, &points, *pen);
        }
    }
}

/// A quantity over time.
struct Quantity {
    title: &'static str,
    of: fn(&Sample) -> f64,
}

const QUANTITIES: [Quantity; 3] = [
    Quantity { title: "forks, so far", of: |sample| sample.forks as f64 },
    Quantity { title: "copied, MiB so far", of: |sample| mebibytes(sample.copied_bytes) },
    Quantity { title: "held by copies, MiB", of: |sample| mebibytes(sample.frozen_bytes) },
];

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Forks, copied bytes and memory for copies over time: of O_DIRECT writes, which all reach the
/// server, under what writes the file back again and again without an fsync of it.
fn over_time(report: &Report, disk: Disk, results: &[&Measured]) -> Option<String> {
    let wanted: Vec<&Measured> = results
        .iter()
        .copied()
        .filter(|r| r.writer == name_of(Writer::Direct) && r.server.is_some())
        .filter(|r| [Driver::Interval, Driver::Pressure].map(name_of).contains(&r.driver))
        .collect();
    let drivers: Vec<Driver> =
        variants(|driver| wanted.iter().any(|result| result.driver == driver));
    let last = panel(QUANTITIES.len() - 1, drivers.len().checked_sub(1)?);
    let mut picture = Picture::new(last.x + last.width + 24.0, last.y + last.height + 50.0);
    let title = format!("What the policies take, O_DIRECT writes on {}", disk_title(report, disk));
    picture.text(LEFT, 26.0, "start", BOLD, &title);
    legend(&mut picture, 50.0, &wanted);
    for (column, quantity) in QUANTITIES.iter().enumerate() {
        let middle = panel(column, 0).x + PANEL_WIDTH / 2.0;
        picture.text(middle, TOP - 22.0, "middle", "font-weight=\"bold\"", quantity.title);
        for (row, driver) in drivers.iter().enumerate() {
            let area = panel(column, row);
            picture.text(area.x + 4.0, area.y - 6.0, "start", PLAIN, driver_title(*driver));
            let of_driver: Vec<&Measured> =
                wanted.iter().copied().filter(|r| r.driver == name_of(*driver)).collect();
            series(&mut picture, area, &of_driver, quantity);
        }
    }
    picture.text(LEFT, last.y + last.height + 36.0, "start", PLAIN, "seconds");
    Some(picture.svg())
}

fn series(picture: &mut Picture, area: Area, results: &[&Measured], quantity: &Quantity) {
    let samples = |result: &Measured| -> Vec<(f64, f64)> {
        let samples = result.server.iter().flat_map(|server| &server.samples);
        samples.map(|sample| (sample.seconds, (quantity.of)(sample))).collect()
    };
    let all: Vec<(f64, f64)> = results.iter().flat_map(|result| samples(result)).collect();
    let most = |of: fn(&(f64, f64)) -> f64| all.iter().map(of).fold(0.0, f64::max);
    let (longest, highest) = (most(|point| point.0), most(|point| point.1));
    let chart =
        Chart::new(picture, area, Scale::linear(0.0, longest), Scale::linear(0.0, highest * 1.05));
    chart.mark_across(picture, &round_ticks(longest), true);
    chart.mark_up(picture, &round_ticks(highest), true);
    for (name, pen) in PENS.iter().rev() {
        for result in results.iter().filter(|result| result.contestant == *name) {
            chart.curve(picture, &samples(result), *pen);
        }
    }
}

/// Up to five marks at round values from 0 on.
fn round_ticks(highest: f64) -> Vec<Tick> {
    if highest <= 0.0 {
        return vec![Tick { value: 0.0, label: "0".to_owned() }];
    }
    let raw = highest / 4.0;
    let magnitude = 10f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .map(|factor| factor * magnitude)
        .into_iter()
        .find(|step| *step >= raw)
        .unwrap_or(raw);
    let digits = (-step.log10().floor()).max(0.0) as usize;
    (0..=4u32)
        .map(|count| f64::from(count) * step)
        .filter(|value| *value <= highest)
        .map(|value| Tick { value, label: format!("{value:.digits$}") })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        let labels = |highest| -> Vec<String> {
            round_ticks(highest).into_iter().map(|tick| tick.label).collect()
        };
        assert_eq!(labels(9.3), ["0", "5"]);
        assert_eq!(labels(0.4), ["0.0", "0.1", "0.2", "0.3", "0.4"]);
        assert_eq!(labels(1234.0), ["0", "500", "1000"]);
        assert_eq!(labels(0.0), ["0"]);
    }
}
