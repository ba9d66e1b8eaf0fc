//! Programs that do random things for as long as one likes, each by a seed: what a failure prints is
//! enough to see it again.

pub mod fsstress;
pub mod fsx;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore, SeedableRng};

/// Random numbers by a seed.
pub struct Random(Xoshiro256PlusPlus);

impl Random {
    /// Those of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Xoshiro256PlusPlus::seed_from_u64(seed))
    }

    /// One below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0.next_u64().checked_rem(bound).unwrap_or(0)
    }

    /// One of a list that is not empty, by weight.
    pub fn choose<'a, T>(&mut self, list: &'a [(u64, T)]) -> Option<&'a T> {
        let all = list.iter().map(|(weight, _)| weight).sum();
        let mut left = self.below(all);
        list.iter().find_map(|(weight, item)| {
            let is_it = left < *weight;
            left = left.saturating_sub(*weight);
            is_it.then_some(item)
        })
    }

    /// A byte that is not zero, so that it differs from a hole.
    pub fn byte(&mut self) -> u8 {
        u8::try_from(1 + self.below(255)).unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_says_all() {
        let numbers = |seed| {
            let mut random = Random::new(seed);
            (0..8).map(|_| random.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(numbers(1), numbers(1));
        assert_ne!(numbers(1), numbers(2));
        assert_eq!(Random::new(3).below(0), 0);
        assert_eq!(Random::new(3).choose(&[(0, 'a'), (5, 'b')]), Some(&'b'));
    }
}
