//! Which of several uncertain writes are there: all ways, or a sample of them.

use std::collections::BTreeSet;

/// The most writes of which all subsets can be counted in a `u64`.
const MAX_COUNTED: usize = 63;

/// The next number of a stream that `state` alone decides (splitmix64).
pub(super) fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Subsets of `count` writes, each once: every one if there are at most `maximum`, else `maximum` of them.
///
/// A sample starts with the telling ones: all kept, none kept, one lost, one kept; the rest is random,
/// but the same every time.
pub(super) fn subsets(count: usize, maximum: usize) -> Box<dyn Iterator<Item = Vec<bool>>> {
    let all = (count <= MAX_COUNTED).then(|| 1u64 << count);
    match all {
        Some(all) if all <= maximum as u64 => Box::new((0..all).map(move |mask| bits(mask, count))),
        _ => Box::new(sample(count).take(maximum)),
    }
}

fn bits(mask: u64, count: usize) -> Vec<bool> {
    (0..count).map(|bit| mask >> bit & 1 == 1).collect()
}

/// An endless stream of different subsets; there must be more of them than are taken.
fn sample(count: usize) -> impl Iterator<Item = Vec<bool>> {
    let uniform = [true, false].into_iter().map(move |kept| vec![kept; count]);
    let single = [true, false].into_iter().flat_map(move |kept| {
        (0..count).map(move |odd| (0..count).map(|index| (index == odd) != kept).collect())
    });
    let mut state = count as u64;
    let random = std::iter::repeat_with(move || {
        (0..count).map(|_| next_random(&mut state) & 1 == 1).collect()
    });
    let mut seen = BTreeSet::new();
    uniform
        .chain(single)
        .chain(random)
        .filter(move |subset: &Vec<bool>| seen.insert(subset.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distinct(count: usize, maximum: usize) -> usize {
        subsets(count, maximum).collect::<BTreeSet<_>>().len()
    }

    #[test]
    fn all_subsets_come_once_where_they_fit() {
        for count in 0..8 {
            assert_eq!(subsets(count, 1000).count(), 1 << count);
            assert_eq!(distinct(count, 1000), 1 << count);
        }
        assert_eq!(distinct(5, 32), 32);
    }

    #[test]
    fn a_sample_has_the_size_that_was_asked_for() {
        assert_eq!(distinct(5, 31), 31);
        assert_eq!(distinct(63, 500), 500);
        assert_eq!(distinct(500, 2000), 2000);
        assert_eq!(distinct(10, 0), 0);
    }

    #[test]
    fn a_sample_starts_with_the_telling_subsets_and_is_repeatable() {
        let first: Vec<_> = subsets(70, 200).collect();
        assert_eq!(first, subsets(70, 200).collect::<Vec<_>>());
        let kept = |subset: &Vec<bool>| subset.iter().filter(|kept| **kept).count();
        assert_eq!(kept(&first[0]), 70);
        assert_eq!(kept(&first[1]), 0);
        assert!(first[2..72].iter().all(|subset| kept(subset) == 69));
        assert!(first[72..142].iter().all(|subset| kept(subset) == 1));
    }
}
