//! Sizes and durations as people write them.

use std::time::Duration;

/// Suffixes and what they stand for. As in coreutils: `K` and `KiB` are 1024, `KB` is 1000.
const BINARY: [(&str, u32); 5] = [("K", 10), ("M", 20), ("G", 30), ("T", 40), ("P", 50)];

/// Parses a size as `2G`, `512M`, `1.5T`, `4096` or `100MB`.
///
/// # Errors
/// A sentence that says what is wrong and what to write instead.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let trimmed = text.trim();
    let digits_end =
        trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (number, suffix) = trimmed.split_at(digits_end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || fraction.contains('.') || number.ends_with('.') {
        return Err(format!("`{text}` is no size; write it as 2G, 512M or a number of bytes"));
    }
    let Some(unit) = unit_bytes(suffix.trim()) else {
        return Err(format!("`{text}` has no known unit; use K, M, G, T or P (or KB, MB, ...)"));
    };
    if !fraction.is_empty() && unit == 1 {
        return Err(format!("`{text}` has a fraction of a byte; write a whole number"));
    }
    let bytes = whole_units(whole, unit)
        .and_then(|bytes| fraction_bytes(fraction, unit).and_then(|part| bytes.checked_add(part)));
    match bytes.filter(|&bytes| i64::try_from(bytes).is_ok()) {
        Some(0) => Err(format!("`{text}` is nothing at all; give a size above 0")),
        Some(bytes) => Ok(bytes),
        None => Err(format!("`{text}` is more than any volume can have; give a smaller size")),
    }
}

/// The bytes of a unit.
fn unit_bytes(suffix: &str) -> Option<u64> {
    let upper = suffix.to_ascii_uppercase();
    if upper.is_empty() || upper == "B" {
        return Some(1);
    }
    BINARY.iter().zip(1u32..).find_map(|((name, shift), power)| {
        if upper == *name || upper == format!("{name}IB") {
            Some(1 << shift)
        } else if upper == format!("{name}B") {
            Some(1000u64.pow(power))
        } else {
            None
        }
    })
}

fn whole_units(digits: &str, unit: u64) -> Option<u64> {
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

/// The bytes of the digits behind the point; beyond the ninth they do not count.
fn fraction_bytes(digits: &str, unit: u64) -> Option<u64> {
    let mut divisor = 1u64;
    let mut value = 0u64;
    for digit in digits.bytes().take(9) {
        value = value * 10 + u64::from(digit - b'0');
        divisor *= 10;
    }
    let product = u128::from(value) * u128::from(unit) / u128::from(divisor);
    u64::try_from(product).ok()
}

/// A size for people: `2.0 GiB`.
pub fn human(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let power = (63 - bytes.max(1).leading_zeros()) as usize / 10;
    if power == 0 {
        return format!("{bytes} bytes");
    }
    // Tenths, rounded: all that is shown.
    let tenths = (u128::from(bytes) * 10 + (1u128 << (10 * power - 1))) >> (10 * power);
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[power])
}

/// A duration for people: `5 s`, `1.5 s`, `250 ms`.
pub fn human_duration(duration: Duration) -> String {
    match duration.as_millis() {
        ms @ ..1000 => format!("{ms} ms"),
        _ => format!("{} s", duration.as_secs_f64()),
    }
}

/// Nanoseconds for people, in three digits: `950 ns`, `12.3 us`, `4.56 ms`, `7.89 s`.
pub fn human_nanoseconds(nanoseconds: u64) -> String {
    let (value, unit) = match nanoseconds {
        0..1_000 => return format!("{nanoseconds} ns"),
        1_000..1_000_000 => (nanoseconds as f64 / 1e3, "us"),
        1_000_000..1_000_000_000 => (nanoseconds as f64 / 1e6, "ms"),
        _ => (nanoseconds as f64 / 1e9, "s"),
    };
    match value {
        ..10.0 => format!("{value:.2} {unit}"),
        10.0..100.0 => format!("{value:.1} {unit}"),
        _ => format!("{value:.0} {unit}"),
    }
}

/// Parses a duration as `5`, `5s`, `500ms` or `2m`.
///
/// # Errors
/// A sentence that says what is wrong and what to write instead.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let trimmed = text.trim();
    let digits_end = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(digits_end);
    let milliseconds = match unit.trim() {
        "ms" => Some(1),
        "" | "s" => Some(1000),
        "m" | "min" => Some(60_000),
        _ => None,
    };
    let total = number.parse::<u64>().ok().zip(milliseconds).and_then(|(n, ms)| n.checked_mul(ms));
    match total {
        Some(0) => Err(format!("`{text}` is no time at all; the shortest is 1ms")),
        Some(total) => Ok(Duration::from_millis(total)),
        None => Err(format!("`{text}` is no duration; write it as 5s, 500ms or 2m")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_with_all_units() {
        for (text, bytes) in [
            ("1", 1),
            ("4096", 4096),
            ("16K", 16 << 10),
            ("512M", 512 << 20),
            ("2G", 2 << 30),
            ("2g", 2 << 30),
            ("2GiB", 2 << 30),
            ("2GB", 2_000_000_000),
            (" 3 T ", 3 << 40),
            ("1.5G", 3 << 29),
            ("0.001KB", 1),
            ("1P", 1 << 50),
            ("7B", 7),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn nonsense_is_told_from_sizes() {
        for text in
            ["", "G", "-1", "2X", "1.5", "1..5G", ".5G", "5.G", "0", "0G", "2 G B", "1e9", "0x10"]
        {
            assert!(parse_size(text).is_err(), "{text}");
        }
        assert!(parse_size("99999999999999999999").unwrap_err().contains("smaller"));
        assert!(parse_size("20000P").unwrap_err().contains("smaller"));
    }

    #[test]
    fn sizes_for_people() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (2 << 30, "2.0 GiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(human(bytes), text);
        }
    }

    #[test]
    fn durations() {
        assert_eq!(parse_duration("5"), Ok(Duration::from_secs(5)));
        assert_eq!(parse_duration("5 s"), Ok(Duration::from_secs(5)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        for (ms, text) in [(250, "250 ms"), (1500, "1.5 s"), (5000, "5 s"), (0, "0 ms")] {
            assert_eq!(human_duration(Duration::from_millis(ms)), text);
        }
        for (ns, text) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (12_345, "12.3 us"),
            (4_560_000, "4.56 ms"),
            (123_456_789_000, "123 s"),
        ] {
            assert_eq!(human_nanoseconds(ns), text);
        }
        for text in ["", "0", "fast", "5h30", "-1s", "1.5s", "99999999999999999999"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
