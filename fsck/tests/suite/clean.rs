//! Sound volumes: nothing is found, and the log is looked at as its replay will leave it.

use braidfs_format::{InodeRecord, Item, Key};
use braidfs_fsck::{CheckOptions, PassStatus, Report, Silent, check};

use crate::support::*;

fn assert_clean(report: &Report) {
    assert!(report.is_clean() && report.counts.is_empty(), "{:#?}", report.findings);
    for pass in &report.passes {
        assert_eq!(pass.status, PassStatus::Done, "{}", pass.name);
    }
}

#[test]
fn the_sample_is_clean() {
    let report = check_all(&sample().build());
    assert_clean(&report);
    let totals = report.totals.unwrap();
    assert_eq!((totals.inodes, totals.directories, totals.orphans), (9, 3, 1));
    assert_eq!((totals.mapped_blocks, totals.data_blocks_read), (16, 6));
    assert_eq!(report.log.unwrap().replayed, 0);
}

#[test]
fn shared_blocks_are_clean_if_they_are_counted() {
    for volume in [sharing(&[(0, 3, 1)]), sharing(&[(0, 1, 1), (1, 2, 1)]), shared_often(3)] {
        let report = check_all(&volume.build());
        assert_clean(&report);
        // Those that are shared are compared for each of their files.
        assert!(report.totals.unwrap().data_blocks_read >= 13);
    }
}

#[test]
fn a_log_may_share_blocks_of_the_tree_and_of_itself() {
    let mut volume = sharing(&[(0, 3, 1)]);
    volume.clean = false;
    let extent = match volume.items.get(&Key::extent(SHARER, 0)) {
        Some(Item::Extent(extent)) => extent.clone(),
        other => panic!("the sharer has {other:?}"),
    };
    let written = volume.write_pages(11, &data_pages(20, 2));
    let record = volume.record(SHARER).clone();
    let with = |size_blocks: u64, blocks: u64| {
        let record = InodeRecord { size: size_blocks * 4096, blocks, ..record.clone() };
        Item::Inode(record)
    };
    volume.transactions = vec![
        Transaction::default().map(SHARER, 8, written.clone()).put(Key::inode(SHARER), with(10, 6)),
        Transaction::default()
            .map(SHARER, 20, extent)
            .map(SHARER, 30, written)
            .put(Key::inode(SHARER), with(32, 11)),
    ];
    assert_clean(&check_all(&volume.build()));
}

#[test]
fn trees_of_any_shape_are_clean() {
    for fanout in [2, 3, 7, 100] {
        let mut volume = sample();
        volume.fanout = fanout;
        assert_clean(&check_all(&volume.build()));
    }
    assert_clean(&check_all(&VolumeBuilder::new().build()));
}

#[test]
fn a_volume_unmounted_in_order_is_skipped_unless_forced() {
    let mut volume = sample();
    volume.record(FILE).links = 77;
    let device = volume.build();
    let report = check(&device, &CheckOptions::default(), &Silent).unwrap();
    assert!(report.skipped_as_clean && report.is_clean());
    let report = check(&device, &CheckOptions::forced(), &Silent).unwrap();
    assert!(!report.skipped_as_clean && !report.is_clean());
}

#[test]
fn a_volume_with_a_log_or_without_the_mark_is_not_skipped() {
    let mut volume = sample();
    volume.transactions.push(Transaction::default());
    let report = check(&volume.build(), &CheckOptions::default(), &Silent).unwrap();
    assert!(!report.skipped_as_clean);
    let mut volume = sample();
    volume.clean = false;
    let report = check(&volume.build(), &CheckOptions::default(), &Silent).unwrap();
    assert!(!report.skipped_as_clean && report.is_clean());
}

#[test]
fn the_log_is_replayed_in_memory() {
    let report = check_all(&busy().build());
    assert_clean(&report);
    let log = report.log.unwrap();
    assert_eq!((log.replayed, log.last_delta, log.discarded), (3, 13, 0));
    // Only what is past the newest mark has to be verified.
    assert_eq!(log.verified_blocks, 1);
    let totals = report.totals.unwrap();
    assert_eq!((totals.inodes, totals.directories, totals.orphans), (10, 4, 0));
    // Two blocks and one more of new data; what is written in place is in use already.
    assert_eq!(totals.used_blocks, report.volume.unwrap().used_blocks + 3);
}

#[test]
fn every_log_that_ends_early_is_clean() {
    let volume = busy();
    let addresses = volume.transaction_addresses();
    for (index, address) in addresses.iter().enumerate() {
        let mut torn = busy();
        // Nothing is known to be durable, as after a crash of the very first mount.
        for transaction in &mut torn.transactions {
            transaction.durable_through = Some(10);
        }
        let device = torn.build();
        flip(&device, *address, 200);
        let report = check_all(&device);
        assert_clean(&report);
        assert_eq!(report.log.unwrap().replayed, index as u64);
    }
}

#[test]
fn data_that_did_not_make_it_ends_the_replay() {
    let mut volume = busy();
    for transaction in &mut volume.transactions {
        transaction.durable_through = Some(10);
    }
    let device = volume.build();
    let lost = volume.data.keys().find(|block| volume.data[block] == data_pages(10, 1)[0]);
    flip(&device, *lost.unwrap(), 17);
    let report = check_all(&device);
    assert_clean(&report);
    let log = report.log.unwrap();
    assert_eq!((log.replayed, log.discarded), (1, 2));
    assert!(log.end.contains("checksum"), "{}", log.end);
}

#[test]
fn leftovers_of_an_earlier_round_are_not_part_of_the_log() {
    let mut volume = busy();
    volume.header_edit = Some(Box::new(|index, header| {
        if index == 1 {
            header.previous_checksum ^= 1;
            header.durable_through = 11;
        }
        if index == 2 {
            header.durable_through = 11;
        }
    }));
    let report = check_all(&volume.build());
    assert_clean(&report);
    assert_eq!(report.log.unwrap().replayed, 1);
}

#[test]
fn the_report_is_json() {
    let report = check_all(&busy().build());
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["passes"][2]["status"], "done");
    assert_eq!(json["volume"]["label"], "sample");
    assert_eq!(json["log"]["replayed"], 3);
}
