//! Power losses under a program that writes mapped memory all the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use braidfs::{MountOptions, Volume};
use braidfs_block::{BlockDevice, MemoryDevice, RecordingDevice};

use super::support::{MIB, assert_clean, content, create, find, make, quiet};
use super::{PAGE, grow, map, mechanisms, store_word};

const PAGES: usize = 48;

/// One thread writes a number to each page in turn, then the next number; so at any moment the
/// numbers fall along the file, by one at most. Another syncs. Every image that a power loss can
/// leave shows such a moment, and none earlier than the last that was acknowledged.
#[test]
fn every_power_loss_leaves_the_memory_of_one_moment() {
    for mechanism in mechanisms() {
        let recorder = {
            let base = MemoryDevice::new(16 * MIB);
            make(&base, 64);
            Arc::new(RecordingDevice::new(base))
        };
        let options = MountOptions { background: true, ..quiet() };
        let volume = Volume::mount(recorder.clone(), options).unwrap();
        let inode = create(&volume, "file").unwrap();
        grow(&volume, inode, PAGES);
        volume.syncfs().unwrap();
        recorder.mark("synced", 0);
        let mapping = map(&volume, inode, PAGES, mechanism);
        let ends = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut number = 0;
                while !ends.load(Ordering::Relaxed) {
                    number += 1;
                    (0..PAGES).for_each(|page| store_word(&mapping, page * PAGE, number));
                }
            });
            for round in 0..12 {
                let seen = super::load_word(&mapping, (PAGES - 1) * PAGE);
                match round % 3 {
                    0 => mapping.snapshot().unwrap(),
                    1 => volume.syncfs().unwrap(),
                    _ => mapping.sync().unwrap(),
                }
                if round % 3 != 0 {
                    recorder.mark("synced", seen);
                }
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
            ends.store(true, Ordering::Relaxed);
        });
        drop(mapping);
        drop(volume);
        check_every_prefix(&recorder);
    }
}

fn check_every_prefix(recorder: &RecordingDevice<MemoryDevice>) {
    let recording = recorder.recording();
    let mut distinct = Vec::new();
    for point in recording.crash_points() {
        let Some(acknowledged) = point.last_mark("synced") else { continue };
        for image in [point.whole_image(), point.durable_image()] {
            let device: Arc<dyn BlockDevice> = Arc::new(image);
            let volume = Volume::mount(device.clone(), quiet()).unwrap();
            let all = content(&volume, find(&volume, "file").unwrap());
            let numbers: Vec<u64> = (0..PAGES)
                .map(|page| {
                    u64::from_ne_bytes(all[page * PAGE..page * PAGE + 8].try_into().unwrap())
                })
                .collect();
            let (first, last) = (numbers[0], numbers[PAGES - 1]);
            assert!(numbers.is_sorted_by(|one, next| one >= next), "{numbers:?}");
            assert!(first - last <= 1, "{numbers:?}");
            assert!(
                last >= acknowledged,
                "{last} is older than what was acknowledged, {acknowledged}"
            );
            distinct.push((first, last));
            drop(volume);
            assert_clean(&device);
        }
    }
    distinct.sort_unstable();
    distinct.dedup();
    assert!(distinct.len() > 5, "only {} different moments were seen", distinct.len());
}
