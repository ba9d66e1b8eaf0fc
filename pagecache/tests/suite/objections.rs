//! The objections that were raised against page forking, each as a test.

use std::thread;

use braidfs_pagecache::{FrozenPage, WritebackPolicy};

use crate::disk::Disk;
use crate::fixture::{File, PAGE, cache_of, content_of, for_each_policy};

const POLICIES_THAT_DO_NOT_WAIT: [WritebackPolicy; 2] =
    [WritebackPolicy::Fork, WritebackPolicy::Copy];

/// All orders of three.
const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

#[test]
fn tags_are_not_lost_when_a_page_is_swapped() {
    for policy in POLICIES_THAT_DO_NOT_WAIT {
        let file = File::new(policy);
        (0..3).for_each(|page| file.fill_page(page, 1));
        let version = file.freeze();
        let runs: Vec<_> = version.frozen.runs().collect();
        // The page is swapped while it is tagged for writeback: the new one is dirty, the old one is
        // still to be written.
        file.fill_page(1, 2);
        assert!(file.mapping.is_dirty(1));
        assert_eq!(file.mapping.dirty_pages(), 1);
        assert_eq!(runs[0].pages.len(), 3);
        drop(runs);
        version.frozen.complete();
        assert_eq!(
            file.mapping.next_dirty(0),
            Some(1),
            "the tag of the newer page survived the older writeback"
        );
        assert_eq!(content_of(&file.freeze().frozen), [(1, Some(2))].into());
    }
}

#[test]
fn a_second_fork_while_the_first_copy_is_under_io() {
    for policy in POLICIES_THAT_DO_NOT_WAIT {
        let file = File::new(policy);
        let versions: Vec<_> = (1..=4)
            .map(|byte| {
                file.fill_page(0, byte);
                file.write(PAGE + 5 * u64::from(byte), &[byte; 5]);
                file.freeze()
            })
            .collect();
        file.fill_page(0, 9);
        for (version, byte) in versions.iter().zip(1..) {
            let run = version.frozen.runs().next().unwrap();
            assert!(
                matches!(run.pages[0], FrozenPage::Data(page) if page.iter().all(|at| *at == byte))
            );
            let FrozenPage::Data(second) = run.pages[1] else { panic!("page 1 has data") };
            assert_eq!(second[5 * usize::from(byte)], byte);
            assert_eq!(second[5 * usize::from(byte) + 5], 0, "nothing of a later version");
        }
        assert_eq!(file.byte_of(0), 9);
        versions.into_iter().for_each(|version| version.frozen.complete());
        assert_eq!(file.mapping.dirty_pages(), 1);
    }
}

#[test]
fn versions_complete_in_any_order() {
    for policy in POLICIES_THAT_DO_NOT_WAIT {
        for order in ORDERS {
            let file = File::new(policy);
            let mut versions: Vec<_> = (0..3u8)
                .map(|version| {
                    file.fill_page(0, 10 + version);
                    file.fill_page(1 + u64::from(version), 20 + version);
                    Some(file.freeze())
                })
                .collect();
            versions.iter().flatten().for_each(|version| file.publish(version));
            for (ended, at) in order.into_iter().enumerate() {
                versions[at].take().unwrap().frozen.complete();
                let live_is_clean = order[..=ended].contains(&2);
                assert_eq!(file.mapping.is_dirty(0), !live_is_clean, "{order:?} after {at}");
                assert_eq!(file.byte_of(0), 12);
                assert!(!file.mapping.is_dirty(1 + at as u64));
            }
            file.assert_settled();
            file.mapping.drop_clean(0..10);
            assert_eq!(file.byte_of(0), 12);
        }
    }
}

#[test]
fn versions_fail_in_any_order_and_only_the_newest_content_becomes_dirty_again() {
    for policy in POLICIES_THAT_DO_NOT_WAIT {
        for order in ORDERS {
            let file = File::new(policy);
            let mut versions: Vec<_> = (0..3u8)
                .map(|version| {
                    file.fill_page(0, 10 + version);
                    file.fill_page(1 + u64::from(version), 20 + version);
                    Some(file.freeze())
                })
                .collect();
            order.into_iter().for_each(|at| versions[at].take().unwrap().frozen.fail());
            let expected = [(0, Some(12)), (1, Some(20)), (2, Some(21)), (3, Some(22))].into();
            assert_eq!(content_of(&file.freeze().frozen), expected, "{order:?}");
        }
    }
}

#[test]
fn an_old_version_that_fails_does_not_make_newer_durable_content_dirty() {
    for policy in POLICIES_THAT_DO_NOT_WAIT {
        let file = File::new(policy);
        file.fill_page(0, 1);
        let old = file.freeze();
        file.fill_page(0, 2);
        let new = file.freeze();
        new.frozen.complete();
        old.frozen.fail();
        file.assert_settled();
        assert_eq!(file.byte_of(0), 2);
    }
}

#[test]
fn an_old_version_of_zeros_does_not_clean_newer_zeros() {
    for policy in POLICIES_THAT_DO_NOT_WAIT {
        // Zeros have no frame to tell them apart by; only the version can.
        let file = File::new(policy);
        file.fill_page(0, 0);
        let zeros = file.freeze();
        file.fill_page(0, 5);
        let data = file.freeze();
        file.fill_page(0, 0);
        file.publish(&zeros);
        zeros.frozen.complete();
        assert!(
            file.mapping.is_dirty(0),
            "the newer zeros are not durable: the disk is about to get the data"
        );
        file.publish(&data);
        data.frozen.complete();
        assert_eq!(content_of(&file.freeze().frozen), [(0, None)].into());
    }
}

#[test]
fn truncation_drops_a_frozen_page_from_the_live_table_only() {
    for_each_policy(|policy| {
        for fails in [false, true] {
            let file = File::new(policy);
            (0..4).for_each(|page| file.fill_page(page, 1));
            let version = file.freeze();
            file.truncate(2 * PAGE);
            assert_eq!(content_of(&version.frozen), (0..4).map(|page| (page, Some(1))).collect());
            assert_eq!(file.byte_of(3), 0, "dropped from the live table");
            if fails {
                version.frozen.fail();
                assert_eq!(file.mapping.dirty_pages(), 2, "what was cut off does not come back");
            } else {
                file.publish(&version);
                version.frozen.complete();
                file.assert_settled();
            }
            assert_eq!((file.byte_of(2), file.byte_of(3)), (0, 0));
        }
    });
}

#[test]
fn a_file_cut_and_grown_again_while_frozen_reads_zeros() {
    for_each_policy(|policy| {
        let file = File::new(policy);
        (0..4).for_each(|page| file.fill_page(page, 1));
        let version = file.freeze();
        file.truncate(PAGE);
        file.write(3 * PAGE, &[5; 10]);
        file.publish(&version);
        version.frozen.complete();
        assert_eq!(file.read(3 * PAGE, 20), [[5; 10], [0; 10]].concat());
        assert_eq!((file.byte_of(0), file.byte_of(2)), (1, 0));
        assert_eq!(file.mapping.dirty_pages(), 1);
    });
}

#[test]
fn a_hole_punched_into_a_frozen_version_is_seen_by_readers_only() {
    for_each_policy(|policy| {
        let file = File::new(policy);
        (0..4).for_each(|page| file.fill_page(page, 1));
        let version = file.freeze();
        file.punch(PAGE, 3 * PAGE);
        assert_eq!(content_of(&version.frozen), (0..4).map(|page| (page, Some(1))).collect());
        file.publish(&version);
        version.frozen.complete();
        let bytes: Vec<_> = (0..4).map(|page| file.byte_of(page)).collect();
        assert_eq!(bytes, [1, 0, 0, 1]);
        file.assert_settled();
    });
}

#[test]
fn eviction_takes_neither_dirty_pages_nor_pages_in_flight() {
    for_each_policy(|policy| {
        let file = File::over(cache_of(128, policy), Disk::default());
        (0..20).for_each(|page| file.fill_page(page, 1));
        let version = file.freeze();
        (20..40).for_each(|page| file.fill_page(page, 2));
        let other =
            File::over(file.cache.clone(), Disk::with_pages((0..500).map(|page| (page, 7))));
        (0..500).for_each(|page| assert_eq!(other.byte_of(page), 7));
        assert!(file.counters().evictions > 300, "{:?}", file.counters());
        let fills = file.disk.fills();
        (0..40).for_each(|page| assert_eq!(file.byte_of(page), 1 + (page / 20) as u8));
        assert_eq!(file.disk.fills(), fills, "nothing was evicted");
        assert_eq!(content_of(&version.frozen), (0..20).map(|page| (page, Some(1))).collect());
    });
}

#[test]
fn a_completed_page_may_be_evicted_while_newer_versions_are_in_flight() {
    for_each_policy(|policy| {
        let file = File::over(cache_of(128, policy), Disk::default());
        (0..20).for_each(|page| file.fill_page(page, 1));
        file.sync();
        file.fill_page(20, 2);
        let version = file.freeze();
        assert_eq!(version.frozen.runs().count(), 1);
        let other =
            File::over(file.cache.clone(), Disk::with_pages((0..500).map(|page| (page, 7))));
        (0..500).for_each(|page| assert_eq!(other.byte_of(page), 7));
        let fills = file.disk.fills();
        (0..20).for_each(|page| assert_eq!(file.byte_of(page), 1));
        assert!(file.disk.fills() > fills, "clean pages were evicted, and came back from the disk");
        assert_eq!(content_of(&version.frozen), [(20, Some(2))].into());
    });
}

#[test]
fn whoever_holds_frozen_pages_keeps_them_whatever_happens_to_the_file() {
    for policy in POLICIES_THAT_DO_NOT_WAIT {
        let file = File::new(policy);
        (0..8).for_each(|page| file.fill_page(page, 1));
        let version = file.freeze();
        let runs: Vec<_> = version.frozen.runs().collect();
        thread::scope(|scope| {
            scope.spawn(|| (0..8).for_each(|page| file.fill_page(page, 2)));
            scope.spawn(|| (0..8).for_each(|page| file.write(page * PAGE + 7, b"x")));
            scope.spawn(|| file.punch(0, 3 * PAGE));
            scope.spawn(|| file.truncate(5 * PAGE));
        });
        let data = runs.iter().flat_map(|run| &run.pages);
        assert!(
            data.into_iter()
                .all(|page| matches!(page, FrozenPage::Data(bytes) if **bytes == [1; 4096]))
        );
    }
}
