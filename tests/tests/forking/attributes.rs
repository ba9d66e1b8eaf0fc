//! Attributes that change while a closed delta still needs the old ones.

use braidfs::{SetAttributes, Volume};

use crate::stage::{NEVER_WAITING, PAGE, Stage, lose_power_everywhere, page_bytes};

/// More than what goes into the log itself.
const PAGES: usize = 20;

/// Mode, owner, size and content of the file; nothing if it is not there.
type State = Option<(u32, u32, u64, Vec<u8>)>;

fn state(volume: &Volume) -> State {
    let found = volume.lookup(1, b"file").ok()?;
    Some((found.mode & 0o777, found.uid, found.size, page_bytes(volume, "file")))
}

fn set(stage: &Stage, file: u64, wanted: SetAttributes) {
    stage.volume.setattr(file, &wanted).expect("setattr");
}

/// The attributes of one delta: a mode, an owner and as many pages, all of them that byte.
fn change(stage: &Stage, file: u64, byte: u8) {
    let uid = Some(u32::from(byte));
    let mode = Some(0o600 + u32::from(byte));
    set(stage, file, SetAttributes { mode, uid, ..SetAttributes::default() });
    stage.fill(file, PAGES + usize::from(byte), byte);
}

fn changed(byte: u8) -> State {
    let pages = PAGES + usize::from(byte);
    let content = vec![byte; pages];
    Some((0o600 + u32::from(byte), u32::from(byte), (pages * PAGE) as u64, content))
}

/// A delta is closed, and its data is being written; the attributes change before its inodes are staged.
#[test]
fn attributes_fork_while_a_closed_delta_is_staged() {
    for policy in NEVER_WAITING {
        let stage = Stage::new(policy);
        let file = stage.create("file");
        stage.acknowledge(1);
        change(&stage, file, 1);
        stage.device.writes().hold();
        std::thread::scope(|scope| {
            let sync = scope.spawn(|| stage.volume.syncfs());
            stage.device.writes().await_one();
            change(&stage, file, 2);
            assert_eq!(state(&stage.volume), changed(2), "whoever looks sees the newest");
            stage.device.writes().let_all_go();
            sync.join().unwrap().expect("sync");
            stage.acknowledge(2);
        });
        stage.volume.syncfs().expect("sync");
        stage.acknowledge(3);
        let empty = Some((0o644, 0, 0, Vec::new()));
        let states = [None, empty, changed(1), changed(2)];
        lose_power_everywhere(&stage.device.inner().recording(), &states, state);
    }
}

/// The same with fsync, and with a third delta behind.
#[test]
fn attributes_of_three_deltas_are_kept_apart() {
    for policy in NEVER_WAITING {
        let stage = Stage::new(policy);
        let file = stage.create("file");
        stage.acknowledge(1);
        stage.device.flushes().hold();
        std::thread::scope(|scope| {
            let fsyncs: Vec<_> = (1..4)
                .map(|byte| {
                    change(&stage, file, byte);
                    stage.start_fsync(scope, file)
                })
                .collect();
            stage.device.flushes().let_all_go();
            for (state, fsync) in (2..).zip(fsyncs) {
                fsync.join().unwrap().expect("fsync");
                stage.acknowledge(state);
            }
        });
        let empty = Some((0o644, 0, 0, Vec::new()));
        let states = [None, empty, changed(1), changed(2), changed(3)];
        lose_power_everywhere(&stage.device.inner().recording(), &states, state);
    }
}
