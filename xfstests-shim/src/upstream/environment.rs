//! What upstream's tests need around them: devices, helpers, scripts, in a directory of their own.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{AtPath, Result, ShimError};
use crate::programs::Programs;

use super::is_checkout;

/// What runs in the namespace.
const ENTER: &str = include_str!("../../upstream/enter.sh");
/// What plays a device that drops writes.
const FLAKEY: &str = include_str!("../../upstream/dmflakey.sh");
/// What a build of the checkout makes, of what most tests need.
const BUILT: [&str; 3] = ["src/godown", "ltp/fsstress", "ltp/fsx"];
/// Programs that no test can do without.
const NEEDED: [&str; 6] = ["xfs_io", "losetup", "unshare", "useradd", "bc", "awk"];
/// Bytes of each of the two devices; the images are sparse.
const DEVICE_BYTES: u64 = 10 << 30;

/// A prepared environment.
#[derive(Debug, Clone)]
pub struct Environment {
    checkout: PathBuf,
    work: PathBuf,
    kind: String,
}

impl Environment {
    /// Prepares `work` for the tests of `checkout` on filesystems of the type `kind`. The checkout
    /// itself is not changed.
    ///
    /// # Errors
    /// When it is no checkout, is not built, or programs are missing; each says what to do.
    pub fn prepare(
        checkout: &Path,
        work: &Path,
        kind: &str,
        programs: Option<&Path>,
    ) -> Result<Self> {
        if !is_checkout(checkout) {
            let shown = checkout.display();
            return Err(ShimError::Wrong(format!("{shown} is no checkout of xfstests; name one")));
        }
        if let Some(missing) = BUILT.iter().find(|name| !checkout.join(name).exists()) {
            return Err(ShimError::Wrong(format!(
                "{} has no {missing}; build it there, as its README says",
                checkout.display()
            )));
        }
        if let Some(missing) = NEEDED.iter().find(|name| !is_installed(name)) {
            return Err(ShimError::Wrong(format!("{missing} is not installed; install it")));
        }
        fs::create_dir_all(work).at("make", work)?;
        let work = work.canonicalize().at("find", work)?;
        let bin = work.join("bin");
        if bin.exists() {
            fs::remove_dir_all(&bin).at("remove", &bin)?;
        }
        let programs = Programs::find(programs, &bin)?;
        let link = |from: &Path, name: &str| {
            let to = bin.join(name);
            symlink(from, &to).at("make the link", &to)
        };
        for verb in ["mkfs", "mount", "umount", "fsck"] {
            link(&programs.braidfs, &format!("{verb}.fuseblk.braidfs"))?;
        }
        link(&programs.braidfs, "mount.braidfs")?;
        link(&programs.fsck, "fsck.braidfs")?;
        for (name, text) in [("enter.sh", ENTER), ("dmflakey", FLAKEY)] {
            let path = work.join(name);
            fs::write(&path, text).at("write", &path)?;
        }
        for name in ["test.img", "scratch.img"] {
            let path = work.join(name);
            let file = File::create(&path).at("make", &path)?;
            file.set_len(DEVICE_BYTES).at("resize", &path)?;
        }
        let checkout = checkout.canonicalize().at("find", checkout)?;
        Ok(Self { checkout, work, kind: kind.to_owned() })
    }

    /// Where everything is.
    #[must_use]
    pub fn work(&self) -> &Path {
        &self.work
    }

    /// Upstream's `check` with these arguments. It ends with its parent.
    #[must_use]
    pub fn check(&self, arguments: &[String]) -> Command {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "bash"]);
        command.arg(self.work.join("enter.sh")).arg(&self.work).arg(&self.checkout);
        command.arg(&self.kind).args(arguments);
        command.process_group(0);
        command
    }
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|place| place.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let tell = || {
            let work = directory.path().join("work");
            let error = Environment::prepare(directory.path(), &work, "fuse.braidfs", None);
            error.unwrap_err().to_string()
        };
        assert!(tell().contains("no checkout"));
        fs::create_dir_all(directory.path().join("tests/generic")).unwrap();
        fs::create_dir(directory.path().join("common")).unwrap();
        for name in ["common/rc", "check"] {
            fs::write(directory.path().join(name), "").unwrap();
        }
        assert!(tell().contains("src/godown") && tell().contains("build it"));
    }
}
