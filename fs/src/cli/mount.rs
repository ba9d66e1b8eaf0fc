//! `mount`: serves a volume until it is unmounted.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::panic;
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};
use std::sync::Arc;
use std::time::Duration;

use braidfs_block::{BlockDevice, BlockOperation, FaultyDevice, FileDevice};

use super::args::{AccessTimeChoice, MountArguments, MountHelperArguments};
use super::error::{CliError, CliResult, MOUNT_FAILURE};
use super::mount_options::MountSettings;
use super::output::say;
use super::progress::Progress;
use super::raw::RawImage;
use super::stop::Stopper;
use super::{again, daemon, image, logging, place, remount};
use crate::fuse::{self, FuseError, FuseOptions, FuseSession};
use crate::options::{AccessTime, MkfsOptions, MountOptions};
use crate::size::human;
use crate::volume::Volume;

/// What is to be mounted, where and how.
pub struct MountPlan {
    /// The image, as the user named it.
    pub image: PathBuf,
    /// The directory, as the user named it.
    pub mount_point: PathBuf,
    /// The size of the image, if there is none yet.
    pub create: Option<u64>,
    /// Return once it is mounted.
    pub daemon: bool,
    /// Say nothing if all is well.
    pub quiet: bool,
    /// Do as other filesystems do: show a volume that is mounted already in a second place, and mount
    /// over what is mounted.
    pub as_others_do: bool,
    /// Everything else.
    pub settings: MountSettings,
    /// How much is logged.
    pub verbosity: u8,
    /// By how much each write and each flush is delayed.
    pub device_latency: Option<Duration>,
}

impl MountPlan {
    /// What people want.
    pub fn for_people(arguments: &MountArguments, verbosity: u8) -> CliResult<Self> {
        let mut settings = MountSettings::for_people();
        arguments.options.iter().try_for_each(|list| settings.apply(list, false))?;
        settings.apply_flags(arguments);
        Ok(Self {
            image: arguments.image.clone(),
            mount_point: arguments.mount_point.clone(),
            create: arguments.create,
            daemon: arguments.daemon,
            quiet: false,
            as_others_do: false,
            settings,
            verbosity,
            device_latency: arguments.device_latency,
        })
    }

    /// What mount(8) wants.
    pub fn for_mount_helper(arguments: &MountHelperArguments) -> CliResult<Self> {
        let mut settings = MountSettings::for_mount_helper(rustix::process::geteuid().is_root());
        arguments.options.iter().try_for_each(|list| settings.apply(list, arguments.sloppy))?;
        settings.kernel.read_only |= arguments.read_only;
        settings.kernel.read_only &= !arguments.writable;
        Ok(Self {
            image: arguments.image.clone(),
            mount_point: arguments.mount_point.clone(),
            create: None,
            daemon: true,
            quiet: !arguments.verbose,
            as_others_do: true,
            settings,
            verbosity: u8::from(arguments.verbose),
            device_latency: None,
        })
    }

    /// Mounts. `command_line` is for the process in the background.
    pub fn run(&self, command_line: &[OsString]) -> CliResult<ExitCode> {
        if self.settings.remount {
            return remount::run(&self.mount_point, &self.settings).map(|()| ExitCode::SUCCESS);
        }
        if self.as_others_do && !daemon::is_background() && again::bind(self)? {
            return Ok(ExitCode::SUCCESS);
        }
        if self.daemon && !daemon::is_background() {
            return daemon::launch(command_line);
        }
        logging::start(self.verbosity, self.settings.log_file.as_deref())?;
        tracing::debug!(ignored = ?self.settings.ignored, "mount options without effect");
        self.serve().map(|()| ExitCode::SUCCESS)
    }

    fn serve(&self) -> CliResult {
        let stopper = Stopper::install()?;
        let mount_point = place::check(&self.mount_point, self.as_others_do)?;
        fuse::check_device()?;
        let path = image::absolute(&self.image)?;
        let made = self.make_image_if_missing(&path, &stopper)?;
        end_with_the_first_panic();
        let device = self.open_device()?;
        let volume = self.mount_volume(device.clone())?;
        let options = self.fuse_options(&path, &mount_point);
        let mount = || match FuseSession::mount(volume.clone(), &options) {
            Err(FuseError::NotAsBlockDevice(error)) => {
                tracing::debug!(%error, "mounting the device as any other image");
                device.claim().map_err(|error| image::device_error(&error))?;
                let options = FuseOptions { block_device: false, ..options.clone() };
                FuseSession::mount(volume.clone(), &options).map_err(CliError::from)
            }
            outcome => outcome.map_err(CliError::from),
        };
        let session = stopper.while_mounting(&mount_point, &volume, mount).inspect_err(|_| {
            // Nobody has changed anything, so there is nothing to lose.
            let _ = volume.unmount();
        })?;
        made.into_iter().for_each(MadeImage::keep);
        let served = match self.announce(&mount_point) {
            Ok(()) => session.serve().map_err(CliError::from),
            Err(error) => session.abandon().map_err(CliError::from).and(Err(error)),
        };
        stopper.ended();
        volume.unmount()?;
        served?;
        say("braidfs: unmounted; everything is on disk");
        Ok(())
    }

    /// Makes the image if there is none and a size is given.
    fn make_image_if_missing(
        &self,
        path: &Path,
        stopper: &Stopper,
    ) -> CliResult<Option<MadeImage>> {
        let shown = self.image.display();
        let is_missing = path.metadata().is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound);
        let size = match (is_missing, self.create) {
            (false, _) => return Ok(None),
            (true, None) => {
                return Err(CliError::new(format!(
                    "{shown} does not exist; add a size to make it, as --create 2G"
                )));
            }
            (true, Some(size)) => size,
        };
        let options = MkfsOptions {
            root_uid: rustix::process::getuid().as_raw(),
            root_gid: rustix::process::getgid().as_raw(),
            ..MkfsOptions::default()
        };
        let quiet = daemon::is_background();
        let superblock = image::make(&self.image, size, &options, quiet, &|unfinished| {
            stopper.would_leave(Some(unfinished.to_owned()));
        })?;
        stopper.would_leave(Some(path.to_owned()));
        let size = human(size);
        say(&format!("braidfs: made {shown}: {size}, volume {}", superblock.volume_id));
        Ok(Some(MadeImage { path: path.to_owned(), is_needed: false }))
    }

    /// Opens the image. A block device that is to be mounted as such is claimed by the kernel.
    fn open_device(&self) -> CliResult<Arc<FileDevice>> {
        let options = image::options(self.settings.kernel.read_only);
        let options = if self.as_block_device() { options.unclaimed() } else { options };
        Ok(Arc::new(image::open_patiently(&self.image, &options)?))
    }

    /// Whether the image is a block device, to be mounted as such: root may.
    fn as_block_device(&self) -> bool {
        let is_one = || {
            let metadata = self.image.metadata();
            metadata.is_ok_and(|metadata| metadata.file_type().is_block_device())
        };
        let is_root = rustix::process::geteuid().is_root();
        self.settings.block_device.unwrap_or(is_root) && is_one()
    }

    fn mount_volume(&self, device: Arc<FileDevice>) -> CliResult<Arc<Volume>> {
        let device = self.slowed(device);
        // Says better than a failed mount what is wrong with an image that is none.
        RawImage::open(&self.image)?.superblock()?;
        let progress = Progress::new("replaying the log", daemon::is_background());
        let show = |done, total| progress.show(done, total);
        Volume::mount_with_progress(device, self.volume_options(), &show)
            .map_err(|error| image::volume_error(&self.image, &error))
    }

    /// The device, or a slower one, as the lab wants it.
    fn slowed(&self, device: Arc<FileDevice>) -> Arc<dyn BlockDevice> {
        let Some(latency) = self.device_latency else { return device };
        let slow = FaultyDevice::new(device);
        slow.set_latency(BlockOperation::Write, latency);
        slow.set_latency(BlockOperation::Flush, latency);
        Arc::new(slow)
    }

    fn volume_options(&self) -> MountOptions {
        let (settings, change) = (&self.settings, &self.settings.change);
        let defaults = MountOptions::default();
        let interval = change.commit_interval_ms.map(Duration::from_millis);
        MountOptions {
            read_only: settings.kernel.read_only,
            policy: change.writeback_policy.unwrap_or(defaults.policy),
            cache_bytes: settings.cache_bytes,
            dirty_limit_bytes: change.dirty_limit_bytes,
            frozen_limit_bytes: change.frozen_limit_bytes,
            commit_interval: interval.unwrap_or(defaults.commit_interval),
            background: true,
            access_time: settings.access_time.map_or(defaults.access_time, access_time),
            dedup_zero: change.zero_dedup.unwrap_or(defaults.dedup_zero),
            zero_colours: settings.zero_colours.unwrap_or(defaults.zero_colours),
        }
    }

    fn fuse_options(&self, path: &Path, mount_point: &Path) -> FuseOptions {
        FuseOptions {
            source: path.display().to_string(),
            mount_point: mount_point.to_owned(),
            allow_other: self.settings.allow_other,
            block_device: self.as_block_device(),
            threads: self.settings.threads.map_or_else(default_threads, usize::from),
            kernel: self.settings.kernel,
        }
    }

    /// Says that the volume can be used.
    fn announce(&self, mount_point: &Path) -> CliResult {
        let (image, place) = (self.image.display(), mount_point.display());
        if !self.quiet {
            say(&format!("braidfs: {image} is mounted on {place}"));
        }
        if daemon::is_background() {
            return daemon::ready();
        }
        say(&format!("braidfs: stop with Ctrl-C, or with `umount {place}` in another terminal"));
        Ok(())
    }
}

/// An image that was made for this mount: it goes again if it cannot be mounted.
struct MadeImage {
    path: PathBuf,
    is_needed: bool,
}

impl MadeImage {
    fn keep(mut self) {
        self.is_needed = true;
    }
}

impl Drop for MadeImage {
    fn drop(&mut self) {
        if !self.is_needed {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A thread that panics leaves what it held in a state that nobody knows; the others must not write
/// that to the disk. Ending at once is as a crash, which the volume survives.
fn end_with_the_first_panic() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        report(info);
        // In the background there is no stderr, but there may be a log.
        tracing::error!("ended by a panic: {info}");
        process::abort();
    }));
}

/// Threads that answer requests, by the number of processors.
fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).max(2)
}

fn access_time(choice: AccessTimeChoice) -> AccessTime {
    match choice {
        AccessTimeChoice::Relatime => AccessTime::Relative,
        AccessTimeChoice::Noatime => AccessTime::Never,
        AccessTimeChoice::Strictatime => AccessTime::Strict,
    }
}

/// The exit code that mount(8) expects of its helper.
pub fn as_mount_helper(error: CliError) -> CliError {
    error.with_code(MOUNT_FAILURE)
}
