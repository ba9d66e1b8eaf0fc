//! The lab: it measures, and takes away what it needed, whatever happens.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{PROGRAM, Workshop, has_fuse};

/// A measurement that takes a moment.
const BRIEF: [&str; 12] = [
    "lab",
    "writeback",
    "--quick",
    "--directory",
    "ground",
    "--disks",
    "slow",
    "--no-peers",
    "--json",
    "lab.json",
    "--figures",
    "figures",
];

/// Whether anything of the lab in this workshop is still mounted.
fn is_anything_mounted(work: &Workshop) -> bool {
    let place = work.path("ground").display().to_string();
    fs::read_to_string("/proc/self/mountinfo").unwrap().contains(&place)
}

#[test]
fn the_policies_are_measured_and_drawn() {
    if !has_fuse() {
        return;
    }
    let work = Workshop::new();
    let command = [&BRIEF[..], &["--writers", "direct", "--drivers", "interval"]].concat();
    let outcome = work.run(&command).succeeded();
    let json: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(work.path("lab.json")).unwrap()).unwrap();
    assert_eq!((&json["format"], &json["version"]), (&"braidfs-lab-writeback".into(), &1.into()));
    let results = json["results"].as_array().unwrap();
    assert_eq!(results.len(), 3);
    for (result, policy) in results.iter().zip(["fork", "wait", "copy"]) {
        assert_eq!(result["contestant"], policy);
        assert!(outcome.stdout.contains(&format!("\n  {policy}  ")), "{}", outcome.stdout);
        assert!(result["writes"].as_u64().unwrap() > 0, "{policy}");
        let quantiles = ["p50_ns", "p99_ns", "p99_9_ns", "max_ns"].map(|q| result[q].as_u64());
        assert!(quantiles.is_sorted() && quantiles[0] > Some(0), "{policy}: {quantiles:?}");
        assert!(!result["curve"].as_array().unwrap().is_empty());
        let forks = result["forks"].as_u64().unwrap();
        assert!(policy == "fork" || forks == 0, "{policy}: {forks} forks");
    }
    for name in ["writeback-slow.svg", "writeback-slow-over-time.svg"] {
        let picture = fs::read_to_string(work.path("figures").join(name)).unwrap();
        assert!(picture.starts_with("<svg") && picture.matches("<polyline").count() > 10);
    }
    assert_eq!(fs::read_dir(work.path("ground")).unwrap().count(), 0);
    assert!(!is_anything_mounted(&work));
}

#[test]
fn an_interrupted_lab_leaves_nothing() {
    if !has_fuse() {
        return;
    }
    let work = Workshop::new();
    let mut command = work.command(PROGRAM, &BRIEF);
    let mut lab = command.args(["--seconds", "600s"]).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_anything_mounted(&work) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    kill_process(Pid::from_child(&lab), Signal::INT).unwrap();
    while lab.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "it goes on");
        std::thread::sleep(Duration::from_millis(10));
    }
    let outcome = lab.wait_with_output().unwrap();
    assert_eq!(outcome.status.code(), Some(1));
    let told = String::from_utf8(outcome.stderr).unwrap();
    assert!(told.contains("interrupted"), "{told}");
    assert!(!is_anything_mounted(&work));
    assert_eq!(fs::read_dir(work.path("ground")).unwrap().count(), 0);
}
