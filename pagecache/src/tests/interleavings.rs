//! Nothing is found in the cache as it is, and every planted mistake is.

use super::explore::{Violation, explore};
use super::world::Bounds;
use crate::config::WritebackPolicy;
use crate::planted::{Mistake, plant};

/// A page, three versions in flight, so three copies of it.
const THREE_COPIES: Bounds =
    Bounds { pages: 1, versions: 3, policy: WritebackPolicy::Fork, parts: false, zeros: false };
/// Pages of zeros have no frame by which to tell them apart.
const ZEROS: Bounds = Bounds { versions: 2, zeros: true, ..THREE_COPIES };
/// A write of a part needs the page to be filled first, and a cut zeroes a part.
const PARTS: Bounds = Bounds { versions: 1, parts: true, ..THREE_COPIES };
/// What happens to one page must not touch the other.
const TWO_PAGES: Bounds = Bounds { pages: 2, versions: 1, ..THREE_COPIES };

const SMALL: [Bounds; 4] = [THREE_COPIES, ZEROS, PARTS, TWO_PAGES];

/// Minutes each.
const LARGE: [Bounds; 4] = [
    Bounds { versions: 4, ..THREE_COPIES },
    Bounds { versions: 3, zeros: true, ..THREE_COPIES },
    Bounds { versions: 2, parts: true, ..THREE_COPIES },
    Bounds { pages: 2, versions: 2, ..THREE_COPIES },
];

fn find_nothing(bounds: &[Bounds], policy: WritebackPolicy) {
    for bounds in bounds.iter().map(|bounds| Bounds { policy, ..*bounds }) {
        let explored = explore(bounds);
        println!("{bounds:?}: {explored:?}");
        assert!(explored.unwrap().states > 50, "there is something to explore");
    }
}

#[test]
fn every_interleaving_keeps_its_promises_under_fork() {
    find_nothing(&SMALL, WritebackPolicy::Fork);
}

#[test]
fn every_interleaving_keeps_its_promises_under_wait() {
    find_nothing(&SMALL, WritebackPolicy::Wait);
}

#[test]
fn every_interleaving_keeps_its_promises_under_copy() {
    find_nothing(&SMALL, WritebackPolicy::Copy);
}

/// `cargo test --release -p braidfs-pagecache --lib -- --ignored interleaving`
#[test]
#[ignore = "takes an hour; run it after a change of the protocol"]
fn every_interleaving_within_larger_bounds_keeps_its_promises() {
    WritebackPolicy::ALL.into_iter().for_each(|policy| find_nothing(&LARGE, policy));
}

/// Explores until the mistake shows. Says how.
fn find(mistake: Mistake, among: &[Bounds]) -> Option<Violation> {
    plant(Some(mistake));
    let found = among.iter().find_map(|bounds| explore(*bounds).err());
    plant(None);
    found
}

/// That a mistake is found, by the shortest way there is, which is this long.
fn must_find(mistake: Mistake, bounds: Bounds, steps: usize) {
    let Some(Violation { way, what }) = find(mistake, &[bounds]) else {
        panic!("{mistake:?} is not found");
    };
    println!("{mistake:?}: {what} after {way:?}");
    assert_eq!(way.len(), steps, "{mistake:?}: {what} after {way:?}");
}

#[test]
fn an_older_copy_that_cleans_a_newer_page_is_found() {
    must_find(Mistake::SettleIgnoresVersions, THREE_COPIES, 3);
}

#[test]
fn a_tag_lost_when_a_page_is_swapped_is_found() {
    must_find(Mistake::SwapLosesTags, THREE_COPIES, 3);
}

#[test]
fn writing_back_the_live_page_instead_of_the_frozen_one_is_found() {
    must_find(Mistake::GatherLooksAtLiveTable, THREE_COPIES, 3);
}

#[test]
fn a_failed_version_taken_for_durable_is_found() {
    must_find(Mistake::FailureCleans, THREE_COPIES, 3);
}

#[test]
fn the_eviction_of_a_dirty_page_is_found() {
    must_find(Mistake::EvictionIgnoresTags, THREE_COPIES, 2);
}

#[test]
fn a_fill_that_brings_back_old_content_is_found() {
    for (mistake, steps) in [
        (Mistake::FillIgnoresEpochs, 1),
        (Mistake::FillReplacesPages, 1),
        (Mistake::EvictionKeepsFills, 1),
        (Mistake::DropKeepsFills, 3),
    ] {
        must_find(mistake, THREE_COPIES, steps);
    }
}

#[test]
fn an_fsync_that_forgets_versions_in_flight_is_found() {
    must_find(Mistake::SyncForgetsVersionsInFlight, THREE_COPIES, 3);
}
