//! Statistics as a table for people.

use std::fmt::Write as _;
use std::path::Path;

use crate::size::{human, human_nanoseconds};
use crate::statistics::{Distribution, Measure, NumberKind, Report, Unit, groups};

/// All of a report.
pub fn of(report: &Report, place: &Path) -> String {
    let mut text = format!("{}, {}\n", place.display(), since(report));
    for group in groups() {
        // Writing to a String does not fail.
        let _ = writeln!(text, "\n{}", group.title);
        for number in group.numbers {
            let values = match number.kind {
                NumberKind::Counter => &report.counters_since_reset,
                NumberKind::Amount => &report.amounts,
                NumberKind::Peak => &report.peaks,
            };
            let value = values.get(number.name).copied().unwrap_or_default();
            let _ = writeln!(text, "  {:<26}{:>14}", number.name, shown(number.name, value));
        }
    }
    let _ = writeln!(text, "\n{:<26}{}", "time and size", heading());
    for measure in Measure::ALL {
        let values = report.distributions.get(measure.name()).copied().unwrap_or_default();
        let _ = writeln!(text, "  {:<24}{}", measure.name(), line(&values, measure.unit()));
    }
    text
}

fn since(report: &Report) -> String {
    let seconds = report.seconds_since_mount;
    if report.seconds_since_reset < seconds {
        return format!(
            "since the reset {:.1} s ago (mounted {seconds:.1} s ago)",
            report.seconds_since_reset
        );
    }
    format!("since the mount {seconds:.1} s ago")
}

fn heading() -> String {
    let names = ["count", "mean", "p50", "p90", "p99", "p99.9", "max"];
    names.map(|name| format!("{name:>11}")).concat()
}

fn line(values: &Distribution, unit: Unit) -> String {
    let value = |value: u64| match unit {
        _ if values.count == 0 => "-".to_owned(),
        Unit::Nanoseconds => human_nanoseconds(value),
        Unit::Bytes => human(value),
    };
    let Distribution { count, mean, p50, p90, p99, p99_9, max } = *values;
    let shown = [mean as u64, p50, p90, p99, p99_9, max].map(value);
    let values = shown.map(|value| format!("{value:>11}")).concat();
    format!("{count:>11}{values}")
}

/// A number by what the end of its name says.
fn shown(name: &str, value: u64) -> String {
    if name.contains("_bytes") {
        human(value)
    } else if name.ends_with("_ns") {
        human_nanoseconds(value)
    } else {
        value.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::numbers;

    #[test]
    fn numbers_are_shown_in_their_units() {
        assert_eq!(shown("forks", 12), "12");
        assert_eq!(shown("frozen_bytes_peak", 2 << 20), "2.0 MiB");
        assert_eq!(shown("flush_ns", 1_500_000), "1.50 ms");
    }

    #[test]
    fn every_number_is_shown() {
        let text = of(&Report::default(), Path::new("mnt"));
        for name in numbers().map(|n| n.name).chain(Measure::ALL.map(Measure::name)) {
            assert!(text.lines().any(|line| line.starts_with(&format!("  {name} "))), "{name}");
        }
        assert!(text.lines().all(|line| line.len() <= 110), "{text}");
    }
}
