//! Mounts that cannot be made; what was there before is there afterwards.

use std::fs;

use crate::support::{PROGRAM, SMALL, Workshop, has_fuse, is_root};

#[test]
fn mount_points_that_are_none() {
    let work = Workshop::new();
    work.volume("a.img");
    fs::write(work.path("file"), b"").unwrap();
    let missing = &["mount point missing", "does not exist", "mkdir missing"];
    work.run(&["mount", "a.img", "missing"]).failed(1, missing);
    work.run(&["mount", "-d", "a.img", "missing"]).failed(1, missing);
    work.run(&["mount", "a.img", "file"]).failed(1, &["file is not a directory"]);
    work.run(&["mount", "a.img", "/proc"]).failed(1, &["/proc is in use", "umount"]);
}

#[test]
fn an_image_is_not_made_for_a_mount_that_cannot_be() {
    let work = Workshop::new();
    work.run(&["mount", "a.img", "missing", "--create", SMALL]).failed(1, &["does not exist"]);
    if has_fuse() {
        fs::create_dir(work.path("mnt")).unwrap();
        work.run(&["mount", "a.img", "mnt", "--create", "1M"]).failed(2, &["16 MiB"]);
        work.run(&["mount", "no/a.img", "mnt", "--create", SMALL]).failed(1, &["directory"]);
        work.run(&["mount", "a.img", "mnt"]).failed(1, &["--create 2G"]);
        fs::remove_dir(work.path("mnt")).unwrap();
    }
    assert!(work.files().is_empty());
}

#[test]
fn arguments_that_make_no_sense() {
    let work = Workshop::new();
    work.run(&["mount", "a", "b", "--create", "2X"]).failed(2, &["2X", "unit"]);
    work.run(&["mount", "a", "b", "--cache-size", "0"]).failed(2, &["nothing at all"]);
    work.run(&["mount", "a", "b", "--commit-interval", "soon"]).failed(2, &["soon"]);
    work.run(&["mount", "a", "b", "--writeback-policy", "guess"]).failed(2, &["guess", "fork"]);
    work.run(&["mount", "a", "b", "--threads", "0"]).failed(2, &["0"]);
    work.run(&["mount", "a", "b", "-o", "nonsense"]).failed(2, &["`nonsense` is not known"]);
    work.run(&["mount", "a"]).failed(2, &["DIR"]);
    work.run(&["explode"]).failed(2, &["explode"]);
}

#[test]
fn no_fuse_device() {
    if !is_root() {
        return;
    }
    let work = Workshop::new();
    fs::create_dir(work.path("mnt")).unwrap();
    let script = "mount -t tmpfs none /dev || exit 99; exec \"$0\" mount a.img mnt --create 16M";
    let outcome = work.run_as("unshare", &["-m", "sh", "-c", script, PROGRAM]);
    outcome.failed(1, &["there is no FUSE device", "modprobe fuse"]);
    assert_eq!(work.files(), ["mnt"]);
}

#[test]
fn no_permission() {
    if !is_root() {
        return;
    }
    let work = Workshop::new();
    fs::create_dir(work.path("mnt")).unwrap();
    let image = work.volume("a.img");
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(&image, fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(work.path("."), fs::Permissions::from_mode(0o755)).unwrap();
    let as_nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups", "sh", "-c"];
    let run = |script| {
        // The program may lie where nobody else may look.
        work.run_as("setpriv", &[&as_nobody[..], &[script, PROGRAM]].concat())
    };
    if !run("\"$0\" --version").status.success() {
        eprintln!("skipped: the program cannot be run by others");
        return;
    }
    run("\"$0\" info a.img").failed(1, &["a.img", "ermission"]);
    run("\"$0\" mkfs b.img 16M").failed(1, &["b.img", "no permission"]);
    run("\"$0\" mount a.img mnt").failed(1, &["ermission"]);
    assert_eq!(work.files(), ["a.img", "mnt"]);
}

#[test]
fn an_image_in_use_names_who_uses_it() {
    if !has_fuse() {
        return;
    }
    let work = Workshop::new();
    let server = work.mount(&["a.img", "mnt", "--create", SMALL]);
    let pid = format!("braidfs (pid {})", server.pid());
    fs::create_dir(work.path("other")).unwrap();
    work.run(&["mount", "a.img", "other"]).failed(1, &["a.img", &pid]);
    work.run(&["mkfs", "--force", "a.img"]).failed(1, &["a.img", &pid]);
    work.run(&["mount", "a.img", "mnt"]).failed(1, &["mnt is in use", "a.img"]);
    let info = work.run(&["info", "a.img", "--json"]).succeeded().json();
    assert_eq!(info["used_by"], *pid);
}
