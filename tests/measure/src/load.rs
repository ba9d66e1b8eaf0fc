//! What else the machine does.

/// The load averages of the last one, five and fifteen minutes; empty where they can't be had.
pub(crate) fn load_averages() -> Vec<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).filter_map(|word| word.parse().ok()).collect()
}
