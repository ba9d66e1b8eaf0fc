//! The structures in replies.

use crate::types::{Attributes, Statistics, Timestamp};

use super::bytes::Structure;

/// How long the kernel may keep names and attributes, in seconds: until it changes them itself, since
/// nobody else does.
const FOREVER_SECONDS: u64 = 1 << 31;
/// The unit of I/O that `stat` tells.
const BLOCK_BYTES: u32 = 4096;
/// Bytes of `struct fuse_entry_out` and `struct fuse_attr_out`.
pub const ENTRY_BYTES: usize = 128;
const ATTRIBUTES_BYTES: usize = 104;
const STATX_BYTES: usize = 288;
/// The fields that STATX fills in: all of stat(2), and the birth time.
const STATX_BASIC_AND_BIRTH: u32 = 0xfff;

fn put_attributes(out: &mut Structure, attributes: &Attributes) {
    out.u64(attributes.inode).u64(attributes.size).u64(attributes.blocks_512);
    let times = [attributes.accessed, attributes.modified, attributes.changed];
    for time in times {
        out.u64(time.seconds.cast_unsigned());
    }
    for time in times {
        out.u32(time.nanoseconds);
    }
    out.u32(attributes.mode).u32(attributes.links).u32(attributes.uid).u32(attributes.gid);
    out.u32(attributes.device).u32(BLOCK_BYTES).u32(0);
}

/// `struct fuse_attr_out`.
pub fn attributes(attributes: &Attributes) -> Structure {
    let mut out = Structure::with_size(ATTRIBUTES_BYTES);
    out.u64(FOREVER_SECONDS).u32(0).u32(0);
    put_attributes(&mut out, attributes);
    out
}

/// `struct fuse_entry_out`; number 0 is a name that does not exist.
pub fn entry(attributes: Option<&Attributes>) -> Structure {
    let mut out = Structure::with_size(ENTRY_BYTES);
    put_entry(&mut out, attributes);
    out
}

/// Appends `struct fuse_entry_out`.
pub fn put_entry(out: &mut Structure, attributes: Option<&Attributes>) {
    let number = attributes.map_or(0, |attributes| attributes.inode);
    let generation = attributes.map_or(0, |attributes| attributes.generation.into());
    out.u64(number).u64(generation).u64(FOREVER_SECONDS).u64(FOREVER_SECONDS).u32(0).u32(0);
    match attributes {
        Some(attributes) => put_attributes(out, attributes),
        None => drop(out.zeros(88)),
    }
}

/// `struct fuse_open_out`: no handle, and the kernel keeps what it has cached.
pub fn opened() -> Structure {
    const KEEP_CACHE: u32 = 1 << 1;
    let mut out = Structure::with_size(16);
    out.u64(0).u32(KEEP_CACHE).u32(0);
    out
}

/// `struct fuse_write_out` and `struct fuse_getxattr_out`.
pub fn count_32(count: u32) -> Structure {
    let mut out = Structure::with_size(8);
    out.u32(count).u32(0);
    out
}

/// `struct fuse_ioctl_out`.
pub fn ioctl(result: u32) -> Structure {
    let mut out = Structure::with_size(16);
    out.u32(result).zeros(12);
    out
}

/// `struct fuse_statfs_out`.
pub fn statistics(statistics: &Statistics) -> Structure {
    let mut out = Structure::with_size(80);
    out.u64(statistics.blocks).u64(statistics.blocks_free).u64(statistics.blocks_available);
    out.u64(statistics.inodes).u64(statistics.inodes_free);
    out.u32(statistics.block_size).u32(statistics.name_max).u32(statistics.block_size);
    out.zeros(28);
    out
}

/// `struct fuse_statx_out`.
pub fn statx(attributes: &Attributes) -> Structure {
    let mut out = Structure::with_size(STATX_BYTES);
    out.u64(FOREVER_SECONDS).u32(0).u32(0).zeros(16);
    out.u32(STATX_BASIC_AND_BIRTH).u32(BLOCK_BYTES).u64(0);
    out.u32(attributes.links).u32(attributes.uid).u32(attributes.gid);
    out.u16(attributes.mode as u16).u16(0);
    out.u64(attributes.inode).u64(attributes.size).u64(attributes.blocks_512).u64(0);
    for time in [attributes.accessed, attributes.created, attributes.changed, attributes.modified] {
        put_time(&mut out, time);
    }
    let (major, minor) = device_numbers(attributes.device);
    out.u32(major).u32(minor).zeros(8 + 112);
    out
}

fn put_time(out: &mut Structure, time: Timestamp) {
    out.u64(time.seconds.cast_unsigned()).u32(time.nanoseconds).u32(0);
}

/// A device number taken apart, from how Linux encodes it in 32 bits.
fn device_numbers(device: u32) -> (u32, u32) {
    ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & 0xfff00))
}

#[cfg(test)]
mod tests {
    use super::super::bytes::Fields;
    use super::*;

    fn sample() -> Attributes {
        let at = |seconds, nanoseconds| Timestamp { seconds, nanoseconds };
        Attributes {
            inode: 7,
            generation: 3,
            mode: 0o140_4751,
            links: 2,
            uid: 10,
            gid: 20,
            device: 0x0801,
            size: 5000,
            blocks_512: 16,
            accessed: at(-1, 2),
            modified: at(3, 4),
            changed: at(5, 6),
            created: at(7, 8),
        }
    }

    #[test]
    fn sizes_are_those_of_the_protocol() {
        assert_eq!(entry(Some(&sample())).len(), ENTRY_BYTES);
        assert_eq!(entry(None).len(), ENTRY_BYTES);
        assert_eq!(attributes(&sample()).len(), ATTRIBUTES_BYTES);
        assert_eq!(statx(&sample()).len(), STATX_BYTES);
        assert_eq!((opened().len(), count_32(1).len(), ioctl(0).len()), (16, 8, 16));
    }

    #[test]
    fn attributes_are_where_they_belong() {
        let encoded = attributes(&sample());
        let mut fields = Fields::new(encoded.as_slice());
        fields.skip(16).unwrap();
        assert_eq!((fields.u64(), fields.u64(), fields.u64()), (Ok(7), Ok(5000), Ok(16)));
        assert_eq!(fields.u64(), Ok(u64::MAX));
        assert_eq!((fields.u64(), fields.u64()), (Ok(3), Ok(5)));
        assert_eq!((fields.u32(), fields.u32(), fields.u32()), (Ok(2), Ok(4), Ok(6)));
        assert_eq!((fields.u32(), fields.u32()), (Ok(0o140_4751), Ok(2)));
        assert_eq!((fields.u32(), fields.u32(), fields.u32()), (Ok(10), Ok(20), Ok(0x0801)));
    }

    #[test]
    fn statx_has_the_birth() {
        let encoded = statx(&sample());
        let mut fields = Fields::new(encoded.as_slice());
        fields.skip(32 + 64 + 16).unwrap();
        assert_eq!((fields.u64(), fields.u32()), (Ok(7), Ok(8)));
    }

    #[test]
    fn device_numbers_come_apart() {
        assert_eq!(device_numbers(0x0801), (8, 1));
        assert_eq!(device_numbers(0xabc1_23ef), (0x123, 0xabcef));
    }
}
