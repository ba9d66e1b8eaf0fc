//! The results directory and its files.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{AtPath, Result, ShimError};

use super::{Run, xunit};

/// Where results are written.
#[derive(Debug, Clone)]
pub struct ResultsDirectory {
    path: PathBuf,
}

/// The files of one test.
#[derive(Debug, Clone)]
pub struct TestFiles {
    stem: PathBuf,
    top: PathBuf,
}

impl ResultsDirectory {
    /// Makes the directory, and takes away what an earlier run left of the same suite.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn create(path: &Path, suite: &str) -> Result<Self> {
        fs::create_dir_all(path).at("make", path)?;
        let path = path.canonicalize().at("find", path)?;
        let old = path.join(suite);
        if old.exists() {
            fs::remove_dir_all(&old).at("remove", &old)?;
        }
        Ok(Self { path })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The files of a test, by its shown name.
    ///
    /// # Errors
    /// When their directory can't be made.
    pub fn test(&self, suite: &str, shown: &str) -> Result<TestFiles> {
        let name: String = shown.chars().filter(|one| !" []".contains(*one)).collect();
        let stem = self.path.join(suite).join(name);
        let directory = stem.parent().unwrap_or(&self.path);
        fs::create_dir_all(directory).at("make", directory)?;
        Ok(TestFiles { stem, top: self.path.clone() })
    }

    /// Writes `results.json` and `results.xml`.
    ///
    /// # Errors
    /// When they can't be written.
    pub fn write(&self, run: &Run) -> Result<()> {
        let json = self.path.join("results.json");
        let wrong = |why: String| ShimError::Content { path: self.path.clone(), why };
        let text = serde_json::to_string_pretty(run).map_err(|error| wrong(error.to_string()))?;
        fs::write(&json, text + "\n").at("write", &json)?;
        let xml = self.path.join("results.xml");
        let text = xunit::report(run, &self.path).map_err(wrong)?;
        fs::write(&xml, text).at("write", &xml)
    }
}

impl TestFiles {
    /// The path of one, by its ending, as `out.bad`.
    #[must_use]
    pub fn path(&self, ending: &str) -> PathBuf {
        let mut path = self.stem.clone().into_os_string();
        path.push(".");
        path.push(ending);
        PathBuf::from(path)
    }

    /// Writes one of them.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write(&self, ending: &str, content: &[u8]) -> Result<()> {
        let path = self.path(ending);
        fs::write(&path, content).at("write", &path)
    }

    /// Those that exist, as seen from the results directory.
    #[must_use]
    pub fn existing(&self) -> Vec<PathBuf> {
        let all = ["out", "out.bad", "full", "log"].map(|ending| self.path(ending));
        let there = all.into_iter().filter(|path| path.exists());
        there.map(|path| path.strip_prefix(&self.top).unwrap_or(&path).to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::samples;

    #[test]
    fn everything_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let results = ResultsDirectory::create(&directory.path().join("a/b"), "own").unwrap();
        results.write(&samples::run()).unwrap();
        let read = |name| fs::read_to_string(results.path().join(name)).unwrap();
        assert!(read("results.json").contains("\"suite\": \"own\""));
        assert!(read("results.xml").contains("testsuite"));
        let files = results.test("own", "012 [fork#2]").unwrap();
        files.write("out.bad", b"x").unwrap();
        assert_eq!(files.existing(), [Path::new("own/012fork#2.out.bad")]);
    }
}
