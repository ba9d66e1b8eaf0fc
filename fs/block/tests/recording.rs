//! The recording device: what is certain after a flush, and how many images there can be.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

use std::collections::BTreeSet;
use std::io::IoSlice;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use braidfs_block::{
    BlockDevice, BlockErrorKind, BlockOperation, CountingDevice, CrashCase, Damage, DamageKind,
    Fault, FaultyDevice, MemoryDevice, RecordingDevice,
};

const BLOCK: usize = 4096;
const SECTORS: usize = BLOCK / 512;

fn write(device: &dyn BlockDevice, block: u64, fill: u8) {
    device.write_at(block * 4096, &[IoSlice::new(&[fill; BLOCK])]).unwrap();
}

fn read(device: &dyn BlockDevice, block: u64) -> Vec<u8> {
    let mut bytes = vec![0; BLOCK];
    device.read_at(block * 4096, &mut bytes).unwrap();
    bytes
}

/// The first byte of each of the first four blocks.
fn fills(device: &dyn BlockDevice) -> [u8; 4] {
    [0, 1, 2, 3].map(|block| read(device, block)[0])
}

fn recorder() -> RecordingDevice<MemoryDevice> {
    RecordingDevice::new(MemoryDevice::new(1 << 20))
}

#[test]
fn every_prefix_can_be_rebuilt() {
    let device = recorder();
    write(&device, 0, 1);
    device.flush().unwrap();
    write(&device, 0, 2);
    write(&device, 1, 3);
    let recording = device.recording();
    let prefixes: Vec<_> = (0..=4).map(|position| fills(&recording.image_at(position))).collect();
    assert_eq!(prefixes, [[0; 4], [1, 0, 0, 0], [1, 0, 0, 0], [2, 0, 0, 0], [2, 3, 0, 0]]);
    assert_eq!(recording.image_at(99), *device.inner());
    let points: Vec<_> = recording.crash_points().collect();
    assert_eq!(points.len(), 5);
    for point in points {
        assert_eq!(point.whole_image(), recording.image_at(point.position()));
    }
}

#[test]
fn what_was_there_before_is_durable() {
    let base = MemoryDevice::new(1 << 20);
    write(&base, 3, 9);
    let device = RecordingDevice::new(base);
    write(&device, 3, 1);
    let recording = device.recording();
    assert_eq!(fills(recording.base()), [0, 0, 0, 9]);
    let point = recording.crash_point(1);
    assert_eq!(fills(&point.durable_image()), [0, 0, 0, 9]);
    assert_eq!(fills(&point.whole_image()), [0, 0, 0, 1]);
}

#[test]
fn a_flush_makes_durable_what_returned_before_it() {
    let device = recorder();
    write(&device, 0, 1);
    write(&device, 1, 2);
    device.flush().unwrap();
    write(&device, 2, 3);
    let recording = device.recording();
    let uncertain: Vec<usize> =
        recording.crash_points().map(|point| point.volatile_count()).collect();
    assert_eq!(uncertain, [0, 1, 2, 0, 1]);
    assert_eq!(fills(&recording.crash_point(4).durable_image()), [1, 2, 0, 0]);
}

#[test]
fn a_write_made_during_a_flush_stays_uncertain() {
    let slow = FaultyDevice::new(MemoryDevice::new(1 << 20));
    slow.set_latency(BlockOperation::Flush, Duration::from_millis(100));
    let device = RecordingDevice::with_base(slow, MemoryDevice::new(1 << 20)).unwrap();
    write(&device, 0, 1);
    let start = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            start.wait();
            thread::sleep(Duration::from_millis(30));
            write(&device, 1, 2);
        });
        start.wait();
        device.flush().unwrap();
    });
    let recording = device.recording();
    let end = recording.crash_point(recording.events().len());
    assert_eq!(fills(&end.durable_image()), [1, 0, 0, 0]);
    assert_eq!(end.volatile().next().unwrap().offset, 4096);
    device.flush().unwrap();
    let recording = device.recording();
    assert_eq!(recording.crash_point(usize::MAX).volatile_count(), 0);
}

#[test]
fn a_failed_flush_promises_nothing() {
    let faulty = FaultyDevice::new(MemoryDevice::new(1 << 20));
    faulty.inject(Fault::nth(BlockOperation::Flush, 1));
    let device = RecordingDevice::with_base(faulty, MemoryDevice::new(1 << 20)).unwrap();
    write(&device, 0, 1);
    device.flush().unwrap_err();
    assert_eq!(device.recording().crash_point(usize::MAX).volatile_count(), 1);
}

#[test]
fn a_failed_write_stays_uncertain_but_never_covers_a_later_one() {
    let faulty = FaultyDevice::new(MemoryDevice::new(1 << 20));
    faulty.inject(Fault::nth(BlockOperation::Write, 1));
    let device = RecordingDevice::with_base(faulty, MemoryDevice::new(1 << 20)).unwrap();
    let two_blocks = [1; 2 * BLOCK];
    device.write_at(0, &[IoSlice::new(&two_blocks)]).unwrap_err();
    write(&device, 0, 2);
    device.flush().unwrap();
    let recording = device.recording();
    let point = recording.crash_point(usize::MAX);
    assert_eq!(point.volatile_count(), 1);
    assert_eq!(fills(&point.durable_image()), [2, 0, 0, 0]);
    assert_eq!(fills(&point.whole_image()), [2, 1, 0, 0]);
}

#[test]
fn every_subset_of_the_uncertain_writes_comes_once() {
    let device = recorder();
    write(&device, 0, 9);
    device.flush().unwrap();
    (0..4).for_each(|block| write(&device, block, block as u8 + 1));
    let recording = device.recording();
    let point = recording.crash_point(usize::MAX);
    let images: BTreeSet<_> = point.subsets(100).map(|case| fills(&point.image(&case))).collect();
    assert_eq!(images.len(), 16);
    assert!(images.contains(&[9, 0, 0, 0]) && images.contains(&[1, 2, 3, 4]));
    assert!(images.contains(&[9, 2, 0, 4]));
    assert_eq!(point.subsets(10).count(), 10);
    assert_eq!(recording.crash_point(2).subsets(100).count(), 1);
}

#[test]
fn a_write_is_torn_at_every_sector_on_either_side() {
    let device = recorder();
    write(&device, 0, 1);
    device.flush().unwrap();
    write(&device, 0, 2);
    write(&device, 1, 3);
    let recording = device.recording();
    let point = recording.crash_point(usize::MAX);
    let mut seen = BTreeSet::new();
    for case in point.torn(0) {
        let image = point.image(&case);
        assert_eq!(fills(&image)[1], 3);
        let block = read(&image, 0);
        let sectors: Vec<u8> = block.chunks(512).map(|sector| sector[0]).collect();
        assert!(block.chunks(512).all(|sector| sector.iter().all(|byte| *byte == sector[0])));
        let changes = sectors.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert_eq!(changes, 1, "{case}");
        seen.insert(sectors);
    }
    assert_eq!(seen.len(), 2 * (SECTORS - 1));
}

#[test]
fn each_sector_can_hold_garbage() {
    let device = recorder();
    write(&device, 0, 1);
    let recording = device.recording();
    let point = recording.crash_point(1);
    let mut wrong = Vec::new();
    for case in point.garbage(0) {
        let block = read(&point.image(&case), 0);
        assert_eq!(read(&point.image(&case), 0), block, "the same case gives the same image");
        let sectors = block.chunks(512).enumerate();
        wrong.extend(sectors.filter(|(_, bytes)| bytes != &[1; 512]).map(|(at, _)| at));
    }
    assert_eq!(wrong, (0..SECTORS).collect::<Vec<_>>());
}

#[test]
fn all_cases_are_the_sum_of_their_sorts() {
    let device = recorder();
    write(&device, 0, 1);
    device.write_at(4096, &[IoSlice::new(&[2; 2 * BLOCK])]).unwrap();
    device.discard(16_384, 8192).unwrap();
    let recording = device.recording();
    let point = recording.crash_point(usize::MAX);
    let damaged = 2 * (SECTORS - 1) + SECTORS + 2 * (2 * SECTORS - 1) + 2 * SECTORS;
    assert_eq!(point.cases(1000).count(), 8 + damaged);
    assert_eq!(point.cases(3).count(), 3 + damaged);
    assert_eq!((point.torn(2).count(), point.garbage(7).count()), (0, 0));
}

#[test]
fn a_split_write_loses_its_blocks_one_by_one() {
    let device = recorder();
    let data = [[1; BLOCK], [2; BLOCK], [3; BLOCK]].concat();
    device.write_at(0, &[IoSlice::new(&data)]).unwrap();
    device.mark("written", 1);
    let whole = device.recording();
    let split = whole.split_writes(4096);
    assert_eq!((whole.events().len(), split.events().len()), (2, 4));
    assert_eq!(whole.split_writes(8192).events().len(), 3);
    assert_eq!(whole.split_writes(0), split);
    assert_eq!(whole.split_writes(u64::MAX), whole);
    let point = split.crash_point(usize::MAX);
    assert_eq!(point.whole_image(), whole.image_at(usize::MAX));
    let images: BTreeSet<_> = point.subsets(100).map(|case| fills(&point.image(&case))).collect();
    assert_eq!(images.len(), 8);
    assert!(images.contains(&[1, 0, 3, 0]));
    device.flush().unwrap();
    let flushed = device.recording().split_writes(4096);
    assert_eq!(flushed.crash_point(usize::MAX).volatile_count(), 0);
}

#[test]
fn a_discard_may_or_may_not_have_happened() {
    let base = MemoryDevice::new(1 << 20);
    write(&base, 0, 7);
    let device = RecordingDevice::new(base);
    device.discard(0, 4096).unwrap();
    let recording = device.recording();
    let point = recording.crash_point(1);
    let images: Vec<_> = point.subsets(9).map(|case| fills(&point.image(&case))[0]).collect();
    assert_eq!(images, [7, 0]);
}

#[test]
fn marks_stand_where_they_were_made() {
    let device = recorder();
    device.mark("acknowledged", 1);
    write(&device, 0, 1);
    device.mark("other", 5);
    device.mark("acknowledged", 2);
    let recording = device.recording();
    let acknowledged: Vec<_> =
        recording.crash_points().map(|point| point.last_mark("acknowledged")).collect();
    assert_eq!(acknowledged, [None, Some(1), Some(1), Some(1), Some(2)]);
    assert_eq!(recording.crash_point(4).marks().count(), 3);
    assert_eq!(recording.crash_point(4).last_mark("none"), None);
}

#[test]
fn cases_tell_what_was_lost() {
    let case = CrashCase {
        position: 12,
        kept: vec![true, false, false],
        damage: Some(Damage { write: 0, kind: DamageKind::KeepPrefix(512) }),
    };
    assert_eq!(
        case.to_string(),
        "power lost after event 12, of 3 uncertain writes lost [1, 2], \
         of uncertain write 0 only the first 512 bytes there"
    );
}

#[test]
fn what_is_refused_is_not_recorded() {
    let device = recorder();
    let refused = device.write_at(1 << 20, &[IoSlice::new(&[1; BLOCK])]).unwrap_err();
    assert_eq!(refused.kind, BlockErrorKind::OutOfRange);
    device.discard(1, 4096).unwrap_err();
    device.write_at(0, &[]).unwrap();
    assert_eq!(device.recording().events().len(), 0);
    let small = MemoryDevice::new(4096);
    assert!(RecordingDevice::with_base(MemoryDevice::new(8192), small).is_err());
}

#[test]
fn wrappers_can_be_stacked() {
    let counting = CountingDevice::new(recorder());
    write(&counting, 0, 1);
    counting.flush().unwrap();
    assert_eq!(fills(&counting)[0], 1);
    assert_eq!(counting.inner().recording().events().len(), 2);
    assert_eq!((counting.counts().writes, counting.counts().flushes), (1, 1));
}
