//! How often each value came up, recorded from many threads.
//!
//! An HDR histogram (two digits of every value are kept) has no room for more than one writer, so
//! there is one for each of a few groups of threads, behind a lock that hardly anybody else ever
//! takes: recording costs about as much as reading the clock.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam::utils::CachePadded;
use hdrhistogram::Histogram as Values;
use parking_lot::Mutex;

const STRIPES: usize = 8;
/// Digits that are kept of a value: it is told to within 1 percent.
const SIGNIFICANT_DIGITS: u8 = 2;

/// A histogram that many threads record into.
#[derive(Debug)]
pub struct Histogram {
    stripes: [CachePadded<Mutex<Values<u64>>>; STRIPES],
}

impl Default for Histogram {
    fn default() -> Self {
        Self { stripes: std::array::from_fn(|_| CachePadded::new(Mutex::new(empty()))) }
    }
}

impl Histogram {
    /// Records a value.
    pub fn record(&self, value: u64) {
        // It grows as it needs to, so every value has a place.
        let _ = self.stripes[stripe_of_thread()].lock().record(value);
    }

    /// Everything recorded so far. What is recorded meanwhile may or may not be included.
    pub fn values(&self) -> Values<u64> {
        let mut sum = empty();
        for stripe in &self.stripes {
            // Of the same precision, and growing, so there is a place for everything.
            let _ = sum.add(&*stripe.lock());
        }
        sum
    }

    /// Forgets everything.
    pub fn reset(&self) {
        for stripe in &self.stripes {
            stripe.lock().reset();
        }
    }
}

fn empty() -> Values<u64> {
    let mut values = match Values::new(SIGNIFICANT_DIGITS) {
        Ok(values) => values,
        // Up to five digits are allowed.
        Err(_) => unreachable!("two digits are allowed"),
    };
    values.auto(true);
    values
}

/// Deals the stripes out to the threads in turn.
fn stripe_of_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static STRIPE: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    STRIPE.with(|stripe| {
        if stripe.get() == usize::MAX {
            stripe.set(NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES);
        }
        stripe.get()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_threads_record_is_there() {
        let histogram = Histogram::default();
        std::thread::scope(|scope| {
            for thread in 0..2 * STRIPES as u64 {
                let histogram = &histogram;
                scope.spawn(move || (0..100).for_each(|_| histogram.record(1000 * (thread + 1))));
            }
        });
        let values = histogram.values();
        assert_eq!(values.len(), 200 * STRIPES as u64);
        assert!(values.max() >= 16_000 && values.max() < 16_200);
        assert!((1000..1010).contains(&values.min()));
        histogram.reset();
        assert_eq!(histogram.values().len(), 0);
    }

    #[test]
    fn every_value_has_a_place() {
        let histogram = Histogram::default();
        for value in [0, 1, 255, 1 << 40, u64::MAX] {
            histogram.record(value);
        }
        let values = histogram.values();
        assert_eq!((values.len(), values.min()), (5, 0));
        assert!(values.max() >= u64::MAX - u64::MAX / 100);
    }
}
