//! The way to the server of a mount: attributes that it does not store (see `fuse::control`).

use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{
    Mode, OFlags, XattrFlags, fgetxattr, fsetxattr, fstat, major, minor, open, syncfs,
};
use rustix::io::Errno;
use serde::de::DeserializeOwned;

use super::error::{CliError, CliResult};
use super::place;

/// The longest value that an attribute can have.
const LARGEST_VALUE: usize = 64 << 10;

/// An open directory of a mount.
pub struct Channel {
    directory: OwnedFd,
    place: PathBuf,
}

impl Channel {
    /// Opens the way by a directory on the mount.
    pub fn open(place: &Path) -> CliResult<Self> {
        let shown = place.display();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = open(place, flags, Mode::empty()).map_err(|errno| {
            CliError::new(match errno {
                Errno::ACCESS | Errno::PERM => {
                    format!("no permission to open {shown}; ask the user who mounted it")
                }
                errno => format!("cannot open {shown}: {errno}; name a directory of the mount"),
            })
        })?;
        check_is_ours(&directory, place)?;
        Ok(Self { directory, place: place.to_owned() })
    }

    /// Has the kernel hand over what it has not written yet.
    pub fn hand_over(&self) -> CliResult {
        syncfs(&self.directory).map_err(|errno| {
            CliError::new(format!("not everything under {} is on disk: {errno}", self.shown()))
        })
    }

    /// What an attribute says.
    pub fn get<T: DeserializeOwned>(&self, attribute: &str) -> CliResult<T> {
        let mut value = vec![0; LARGEST_VALUE];
        let length = fgetxattr(&self.directory, attribute, &mut value[..])
            .map_err(|errno| CliError::new(self.refused(errno)))?;
        serde_json::from_slice(&value[..length]).map_err(|error| {
            CliError::new(format!(
                "the server of {} says what this program does not understand ({error}); use the \
                 braidfs that mounted it",
                self.shown()
            ))
        })
    }

    /// Says something to the server, which the error is about if it fails.
    pub fn set(&self, attribute: &str, value: &[u8]) -> Result<(), Errno> {
        fsetxattr(&self.directory, attribute, value, XattrFlags::empty())
    }

    /// A refusal in words.
    pub fn refused(&self, errno: Errno) -> String {
        let shown = self.shown();
        match errno {
            Errno::PERM | Errno::ACCESS => {
                format!("only root and the user who mounted {shown} may do this")
            }
            Errno::ROFS => format!("{shown} is mounted read-only; mount it for writing to do this"),
            Errno::OPNOTSUPP | Errno::NODATA => {
                format!("the server of {shown} does not know this; use the braidfs that mounted it")
            }
            Errno::NOTCONN | Errno::CONNABORTED => {
                format!("nobody serves {shown} any more; mount it again")
            }
            errno => format!("the server of {shown} refused: {errno}"),
        }
    }

    fn shown(&self) -> impl std::fmt::Display {
        self.place.display()
    }
}

/// Another filesystem would store the attribute, or answer as it likes.
fn check_is_ours(directory: &OwnedFd, place: &Path) -> CliResult {
    let shown = place.display();
    let device = fstat(directory)
        .map(|status| format!("{}:{}", major(status.st_dev), minor(status.st_dev)))
        .map_err(|errno| CliError::new(format!("cannot look at {shown}: {errno}")))?;
    if place::all()?.iter().any(|entry| entry.is_ours() && entry.device == device) {
        return Ok(());
    }
    Err(CliError::new(format!(
        "{shown} is not on a mount of braidfs; `grep braidfs /proc/mounts` shows them"
    )))
}
