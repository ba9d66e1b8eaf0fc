//! What is agreed with the kernel at the start of a mount.

use std::io;

use tracing::debug;

use super::protocol::{Agreement, Capabilities, Offer};

/// Bytes of the largest READ and WRITE; more than a megabyte the kernel does not send by default.
const MAX_REQUEST_BYTES: u32 = 1 << 20;
/// Readahead; the kernel offers less unless it is told so otherwise (see `tuning`).
pub(super) const READ_AHEAD_BYTES: u32 = 1 << 20;
/// Readahead and writeback requests that may be on their way at once. The kernel's own default, 12,
/// leaves a second reader of a file waiting for the first.
const MAX_BACKGROUND: u16 = 64;

/// Without these the adapter would be wrong, since it declines to open files (Linux 5.1 has them).
const NEEDED: Capabilities = Capabilities::NO_OPEN_SUPPORT.union(Capabilities::NO_OPENDIR_SUPPORT);

/// What makes it fast, or exact, where the kernel has it.
///
/// Left out on purpose: ATOMIC_O_TRUNC (an open that is not sent cannot truncate: the kernel sends
/// SETATTR instead, as many round trips); AUTO_INVAL_DATA (nobody changes a file behind the kernel's back); the SPLICE flags
/// (requests come by read(2) into one buffer, so there is nothing to splice).
const WANTED: [Capabilities; 16] = [
    Capabilities::INIT_EXT,
    Capabilities::WRITEBACK_CACHE,
    Capabilities::BIG_WRITES,
    Capabilities::MAX_PAGES,
    Capabilities::ASYNC_READ,
    Capabilities::ASYNC_DIO,
    Capabilities::PARALLEL_DIROPS,
    Capabilities::DO_READDIRPLUS,
    Capabilities::READDIRPLUS_AUTO,
    Capabilities::CACHE_SYMLINKS,
    Capabilities::HANDLE_KILLPRIV_V2,
    Capabilities::SETXATTR_EXT,
    Capabilities::POSIX_ACL,
    Capabilities::DONT_MASK,
    Capabilities::EXPORT_SUPPORT,
    Capabilities::ALLOW_IDMAP,
];

/// Chooses from what the kernel offers.
///
/// # Errors
/// When the kernel is too old.
pub(super) fn agree(offer: &Offer) -> io::Result<Agreement> {
    if !offer.capabilities.contains(NEEDED) {
        let message = "the kernel is too old for braidfs; Linux 5.1 or newer is needed";
        return Err(io::Error::new(io::ErrorKind::Unsupported, message));
    }
    for capability in WANTED {
        if !offer.capabilities.contains(capability) {
            debug!(?capability, "the kernel does not have this");
        }
    }
    let wanted = WANTED.into_iter().fold(NEEDED, Capabilities::union);
    Ok(Agreement {
        capabilities: wanted & offer.capabilities,
        max_readahead: READ_AHEAD_BYTES.min(offer.max_readahead),
        max_write: MAX_REQUEST_BYTES,
        max_background: MAX_BACKGROUND,
    })
}
