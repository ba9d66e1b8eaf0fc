//! The statistics of a mount: their names, that they count, and that they only grow.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use braidfs::statistics::{Measure, NumberKind, STATISTICS_VERSION, numbers};
use serde_json::Value;

use crate::support::{SMALL, Workshop, has_fuse};

const PAGE: usize = 4096;

/// Overwrites pages past the kernel's cache, again and again, until `enough`.
fn overwrite_until(path: &Path, enough: impl Fn() -> bool + Sync) {
    let direct = rustix::fs::OFlags::DIRECT.bits() as i32;
    let file = OpenOptions::new().create(true).write(true).custom_flags(direct).open(path).unwrap();
    let mut memory = vec![7u8; 2 * PAGE];
    let start = memory.as_ptr().align_offset(PAGE);
    let page = &mut memory[start..start + PAGE];
    let (done, deadline) = (AtomicBool::new(false), Instant::now() + Duration::from_secs(60));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !enough() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(20));
            }
            done.store(true, Ordering::Relaxed);
        });
        for round in 0u64.. {
            if done.load(Ordering::Relaxed) {
                break;
            }
            page.fill(round as u8 | 1);
            file.write_all_at(page, round % 16 * PAGE as u64).unwrap();
        }
    });
    assert!(Instant::now() < deadline, "it does not happen");
}

fn report(work: &Workshop) -> Value {
    work.run(&["stats", "mnt", "--json"]).succeeded().json()
}

fn counter(report: &Value, name: &str) -> u64 {
    report["counters"][name].as_u64().unwrap_or_else(|| panic!("no counter {name}"))
}

#[test]
fn the_json_has_the_names_that_are_documented() {
    if !has_fuse() {
        return;
    }
    let work = Workshop::new();
    let _server = work.mount(&["a.img", "mnt", "--create", SMALL]);
    let report = report(&work);
    assert_eq!(report["format"], "braidfs-statistics");
    assert_eq!(report["version"], STATISTICS_VERSION);
    let names =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    let documented = |kind| {
        let of_kind = numbers().filter(|number| number.kind == kind);
        let mut names: Vec<String> = of_kind.map(|number| number.name.to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&report["counters"]), documented(NumberKind::Counter));
    assert_eq!(names(&report["counters_since_reset"]), documented(NumberKind::Counter));
    assert_eq!(names(&report["amounts"]), documented(NumberKind::Amount));
    assert_eq!(names(&report["peaks"]), documented(NumberKind::Peak));
    for measure in Measure::ALL {
        let values = &report["distributions"][measure.name()];
        for field in ["count", "mean", "p50", "p90", "p99", "p99_9", "max"] {
            assert!(values[field].is_number(), "{}.{field}", measure.name());
        }
    }
    assert!(report["seconds_since_mount"].as_f64() >= report["seconds_since_reset"].as_f64());
    let help = work.run(&["stats", "--help"]).succeeded().stdout;
    let table = work.run(&["stats", "mnt"]).succeeded().stdout;
    work.run(&["man", "pages"]).succeeded();
    let page = std::fs::read_to_string(work.path("pages/braidfs-stats.8")).unwrap();
    for name in numbers().map(|n| n.name).chain(Measure::ALL.map(Measure::name)) {
        assert!(help.contains(name) && table.contains(name) && page.contains(name), "{name}");
    }
}

#[test]
fn each_policy_shows_in_its_counters() {
    if !has_fuse() {
        return;
    }
    let work = Workshop::new();
    let options = ["a.img", "mnt", "--create", "64M", "--commit-interval", "1ms"];
    let _server = work.mount(&options);
    for (policy, shows) in
        [("fork", "forks"), ("wait", "writeback_waits"), ("copy", "copied_bytes")]
    {
        work.run(&["control", "mnt", "--writeback-policy", policy]).succeeded();
        work.run(&["sync", "mnt"]).succeeded();
        let before = report(&work);
        overwrite_until(&work.path("mnt/file"), || {
            counter(&report(&work), shows) > counter(&before, shows)
        });
        let after = report(&work);
        if policy != "fork" {
            assert_eq!(counter(&before, "forks"), counter(&after, "forks"), "{policy}");
        }
        if policy == "wait" {
            assert!(counter(&after, "writeback_wait_ns") > counter(&before, "writeback_wait_ns"));
        }
        for name in ["deltas", "flushes", "written_bytes", "data_written_bytes", "flush_ns"] {
            assert!(counter(&after, name) > counter(&before, name), "{policy}: {name}");
        }
        let count = |name: &str| after["distributions"][name]["count"].as_u64().unwrap();
        assert!(count("write_during_writeback") > 0, "{policy}");
        assert!(count("write_during_writeback") <= count("write"), "{policy}");
        assert!(count("commit") > 0 && count("transition") > 0, "{policy}");
    }
}

#[test]
fn counters_only_grow_and_a_reset_begins_the_rest_anew() {
    if !has_fuse() {
        return;
    }
    let work = Workshop::new();
    let _server = work.mount(&["a.img", "mnt", "--create", SMALL]);
    let mut last = report(&work);
    for round in 0..5u8 {
        let mut file = File::create(work.path("mnt/file")).unwrap();
        file.write_all(&vec![round + 1; 100_000]).unwrap();
        file.sync_all().unwrap();
        if round == 2 {
            work.run(&["stats", "mnt", "--reset"]).succeeded();
        }
        let now = report(&work);
        for number in numbers().filter(|number| number.kind == NumberKind::Counter) {
            let name = number.name;
            assert!(counter(&now, name) >= counter(&last, name), "{name} went back");
        }
        assert!(counter(&now, "written_bytes") >= counter(&last, "written_bytes") + 100_000);
        last = now;
    }
    assert_eq!(last["distributions"]["fsync"]["count"], 2);
    let since = last["counters_since_reset"]["written_bytes"].as_u64().unwrap();
    assert!((200_000..300_000).contains(&since), "{since}");
    assert!(last["seconds_since_reset"].as_f64() < last["seconds_since_mount"].as_f64());
}

#[test]
fn watching_shows_rates() {
    if !has_fuse() {
        return;
    }
    let work = Workshop::new();
    let _server = work.mount(&["a.img", "mnt", "--create", SMALL]);
    std::thread::scope(|scope| {
        let watched = scope.spawn(|| {
            let watch = ["stats", "mnt", "--watch", "300ms", "--count", "4", "--json"];
            work.run(&watch).succeeded().stdout
        });
        while !watched.is_finished() {
            let file = File::create(work.path("mnt/file")).unwrap();
            file.write_all_at(&[1; 10_000], 0).unwrap();
            file.sync_all().unwrap();
        }
        let lines = watched.join().unwrap();
        let lines: Vec<Value> =
            lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 4);
        for line in &lines[1..] {
            assert!(line["fsyncs_per_second"].as_f64().unwrap() > 0.0, "{line}");
            assert!(line["written_bytes_per_second"].as_f64().unwrap() > 0.0, "{line}");
            assert!(line["write"]["p99"].as_u64().unwrap() > 100, "{line}");
        }
    });
    let text = work.run(&["stats", "mnt", "--watch", "10ms", "--count", "2"]).succeeded().stdout;
    assert_eq!(text.lines().count(), 4, "{text}");
}
