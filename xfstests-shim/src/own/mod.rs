//! Our own suite: `tests/own/NNN`, each a bash script with a header, and `NNN.out`, what it prints.
//!
//! - [`header`]: what a test says about itself;
//! - [`child`]: a script, from its start to the end of whatever it started;
//! - [`runner`]: a test on a world, and what is looked at after it.
//!
//! The library that the scripts use is `tests/own/lib.sh`.

pub mod child;
pub mod header;
pub mod runner;

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{AtPath, Result, ShimError};
use crate::select::Candidate;
use header::Header;

/// A test of ours.
#[derive(Debug, Clone)]
pub struct OwnTest {
    /// Its number, of three digits.
    pub id: String,
    /// The script.
    pub path: PathBuf,
    /// What it says about itself.
    pub header: Header,
}

impl Candidate for OwnTest {
    fn id(&self) -> &str {
        &self.id
    }

    fn groups(&self) -> &[String] {
        &self.header.groups
    }
}

/// Where the tests are, if nobody says: where this program was built.
#[must_use]
pub fn default_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/own")
}

/// All tests in a directory, by number.
///
/// # Errors
/// When one can't be read, has no proper header, or has no golden output.
pub fn tests(directory: &Path) -> Result<Vec<OwnTest>> {
    let entries = fs::read_dir(directory).at("read", directory)?;
    let mut tests = Vec::new();
    for entry in entries {
        let path = entry.at("read", directory)?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.len() != 3 || !name.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let text = fs::read_to_string(&path).at("read", &path)?;
        let header =
            Header::parse(&text).map_err(|why| ShimError::Content { path: path.clone(), why })?;
        tests.push(OwnTest { id: name.to_owned(), path, header });
    }
    tests.sort_by(|left, right| left.id.cmp(&right.id));
    if tests.is_empty() {
        let why = "there are no tests here; name their directory with --tests".to_owned();
        return Err(ShimError::Content { path: directory.to_owned(), why });
    }
    Ok(tests)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_tests_are_sound() {
        let tests = super::tests(&default_directory()).unwrap();
        for test in &tests {
            assert!(test.path.with_extension("out").is_file(), "{} has no golden output", test.id);
        }
        let golden = fs::read_dir(default_directory()).unwrap().filter_map(|entry| {
            let name = entry.unwrap().file_name().into_string().unwrap();
            name.strip_suffix(".out").map(str::to_owned)
        });
        for id in golden {
            assert!(tests.iter().any(|test| test.id == id), "{id}.out belongs to no test");
        }
    }

    #[test]
    fn a_directory_without_tests_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("12"), "").unwrap();
        assert!(super::tests(directory.path()).unwrap_err().to_string().contains("--tests"));
    }
}
