//! The example of the heap, killed once.

use std::process::Command;

#[test]
fn the_heap_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let image = folder.path().join("heap.img");
    // Built already when all tests are run; the programs of tests have no place for examples.
    let output = Command::new(env!("CARGO"))
        .args(["run", "--quiet", "--offline", "--package", "braidfs", "--example", "heap", "--"])
        .arg("kill-test")
        .arg(&image)
        .args(["--mib", "8", "--rounds", "1", "--interval-ms", "150"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("1 kills, and the sum was right after each"), "{told}");
}
