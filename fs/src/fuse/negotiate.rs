//! What is agreed with the kernel at the start of a mount.

use std::io;
use std::time::Duration;

use fuser::{InitFlags, KernelConfig};
use tracing::debug;

/// Bytes of the largest READ and WRITE; more than a megabyte the kernel does not send by default.
const MAX_REQUEST_BYTES: u32 = 1 << 20;
/// Readahead; the kernel offers less unless it is told so otherwise (see `tuning`).
pub(super) const READ_AHEAD_BYTES: u32 = 1 << 20;
/// Readahead and writeback requests that may be on their way at once. The kernel's own default, 12,
/// leaves a second reader of a file waiting for the first.
const MAX_BACKGROUND: u16 = 64;

/// Without these the adapter would be wrong, since it declines to open files (Linux 5.1 has them).
const NEEDED: InitFlags = InitFlags::FUSE_NO_OPEN_SUPPORT.union(InitFlags::FUSE_NO_OPENDIR_SUPPORT);

/// What makes it fast, or exact, where the kernel has it.
///
/// Left out on purpose: ATOMIC_O_TRUNC (an open that is not sent cannot truncate: the kernel sends
/// SETATTR instead, as many round trips); POSIX_ACL and DONT_MASK (no ACLs yet: the kernel applies
/// the umask); AUTO_INVAL_DATA (nobody changes a file behind the kernel's back); the SPLICE flags
/// (requests come by read(2) into one buffer, so there is nothing to splice).
const WANTED: [InitFlags; 11] = [
    InitFlags::FUSE_WRITEBACK_CACHE,
    InitFlags::FUSE_BIG_WRITES,
    InitFlags::FUSE_MAX_PAGES,
    InitFlags::FUSE_ASYNC_READ,
    InitFlags::FUSE_ASYNC_DIO,
    InitFlags::FUSE_PARALLEL_DIROPS,
    InitFlags::FUSE_DO_READDIRPLUS,
    InitFlags::FUSE_READDIRPLUS_AUTO,
    InitFlags::FUSE_CACHE_SYMLINKS,
    InitFlags::FUSE_HANDLE_KILLPRIV_V2,
    InitFlags::FUSE_NO_EXPORT_SUPPORT,
];

/// Chooses from what the kernel offers.
///
/// # Errors
/// When the kernel is too old.
pub(super) fn agree(config: &mut KernelConfig) -> io::Result<()> {
    if config.add_capabilities(NEEDED).is_err() {
        let message = "the kernel is too old for braidfs; Linux 5.1 or newer is needed";
        return Err(io::Error::new(io::ErrorKind::Unsupported, message));
    }
    for capability in WANTED {
        if config.add_capabilities(capability).is_err() {
            debug!(?capability, "the kernel does not have this");
        }
    }
    // Each of these answers with the nearest value that is possible, which serves as well.
    let _ = config.set_max_write(MAX_REQUEST_BYTES);
    if let Err(most) = config.set_max_readahead(READ_AHEAD_BYTES) {
        let _ = config.set_max_readahead(most);
    }
    let _ = config.set_max_background(MAX_BACKGROUND);
    let _ = config.set_time_granularity(Duration::from_nanos(1));
    Ok(())
}
