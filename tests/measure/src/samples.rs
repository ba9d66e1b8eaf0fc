//! Samples of one quantity, and how they are taken.

use std::time::Instant;

/// What one quantity was, each time it was measured.
#[derive(Debug, Clone, Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    /// Notes one more.
    pub fn push(&mut self, sample: f64) {
        self.0.push(sample);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The least; not a number if there are none.
    pub fn min(&self) -> f64 {
        self.quantile(0.0)
    }

    /// The middle one; not a number if there are none.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The one below which that part of them lies, from 0 to 1.
    pub fn quantile(&self, part: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        sorted.get((part * last as f64).round() as usize).copied().unwrap_or(f64::NAN)
    }

    /// The samples with a floor taken off each, such as what the measuring costs.
    pub fn less(&self, floor: f64) -> Self {
        Self(self.0.iter().map(|sample| sample - floor).collect())
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(samples: I) -> Self {
        Self(samples.into_iter().collect())
    }
}

/// Lets the contestants take turns for so many rounds, so that what else the machine does hits all
/// of them alike, and returns what each measured. Who begins changes from round to round.
pub fn interleave<const N: usize>(
    rounds: usize,
    contestants: [&mut dyn FnMut() -> f64; N],
) -> [Samples; N] {
    let mut samples = [const { Samples(Vec::new()) }; N];
    for round in 0..rounds {
        for turn in 0..N {
            let at = (round + turn) % N;
            samples[at].push(contestants[at]());
        }
    }
    samples
}

/// Nanoseconds that `body` takes.
pub fn time_ns<R>(body: impl FnOnce() -> R) -> f64 {
    let started = Instant::now();
    std::hint::black_box(body());
    started.elapsed().as_nanos() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_sorted_samples() {
        let samples: Samples = [5.0, 1.0, 4.0, 2.0, 3.0].into_iter().collect();
        assert_eq!((samples.min(), samples.median(), samples.quantile(1.0)), (1.0, 3.0, 5.0));
        assert_eq!(samples.less(1.0).median(), 2.0);
        assert!(Samples::default().median().is_nan());
    }

    #[test]
    fn contestants_take_turns() {
        let order = std::cell::RefCell::new(Vec::new());
        let [first, second] = interleave(
            4,
            [
                &mut || {
                    order.borrow_mut().push('a');
                    1.0
                },
                &mut || {
                    order.borrow_mut().push('b');
                    2.0
                },
            ],
        );
        assert_eq!(order.into_inner(), ['a', 'b', 'b', 'a', 'a', 'b', 'b', 'a']);
        assert_eq!((first.count(), second.median()), (4, 2.0));
    }
}
