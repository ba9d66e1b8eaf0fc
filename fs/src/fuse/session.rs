//! A mount's life: it is made, served, and ends.

use std::path::PathBuf;
use std::sync::Arc;

use tracing::warn;

use super::adapter::{Adapter, Served};
use super::connect::connect;
use super::control::Control;
use super::disconnect::{UnmountMode, unmount};
use super::error::FuseError;
use super::mount_table::{MountEntry, mount_on};
use super::negotiate::agree;
use super::protocol::{Device, Dialect, Request, handshake, serve};
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
    /// The source is a block device, and is to be mounted as one (`fuseblk`).
    pub block_device: bool,
    /// Threads that serve; at least 1.
    pub threads: usize,
    /// The rest.
    pub kernel: KernelOptions,
}

/// A mounted volume, ready to be served.
pub struct FuseSession {
    device: Arc<Device>,
    adapter: Adapter,
    max_write: u32,
    dialect: Dialect,
    threads: usize,
    mount: Option<MountEntry>,
}

impl FuseSession {
    /// Mounts `volume`. Requests wait from now on until [`FuseSession::serve`] is called.
    ///
    /// # Errors
    /// When there is no FUSE here, or the mount is refused; nothing is mounted then.
    pub fn mount(volume: Arc<Volume>, options: &FuseOptions) -> Result<Self, FuseError> {
        let device = Arc::new(Device::new(connect(options)?));
        let seeker = Seeker::default();
        let started = handshake(&device, agree).and_then(|terms| {
            seeker.start(volume.clone(), device.notifier())?;
            Ok(terms)
        });
        match started {
            Ok((agreement, dialect)) => {
                let mount = mount_on(&options.mount_point);
                mount.iter().for_each(tuning::tune);
                let (max_write, threads) = (agreement.max_write, options.threads.max(1));
                let control = Control::new(volume.clone(), threads);
                let served = Served { volume, mount_point: options.mount_point.clone() };
                let adapter = Adapter::new(served, control, seeker, device.notifier());
                Ok(Self { device, adapter, max_write, dialect, threads, mount })
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
        let Self { device, adapter, max_write, dialect, threads, mount } = self;
        let answer = |request: Request<'_>, reply| adapter.answer(request, reply);
        let outcome =
            serve(&device, threads, max_write, dialect, &answer).map_err(FuseError::Serving);
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
