//! Where the installed programs are, and the names they are run by.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{AtPath, Result, ShimError};

/// The names that mkfs(8), mount(8), umount(8) and fsck(8) know a helper by.
const HELPERS: [&str; 4] =
    ["mkfs.fuse.braidfs", "mount.fuse.braidfs", "umount.fuse.braidfs", "fsck.fuse.braidfs"];

/// The programs of braidfs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Programs {
    /// `braidfs`.
    pub braidfs: PathBuf,
    /// `fsck.braidfs`, or as cargo calls it `fsck-braidfs`.
    pub fsck: PathBuf,
    /// Where links to them have the helpers' names.
    pub helpers: PathBuf,
}

impl Programs {
    /// Finds the programs in `named`, or else beside this program, or else in PATH; and makes a
    /// directory `helpers` of links to them.
    ///
    /// # Errors
    /// When one is missing, or the links can't be made.
    pub fn find(named: Option<&Path>, helpers: &Path) -> Result<Self> {
        let places = places(named);
        let find = |names: &[&str]| {
            let candidates = places.iter().flat_map(|place| names.iter().map(|n| place.join(n)));
            let found = candidates.into_iter().find(|candidate| candidate.is_file());
            found.ok_or_else(|| {
                ShimError::Wrong(format!(
                    "there is no {} in {}; build it with `cargo build`, or name its directory with \
                     --programs",
                    names[0],
                    places.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(", ")
                ))
            })
        };
        let absolute = |path: PathBuf| path.canonicalize().at("find", &path);
        let programs = Self {
            braidfs: absolute(find(&["braidfs"])?)?,
            fsck: absolute(find(&["fsck.braidfs", "fsck-braidfs"])?)?,
            helpers: helpers.to_owned(),
        };
        std::fs::create_dir_all(helpers).at("make", helpers)?;
        for name in HELPERS {
            let link = helpers.join(name);
            symlink(&programs.braidfs, &link).at("make the link", &link)?;
        }
        Ok(programs)
    }

    /// The path of a helper, by the verb: mkfs, mount, umount, fsck.
    #[must_use]
    pub fn helper(&self, verb: &str) -> PathBuf {
        self.helpers.join(format!("{verb}.fuse.braidfs"))
    }
}

/// The directories to look in.
fn places(named: Option<&Path>) -> Vec<PathBuf> {
    if let Some(named) = named {
        return vec![named.to_owned()];
    }
    let own = std::env::current_exe().ok();
    let beside = own.as_deref().and_then(Path::parent).map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    beside.into_iter().chain(std::env::split_paths(&path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_where_they_are_named() {
        let directory = tempfile::tempdir().unwrap();
        let (bin, helpers) = (directory.path().join("bin"), directory.path().join("helpers"));
        std::fs::create_dir(&bin).unwrap();
        let missing = Programs::find(Some(&bin), &helpers).unwrap_err().to_string();
        assert!(missing.contains("no braidfs") && missing.contains("--programs"), "{missing}");
        std::fs::write(bin.join("braidfs"), "").unwrap();
        std::fs::write(bin.join("fsck-braidfs"), "").unwrap();
        let programs = Programs::find(Some(&bin), &helpers).unwrap();
        assert!(programs.fsck.ends_with("fsck-braidfs"));
        assert!(programs.helper("mkfs").is_file());
    }
}
