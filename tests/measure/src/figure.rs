//! One measured figure.

use serde_json::{Value, json};

/// Whether a smaller or a larger value is the better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Better {
    Less,
    More,
}

/// What is to be reached.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Goal {
    /// The ratio to the anchor is at least this.
    Times(f64),
    /// The value is at most this.
    AtMost(f64),
    /// The value is at least this.
    AtLeast(f64),
}

/// A figure: what was measured, what it is compared with, and what is to be reached.
#[derive(Debug, Clone)]
pub struct Figure {
    name: String,
    value: f64,
    unit: String,
    better: Better,
    anchor: Option<(String, f64)>,
    goal: Option<Goal>,
    note: String,
}

impl Figure {
    /// A figure of which less is better, as of time or memory.
    pub fn less_is_better(name: impl Into<String>, value: f64, unit: &str) -> Self {
        Self::new(name.into(), value, unit, Better::Less)
    }

    /// A figure of which more is better, as of a rate.
    pub fn more_is_better(name: impl Into<String>, value: f64, unit: &str) -> Self {
        Self::new(name.into(), value, unit, Better::More)
    }

    fn new(name: String, value: f64, unit: &str, better: Better) -> Self {
        let (anchor, goal, note) = (None, None, String::new());
        Self { name, value, unit: unit.to_owned(), better, anchor, goal, note }
    }

    /// Compares it with a value of the same unit that was measured in the same run.
    pub fn against(self, anchor: impl Into<String>, value: f64) -> Self {
        Self { anchor: Some((anchor.into(), value)), ..self }
    }

    /// It is to be at least so many times better than its anchor.
    pub fn goal_times(self, ratio: f64) -> Self {
        Self { goal: Some(Goal::Times(ratio)), ..self }
    }

    /// It is to be worse than its anchor by at most so many percent.
    pub fn goal_within_percent(self, percent: f64) -> Self {
        self.goal_times(1.0 / (1.0 + percent / 100.0))
    }

    /// It is to be at most this.
    pub fn goal_at_most(self, value: f64) -> Self {
        Self { goal: Some(Goal::AtMost(value)), ..self }
    }

    /// It is to be at least this.
    pub fn goal_at_least(self, value: f64) -> Self {
        Self { goal: Some(Goal::AtLeast(value)), ..self }
    }

    /// What the comparison includes and what it leaves out.
    pub fn note(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }

    /// How many times better it is than its anchor.
    pub fn ratio(&self) -> Option<f64> {
        let (_, anchor) = self.anchor.as_ref()?;
        Some(match self.better {
            Better::Less => anchor / self.value,
            Better::More => self.value / anchor,
        })
    }

    /// Whether the goal is reached, if there is one.
    pub fn is_reached(&self) -> Option<bool> {
        Some(match self.goal? {
            Goal::Times(times) => self.ratio()? >= times,
            Goal::AtMost(most) => self.value <= most,
            Goal::AtLeast(least) => self.value >= least,
        })
    }

    /// The goal in words.
    fn goal_text(&self) -> String {
        match self.goal {
            None => String::new(),
            Some(Goal::Times(times)) => format!(">= {}x", short(times)),
            Some(Goal::AtMost(most)) => format!("<= {} {}", short(most), self.unit),
            Some(Goal::AtLeast(least)) => format!(">= {} {}", short(least), self.unit),
        }
    }

    /// The figure as lines of the table.
    pub(crate) fn text(&self) -> String {
        let mut line = format!("  {:<56} {:>9} {:<10}", self.name, short(self.value), self.unit);
        if let Some((name, value)) = &self.anchor {
            line += &format!(" {}: {} {}", name, short(*value), self.unit);
        }
        if let Some(ratio) = self.ratio() {
            line += &format!(", {}x", short(ratio));
        }
        if let Some(reached) = self.is_reached() {
            let verdict = if reached { "reached" } else { "NOT REACHED" };
            line += &format!(" (goal {}: {verdict})", self.goal_text());
        }
        line
    }

    /// The figure as it stands in the file.
    pub(crate) fn json(&self) -> Value {
        json!({
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "better": if self.better == Better::Less { "less" } else { "more" },
            "anchor": self.anchor.as_ref().map(|(name, value)| json!({"name": name, "value": value})),
            "ratio": self.ratio(),
            "goal": self.goal.map(|_| self.goal_text()),
            "reached": self.is_reached(),
            "note": self.note,
        })
    }
}

/// A number with three digits that count.
fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        size if size >= 0.001 => format!("{value:.4}"),
        _ => format!("{value:.2e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_say_how_many_times_better() {
        let time = Figure::less_is_better("t", 2.0, "ns").against("a", 8.0).goal_times(4.0);
        assert_eq!((time.ratio(), time.is_reached()), (Some(4.0), Some(true)));
        let rate = Figure::more_is_better("r", 2.0, "/s").against("a", 8.0).goal_times(1.0);
        assert_eq!((rate.ratio(), rate.is_reached()), (Some(0.25), Some(false)));
    }

    #[test]
    fn percents_allow_that_much_worse() {
        let figure = |value| {
            Figure::less_is_better("t", value, "ns").against("a", 100.0).goal_within_percent(5.0)
        };
        assert_eq!(figure(104.9).is_reached(), Some(true));
        assert_eq!(figure(105.1).is_reached(), Some(false));
    }

    #[test]
    fn bounds_are_on_the_value() {
        let figure = Figure::less_is_better("m", 44.0, "kB");
        assert_eq!(figure.clone().is_reached(), None);
        assert_eq!(figure.clone().goal_at_most(44.0).is_reached(), Some(true));
        assert_eq!(figure.goal_at_least(44.1).is_reached(), Some(false));
    }
}
