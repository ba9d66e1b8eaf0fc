//! The settings of a mount: shown, changed, kept.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{SMALL, Workshop, has_fuse, is_root};

#[test]
fn settings_of_a_mount_are_shown_and_changed() {
    if !has_fuse() {
        return;
    }
    let work = Workshop::new();
    let options = "dirty_limit=24M,zero_dedup=off,commit=30,cache_size=64M";
    let _server = work.mount(&["a.img", "mnt", "--create", SMALL, "-o", options]);
    let settings = || work.run(&["control", "mnt", "--json"]).succeeded().json();
    assert_eq!(settings()["dirty_limit_bytes"], 24 << 20);
    assert_eq!(settings()["frozen_limit_bytes"], 16 << 20);
    assert_eq!(settings()["zero_dedup"], false);
    assert_eq!(settings()["commit_interval_ms"], 30_000);
    assert_eq!(settings()["writeback_policy"], "fork");
    let changed = work.run(&["control", "mnt", "--writeback-policy", "wait", "--zero-dedup", "on"]);
    assert_eq!(changed.succeeded().stdout, "");
    assert_eq!(settings()["writeback_policy"], "wait");
    assert_eq!(settings()["zero_dedup"], true);
    assert_eq!(settings()["dirty_limit_bytes"], 24 << 20, "what is not named stays");
    let shown = work.run(&["control", "mnt"]).succeeded().stdout;
    assert!(shown.contains("writeback-policy  wait"), "{shown}");
    assert!(shown.contains("dirty-limit       24.0 MiB"), "{shown}");
}

#[test]
fn settings_that_make_no_sense_change_nothing() {
    if !has_fuse() {
        return;
    }
    let work = Workshop::new();
    let _server = work.mount(&["a.img", "mnt", "--create", SMALL, "--cache-size", "64M"]);
    let before = work.run(&["control", "mnt", "--json"]).succeeded().stdout;
    for (arguments, words) in [
        (["--dirty-limit", "60M"], ["60.0 MiB", "64.0 MiB"]),
        (["--frozen-limit", "100"], ["frozen limit", "at least 1.0 MiB"]),
        (["--dirty-limit", "much"], ["2G", "512M"]),
        (["--writeback-policy", "stall"], ["fork, wait, copy", "--help"]),
        (["--zero-dedup", "maybe"], ["on, off", "--help"]),
    ] {
        let command = [&["control", "mnt", "--commit-interval", "1s"], &arguments[..]].concat();
        work.run(&command).failed(2, &words);
    }
    assert_eq!(work.run(&["control", "mnt", "--json"]).succeeded().stdout, before);
    work.run(&["control", "."]).failed(1, &["not on a mount of braidfs"]);
    work.run(&["control", "nowhere"]).failed(1, &["cannot open nowhere"]);
    let limits = ["mount", "b.img", "b", "-o", "cache_size=8M,dirty_limit=8M"];
    work.volume("b.img");
    fs::create_dir(work.path("b")).unwrap();
    work.run(&limits).failed(1, &["dirty limit (8.0 MiB)", "below the size of the cache"]);
}

#[test]
fn a_remount_changes_settings_and_refuses_what_is_fixed() {
    if !has_fuse() || !is_root() {
        return;
    }
    let work = Workshop::new();
    let _server = work.mount(&["a.img", "mnt", "--create", SMALL, "--cache-size", "64M"]);
    let remount =
        |options: &str| work.run(&["mount", "a.img", "mnt", "-o", &format!("remount,{options}")]);
    let settings = || work.run(&["control", "mnt", "--json"]).succeeded().json();
    remount("writeback_policy=copy,cache_size=64M,commit=7").succeeded();
    assert_eq!(settings()["writeback_policy"], "copy");
    assert_eq!(settings()["commit_interval_ms"], 7000);
    remount("cache_size=32M,commit=8").failed(1, &["cache_size cannot be changed"]);
    remount("threads=99").failed(1, &["threads cannot be changed"]);
    remount("dirty_limit=1G").failed(2, &["dirty limit", "64.0 MiB"]);
    assert_eq!(settings()["commit_interval_ms"], 7000);
    remount("ro,frozen_limit=4M").succeeded();
    assert_eq!(settings()["frozen_limit_bytes"], 4 << 20);
    work.run(&["control", "mnt", "--frozen-limit", "8M"]).failed(1, &["read-only"]);
    work.run(&["sync", "mnt"]).succeeded();
    remount("rw,frozen_limit=8M").succeeded();
    assert_eq!(settings()["frozen_limit_bytes"], 8 << 20);
}

#[test]
fn a_shorter_commit_interval_holds_at_once() {
    if !has_fuse() {
        return;
    }
    let work = Workshop::new();
    let server = work.mount(&["a.img", "mnt", "--create", SMALL, "--commit-interval", "600s"]);
    fs::create_dir(work.path("mnt/directory")).unwrap();
    let deltas =
        || work.run(&["info", "mnt", "--json"]).succeeded().json()["deltas_to_replay"].clone();
    let before = deltas();
    work.run(&["control", "mnt", "--commit-interval", "10ms"]).succeeded();
    let deadline = Instant::now() + Duration::from_secs(30);
    while deltas() == before {
        assert!(Instant::now() < deadline, "nothing is committed");
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(server);
}

#[test]
fn others_may_look_but_not_change() {
    if !has_fuse() || !is_root() {
        return;
    }
    let work = Workshop::new();
    let _server = work.mount(&["a.img", "mnt", "--create", SMALL, "--allow-other"]);
    fs::set_permissions(work.path("."), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    let place = work.path("mnt");
    let as_nobody = |attribute: &str, value: &str| {
        let name = format!("system.braidfs.{attribute}");
        let set = ["--reuid=65534", "--clear-groups", "setfattr", "-n", &name, "-v", value];
        Command::new("setpriv").args(set).arg(&place).output().unwrap()
    };
    let refused = as_nobody("settings", r#"{"writeback_policy":"wait"}"#);
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(told.contains("not permitted"), "{told}");
    assert!(as_nobody("sync", "now").status.success());
    let settings = work.run(&["control", "mnt", "--json"]).succeeded().json();
    assert_eq!(settings["writeback_policy"], "fork");
    let listed = Command::new("getfattr").args(["-d", "-m", "-"]).arg(&place).output().unwrap();
    assert_eq!(String::from_utf8(listed.stdout).unwrap(), "", "they are not listed");
}

#[test]
fn a_shutdown_keeps_what_it_says_and_ends_all_changes() {
    if !has_fuse() {
        return;
    }
    let work = Workshop::new();
    for (option, is_kept) in [("--shutdown", true), ("--shutdown=nothing", false)] {
        let image = format!("{is_kept}.img");
        let arguments = [&image, "mnt", "--create", SMALL, "--commit-interval", "600s"];
        let server = work.mount(&arguments);
        fs::write(work.path("mnt/file"), b"content").unwrap();
        assert_eq!(work.run(&["control", "mnt", option]).succeeded().stdout, "");
        let refused = fs::write(work.path("mnt/later"), b"").unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(rustix::io::Errno::IO.raw_os_error()));
        work.run(&["umount", "mnt"]).succeeded();
        drop(server);
        let server = work.mount(&[&image, "mnt"]);
        assert_eq!(fs::read(work.path("mnt/file")).ok().as_deref() == Some(b"content"), is_kept);
        assert!(!work.path("mnt/later").exists());
        work.run(&["umount", "mnt"]).succeeded();
        drop(server);
    }
}

#[test]
fn shutdowns_that_make_no_sense_are_refused() {
    let work = Workshop::new();
    let words = ["everything, names, nothing"];
    work.run(&["control", "mnt", "--shutdown=later"]).failed(2, &words);
    for other in ["--json", "--zero-dedup=on"] {
        work.run(&["control", "mnt", "--shutdown", other])
            .failed(2, &["--shutdown", "cannot be used with"]);
    }
}

#[test]
fn an_attribute_makes_one_file_durable() {
    if !has_fuse() {
        return;
    }
    let work = Workshop::new();
    let server = work.mount(&["a.img", "mnt", "--create", SMALL, "--commit-interval", "600s"]);
    fs::write(work.path("mnt/file"), b"content").unwrap();
    let file = fs::File::open(work.path("mnt/file")).unwrap();
    rustix::fs::syncfs(&file).unwrap();
    let value = rustix::fs::fgetxattr(&file, "system.braidfs.fsync", &mut [0u8; 1][..]);
    assert_eq!(value, Ok(0));
    drop(file);
    server.crash();
    let _server = work.mount(&["a.img", "mnt"]);
    assert_eq!(fs::read(work.path("mnt/file")).unwrap(), b"content");
}
