//! A mount's life: it is made, served, and ends.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use fuser::{Config, Session, SessionACL};
use tracing::warn;

use super::adapter::Adapter;
use super::connect::connect;
use super::control::Control;
use super::disconnect::{UnmountMode, unmount};
use super::error::FuseError;
use super::mount_table::{MountEntry, mount_on};
use super::seek::Seeker;
use super::tuning;
use crate::volume::Volume;

/// What the kernel is told about a mount, whatever filesystem it is; the default forbids what an
/// image from elsewhere could be used for to gain privileges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KernelOptions {
    /// Refuse every change.
    pub read_only: bool,
    /// Honour setuid and setgid.
    pub suid: bool,
    /// Let device files be devices.
    pub dev: bool,
    /// Let programs be run.
    pub exec: bool,
    /// Show that reads do not update access times.
    pub noatime: bool,
    /// Make each write durable before it returns.
    pub sync: bool,
}

/// How a volume is mounted.
#[derive(Debug, Clone)]
pub struct FuseOptions {
    /// What the table of mounts shows as the source.
    pub source: String,
    /// Where: absolute, without symbolic links.
    pub mount_point: PathBuf,
    /// Let other users in, as far as permissions go.
    pub allow_other: bool,
    /// Threads that serve; at least 1.
    pub threads: usize,
    /// The rest.
    pub kernel: KernelOptions,
}

/// A mounted volume, ready to be served.
pub struct FuseSession {
    session: Session<Adapter>,
    mount: Option<MountEntry>,
}

impl FuseSession {
    /// Mounts `volume`. Requests wait from now on until [`FuseSession::serve`] is called.
    ///
    /// # Errors
    /// When there is no FUSE here, or the mount is refused; nothing is mounted then.
    pub fn mount(volume: Arc<Volume>, options: &FuseOptions) -> Result<Self, FuseError> {
        let device = connect(options)?;
        let mut config = Config::default();
        config.n_threads = Some(options.threads.max(1));
        config.clone_fd = true;
        // The kernel has checked who may come in. Checking again would turn away its own threads,
        // which write back the times of a user's files in the name of root.
        let acl = SessionACL::All;
        let seeker = Seeker::default();
        let notifier = Arc::new(OnceLock::new());
        let control = Control::new(volume.clone(), options.threads.max(1));
        let adapter = Adapter::new(volume.clone(), control, seeker.clone(), notifier.clone());
        let started = Session::from_fd(adapter, device, acl, config).and_then(|session| {
            // Nobody else sets it.
            let _ = notifier.set(session.notifier());
            seeker.start(volume, session.notifier())?;
            Ok(session)
        });
        match started {
            Ok(session) => {
                let mount = mount_on(&options.mount_point);
                mount.iter().for_each(tuning::tune);
                Ok(Self { session, mount })
            }
            Err(error) => {
                let _ = unmount(&options.mount_point, UnmountMode::Detach);
                Err(FuseError::Negotiation(error))
            }
        }
    }

    /// Unmounts without having answered anything.
    ///
    /// # Errors
    /// When the system refuses to.
    pub fn abandon(self) -> Result<(), FuseError> {
        self.mount.map_or(Ok(()), |mount| unmount(&mount.mount_point, UnmountMode::Detach))
    }

    /// Answers requests until the mount ends.
    ///
    /// # Errors
    /// When requests cannot be read any more; the mount is gone then, too.
    pub fn serve(self) -> Result<(), FuseError> {
        let Self { session, mount } = self;
        let outcome = match session.run() {
            // The last unmount came while a request was being read.
            Err(error) if error.raw_os_error() == Some(libc::ECONNABORTED) => Ok(()),
            outcome => outcome.map_err(FuseError::Serving),
        };
        if let Some(mount) = mount {
            remove_remains(&mount);
        }
        outcome
    }
}

/// Unmounts what nobody serves any more, as after the connection was aborted.
fn remove_remains(mount: &MountEntry) {
    if mount_on(&mount.mount_point).as_ref() == Some(mount)
        && let Err(error) = unmount(&mount.mount_point, UnmountMode::Detach)
    {
        warn!("{error}");
    }
}
