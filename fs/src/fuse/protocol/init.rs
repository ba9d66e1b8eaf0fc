//! INIT, the first request: each side says what it can do.

use std::io;
use std::sync::Arc;

use bitflags::bitflags;
use rustix::io::Errno;

use super::bytes::{Fields, Malformed, Structure};
use super::device::{Device, Notifier};
use super::operation::{Dialect, Operation};
use super::reply::Reply;
use super::request::Request;

/// The number of the operation.
pub const OPCODE: u32 = 26;
/// The version that this speaks: 7.45, of Linux 6.18.
const MAJOR: u32 = 7;
const MINOR: u32 = 45;
/// The oldest minor version that is served: replies to INIT were shorter before.
const OLDEST_MINOR: u32 = 27;
/// Bytes of a reply to INIT.
const REPLY_BYTES: usize = 64;
const PAGE_BYTES: u32 = 4096;
/// Above this share of the background requests, the kernel slows down who makes more.
const CONGESTED_NUMERATOR: u16 = 3;
const CONGESTED_DENOMINATOR: u16 = 4;

bitflags! {
    /// What a side can do, by the names of `linux/fuse.h`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Capabilities: u64 {
        const ASYNC_READ = 1 << 0;
        const ATOMIC_O_TRUNC = 1 << 3;
        const EXPORT_SUPPORT = 1 << 4;
        const BIG_WRITES = 1 << 5;
        const DONT_MASK = 1 << 6;
        const AUTO_INVAL_DATA = 1 << 12;
        const DO_READDIRPLUS = 1 << 13;
        const READDIRPLUS_AUTO = 1 << 14;
        const ASYNC_DIO = 1 << 15;
        const WRITEBACK_CACHE = 1 << 16;
        const NO_OPEN_SUPPORT = 1 << 17;
        const PARALLEL_DIROPS = 1 << 18;
        const POSIX_ACL = 1 << 20;
        const MAX_PAGES = 1 << 22;
        const CACHE_SYMLINKS = 1 << 23;
        const NO_OPENDIR_SUPPORT = 1 << 24;
        const HANDLE_KILLPRIV_V2 = 1 << 28;
        const SETXATTR_EXT = 1 << 29;
        const INIT_EXT = 1 << 30;
        const DIRECT_IO_ALLOW_MMAP = 1 << 36;
        const NO_EXPORT_SUPPORT = 1 << 38;
        const ALLOW_IDMAP = 1 << 40;
    }
}

/// What the kernel says it can do.
#[derive(Debug, Clone, Copy)]
pub struct Offer {
    major: u32,
    minor: u32,
    /// The longest readahead, in bytes.
    pub max_readahead: u32,
    /// What it can do besides.
    pub capabilities: Capabilities,
}

impl Offer {
    /// Decodes `struct fuse_init_in`.
    pub fn read(fields: &mut Fields<'_>) -> Result<Self, Malformed> {
        let (major, minor) = (fields.u32()?, fields.u32()?);
        let (max_readahead, low) = (fields.u32()?, fields.u32()?);
        let high = match Capabilities::from_bits_retain(low.into()) {
            flags if flags.contains(Capabilities::INIT_EXT) => fields.u32()?,
            _ => 0,
        };
        let capabilities = Capabilities::from_bits_retain(u64::from(high) << 32 | u64::from(low));
        Ok(Self { major, minor, max_readahead, capabilities })
    }
}

/// What is agreed on.
#[derive(Debug, Clone, Copy)]
pub struct Agreement {
    /// What both sides do.
    pub capabilities: Capabilities,
    /// The longest readahead, in bytes.
    pub max_readahead: u32,
    /// The most bytes in a WRITE.
    pub max_write: u32,
    /// The most readahead and writeback requests under way at once.
    pub max_background: u16,
}

impl Agreement {
    /// Encodes `struct fuse_init_out`.
    fn encode(&self, minor: u32) -> Structure {
        let flags = self.capabilities.bits();
        let congested = self.max_background / CONGESTED_DENOMINATOR * CONGESTED_NUMERATOR;
        let pages = self.max_write.max(self.max_readahead).div_ceil(PAGE_BYTES);
        let mut out = Structure::with_size(REPLY_BYTES);
        out.u32(MAJOR).u32(minor).u32(self.max_readahead).u32(flags as u32);
        out.u16(self.max_background).u16(congested).u32(self.max_write);
        // Times are kept to the nanosecond.
        out.u32(1).u16(u16::try_from(pages).unwrap_or(u16::MAX)).u16(0);
        out.u32((flags >> 32) as u32).zeros(REPLY_BYTES - 36);
        out
    }
}

/// Talks about the terms with the kernel, which sends INIT as soon as the mount is made.
///
/// # Errors
/// When the kernel is too old, or `agree` says no.
pub fn handshake(
    device: &Arc<Device>,
    agree: impl Fn(&Offer) -> io::Result<Agreement>,
) -> io::Result<(Agreement, Dialect)> {
    let mut buffer = vec![0; PAGE_BYTES as usize * 4];
    loop {
        let length = device.receive(&mut buffer)?;
        let request = Request::read(&buffer[..length], Dialect::default())
            .map_err(|Malformed| io::Error::other("the first request makes no sense"))?;
        let reply = Reply::new(device, request.header.unique);
        let Ok(Operation::Init(offer)) = request.operation else {
            reply.error(Errno::IO);
            return Err(io::Error::other("the first request is not the one that must be"));
        };
        if offer.major > MAJOR {
            // The kernel asks again, in this version.
            let mut version = Structure::with_size(REPLY_BYTES);
            version.u32(MAJOR).u32(MINOR).zeros(REPLY_BYTES - 8);
            reply.data(version.as_slice());
            continue;
        }
        if offer.major < MAJOR || offer.minor < OLDEST_MINOR {
            reply.error(Errno::PROTO);
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "the kernel is too old for braidfs; Linux 5.1 or newer is needed",
            ));
        }
        let mut agreement = match agree(&offer) {
            Ok(agreement) => agreement,
            Err(error) => {
                reply.error(Errno::PROTO);
                return Err(error);
            }
        };
        agreement.capabilities &= offer.capabilities;
        agreement.max_readahead = agreement.max_readahead.min(offer.max_readahead);
        reply.data(agreement.encode(offer.minor.min(MINOR)).as_slice());
        let long_setxattr = agreement.capabilities.contains(Capabilities::SETXATTR_EXT);
        return Ok((agreement, Dialect { long_setxattr }));
    }
}

/// A notifier for the connection; here because a connection is of use from the handshake on.
impl Device {
    /// Sends what the kernel did not ask for.
    pub fn notifier(self: &Arc<Self>) -> Notifier {
        Notifier::new(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_have_two_halves() {
        let mut body = Structure::default();
        body.u32(7).u32(45).u32(131_072).u32(1 << 30 | 1).u32(1 << 6).zeros(44);
        let offer = Offer::read(&mut Fields::new(body.as_slice())).unwrap();
        assert!(offer.capabilities.contains(Capabilities::NO_EXPORT_SUPPORT));
        assert!(offer.capabilities.contains(Capabilities::ASYNC_READ));
        assert!(!offer.capabilities.contains(Capabilities::ALLOW_IDMAP));
    }

    #[test]
    fn an_agreement_is_64_bytes() {
        let agreement = Agreement {
            capabilities: Capabilities::ALLOW_IDMAP | Capabilities::POSIX_ACL,
            max_readahead: 1 << 17,
            max_write: 1 << 20,
            max_background: 64,
        };
        let encoded = agreement.encode(45);
        assert_eq!(encoded.len(), REPLY_BYTES);
        let mut fields = Fields::new(encoded.as_slice());
        fields.skip(12).unwrap();
        assert_eq!(fields.u32(), Ok(1 << 20));
        assert_eq!((fields.u16(), fields.u16()), (Ok(64), Ok(48)));
        assert_eq!((fields.u32(), fields.u32()), (Ok(1 << 20), Ok(1)));
        assert_eq!((fields.u16(), fields.u16()), (Ok(256), Ok(0)));
        assert_eq!(fields.u32(), Ok(1 << 8));
    }
}
