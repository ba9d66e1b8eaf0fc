//! Finding the programs under test.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// The program `braidfs`, up to date with its sources; the checker lies beside it. `BRAIDFS_PROGRAM` names
/// another one.
///
/// # Panics
/// If it can't be built.
pub fn braidfs() -> PathBuf {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(find).clone()
}

fn find() -> PathBuf {
    if let Some(program) = std::env::var_os("BRAIDFS_PROGRAM") {
        return program.into();
    }
    // The test lies in target/PROFILE/deps, the programs in target/PROFILE.
    let test = std::env::current_exe().expect("a test knows where it is");
    let profile = test.parent().and_then(|deps| deps.parent()).expect("cargo's layout");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "-p", "braidfs", "-p", "braidfs-fsck"]);
    cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    cargo.arg("--target-dir").arg(profile.parent().expect("cargo's layout"));
    let built = cargo.status();
    let program = profile.join("braidfs");
    assert!(
        built.as_ref().is_ok_and(|status| status.success()) && program.exists(),
        "can't build braidfs and its checker: {built:?}"
    );
    program
}
