//! What a request asks for, decoded.

use crate::types::InodeNumber;

use super::bytes::{Fields, Malformed};
use super::change::AttributeChange;
use super::init::{OPCODE as INIT, Offer};

/// How the two sides agreed to talk, where that changes what requests look like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dialect {
    /// SETXATTR has two more fields (FUSE_SETXATTR_EXT).
    pub long_setxattr: bool,
}

/// How a WRITE came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteKind {
    /// From the kernel's cache, some time after the write(2).
    pub from_cache: bool,
    /// The writer may not keep setuid and setgid.
    pub kills_privileges: bool,
}

/// An operation; the fields are called as in the system calls. Handles of open files are left out: this filesystem gives out none.
#[derive(Debug)]
pub enum Operation<'a> {
    /// Find a name.
    Lookup {
        name: &'a [u8],
    },
    /// Give back references to the inode.
    Forget {
        count: u64,
    },
    /// Give back references to several inodes.
    ForgetMany(Forgets<'a>),
    GetAttributes,
    SetAttributes(AttributeChange),
    /// Attributes, with the birth time.
    Statx,
    ReadLink,
    SymbolicLink {
        name: &'a [u8],
        target: &'a [u8],
    },
    MakeNode {
        name: &'a [u8],
        mode: u32,
        device: u32,
        umask: u32,
    },
    MakeDirectory {
        name: &'a [u8],
        mode: u32,
        umask: u32,
    },
    Unlink {
        name: &'a [u8],
    },
    RemoveDirectory {
        name: &'a [u8],
    },
    Rename {
        name: &'a [u8],
        new_parent: InodeNumber,
        new_name: &'a [u8],
        flags: u32,
    },
    /// A further name, in the directory that the request is about, for `inode`.
    Link {
        inode: InodeNumber,
        name: &'a [u8],
    },
    Create {
        name: &'a [u8],
        mode: u32,
        umask: u32,
        flags: u32,
    },
    /// A file without a name, in the directory's volume.
    TemporaryFile {
        mode: u32,
        umask: u32,
    },
    Read {
        offset: u64,
        size: u32,
    },
    Write {
        offset: u64,
        bytes: &'a [u8],
        kind: WriteKind,
    },
    StatFs,
    /// Of a file or a directory.
    Fsync,
    SyncFs,
    SetXattr {
        name: &'a [u8],
        value: &'a [u8],
        flags: u32,
        kills_setgid: bool,
    },
    /// Size 0 asks for the length.
    GetXattr {
        name: &'a [u8],
        size: u32,
    },
    ListXattr {
        size: u32,
    },
    RemoveXattr {
        name: &'a [u8],
    },
    ReadDirectory {
        cookie: u64,
        size: u32,
        with_attributes: bool,
    },
    /// With the address of its argument.
    Ioctl {
        command: u32,
        address: u64,
    },
    Fallocate {
        offset: u64,
        length: u64,
        mode: u32,
    },
    Seek {
        offset: u64,
        whence: u32,
    },
    /// Copies to `to`; `long` is how the reply counts.
    CopyRange {
        offset: u64,
        to: InodeNumber,
        to_offset: u64,
        length: u64,
        flags: u64,
        long: bool,
    },
    Init(Offer),
    /// The mount is gone.
    Destroy,
    /// Not to be answered.
    Interrupt,
    /// What this filesystem does not do; the kernel does without.
    Unknown,
}

impl<'a> Operation<'a> {
    /// Decodes what is behind the header.
    pub fn read(opcode: u32, fields: Fields<'a>, dialect: Dialect) -> Result<Self, Malformed> {
        let mut fields = fields;
        match opcode {
            1 | 6 | 8..=13 | 35 | 45 | 51 => Self::read_names(opcode, &mut fields),
            2 => Ok(Self::Forget { count: fields.u64()? }),
            3 => Ok(Self::GetAttributes),
            4 => Ok(Self::SetAttributes(AttributeChange::read(&mut fields)?)),
            5 => Ok(Self::ReadLink),
            15 | 16 | 43 | 46 | 47 | 53 => Self::read_data(opcode, &mut fields),
            17 => Ok(Self::StatFs),
            20 | 30 => Ok(Self::Fsync),
            21..=24 => Self::read_xattr(opcode, &mut fields, dialect),
            INIT => Ok(Self::Init(Offer::read(&mut fields)?)),
            28 | 44 => Self::read_directory(&mut fields, opcode == 44),
            36 => Ok(Self::Interrupt),
            38 => Ok(Self::Destroy),
            39 => Self::read_ioctl(&mut fields),
            42 => Ok(Self::ForgetMany(Forgets::read(fields)?)),
            50 => Ok(Self::SyncFs),
            52 => Ok(Self::Statx),
            _ => Ok(Self::Unknown),
        }
    }

    fn read_names(opcode: u32, fields: &mut Fields<'a>) -> Result<Self, Malformed> {
        Ok(match opcode {
            1 => Self::Lookup { name: fields.name()? },
            6 => Self::SymbolicLink { name: fields.name()?, target: fields.name()? },
            8 => {
                let (mode, device, umask) = (fields.u32()?, fields.u32()?, fields.u32()?);
                fields.skip(4)?;
                Self::MakeNode { name: fields.name()?, mode, device, umask }
            }
            9 => {
                let (mode, umask) = (fields.u32()?, fields.u32()?);
                Self::MakeDirectory { name: fields.name()?, mode, umask }
            }
            10 => Self::Unlink { name: fields.name()? },
            11 => Self::RemoveDirectory { name: fields.name()? },
            12 | 45 => {
                let new_parent = fields.u64()?;
                let flags = if opcode == 45 { fields.u32()? } else { 0 };
                fields.skip(if opcode == 45 { 4 } else { 0 })?;
                let (name, new_name) = (fields.name()?, fields.name()?);
                Self::Rename { name, new_parent, new_name, flags }
            }
            13 => Self::Link { inode: fields.u64()?, name: fields.name()? },
            _ => {
                let (flags, mode, umask) = (fields.u32()?, fields.u32()?, fields.u32()?);
                fields.skip(4)?;
                match opcode {
                    51 => Self::TemporaryFile { mode, umask },
                    _ => Self::Create { name: fields.name()?, mode, umask, flags },
                }
            }
        })
    }

    fn read_data(opcode: u32, fields: &mut Fields<'a>) -> Result<Self, Malformed> {
        fields.skip(8)?;
        let offset = fields.u64()?;
        Ok(match opcode {
            15 => Self::Read { offset, size: fields.u32()? },
            16 => {
                const FROM_CACHE: u32 = 1 << 0;
                const KILL_SUIDGID: u32 = 1 << 2;
                let (size, flags) = (fields.u32()?, fields.u32()?);
                // The owner of a lock, the flags of the file, and padding.
                fields.skip(16)?;
                let kind = WriteKind {
                    from_cache: flags & FROM_CACHE != 0,
                    kills_privileges: flags & KILL_SUIDGID != 0,
                };
                Self::Write { offset, bytes: fields.bytes(size as usize)?, kind }
            }
            43 => Self::Fallocate { offset, length: fields.u64()?, mode: fields.u32()? },
            46 => Self::Seek { offset, whence: fields.u32()? },
            _ => {
                let to = fields.u64()?;
                fields.skip(8)?;
                let (to_offset, length, flags) = (fields.u64()?, fields.u64()?, fields.u64()?);
                Self::CopyRange { offset, to, to_offset, length, flags, long: opcode == 53 }
            }
        })
    }

    fn read_xattr(
        opcode: u32,
        fields: &mut Fields<'a>,
        dialect: Dialect,
    ) -> Result<Self, Malformed> {
        if opcode == 24 {
            return Ok(Self::RemoveXattr { name: fields.name()? });
        }
        let size = fields.u32()?;
        let flags = fields.u32()?;
        Ok(match opcode {
            21 => {
                const KILL_SETGID: u32 = 1 << 0;
                let more = if dialect.long_setxattr { fields.u32()? } else { 0 };
                fields.skip(if dialect.long_setxattr { 4 } else { 0 })?;
                let name = fields.name()?;
                let value = fields.bytes(size as usize)?;
                Self::SetXattr { name, value, flags, kills_setgid: more & KILL_SETGID != 0 }
            }
            22 => Self::GetXattr { name: fields.name()?, size },
            _ => Self::ListXattr { size },
        })
    }

    fn read_directory(fields: &mut Fields<'a>, with_attributes: bool) -> Result<Self, Malformed> {
        fields.skip(8)?;
        let cookie = fields.u64()?;
        Ok(Self::ReadDirectory { cookie, size: fields.u32()?, with_attributes })
    }

    fn read_ioctl(fields: &mut Fields<'a>) -> Result<Self, Malformed> {
        fields.skip(8 + 4)?;
        Ok(Self::Ioctl { command: fields.u32()?, address: fields.u64()? })
    }
}

/// References that are given back.
#[derive(Debug)]
pub struct Forgets<'a> {
    count: u32,
    fields: Fields<'a>,
}

impl<'a> Forgets<'a> {
    fn read(mut fields: Fields<'a>) -> Result<Self, Malformed> {
        let count = fields.u32()?;
        fields.skip(4)?;
        Ok(Self { count, fields })
    }
}

impl Iterator for Forgets<'_> {
    type Item = (InodeNumber, u64);

    fn next(&mut self) -> Option<Self::Item> {
        self.count = self.count.checked_sub(1)?;
        Some((self.fields.u64().ok()?, self.fields.u64().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::bytes::Structure;
    use super::*;

    fn read(opcode: u32, body: &Structure, long_setxattr: bool) -> Option<String> {
        let fields = Fields::new(body.as_slice());
        let operation = Operation::read(opcode, fields, Dialect { long_setxattr }).ok()?;
        Some(format!("{operation:?}"))
    }

    #[test]
    fn extended_setxattr_has_two_fields_more() {
        let mut short = Structure::default();
        short.u32(2).u32(1).bytes(b"user.a\0hi");
        let mut long = Structure::default();
        long.u32(2).u32(1).u32(1).u32(0).bytes(b"user.a\0hi");
        let of = |kills| {
            format!(
                "SetXattr {{ name: {:?}, value: {:?}, flags: 1, kills_setgid: {kills} }}",
                b"user.a", b"hi"
            )
        };
        assert_eq!(read(21, &short, false), Some(of(false)));
        assert_eq!(read(21, &long, true), Some(of(true)));
    }

    #[test]
    fn data_that_is_announced_must_be_there() {
        let mut write = Structure::default();
        write.zeros(8).u64(4096).u32(3).u32(5).zeros(16).bytes(b"abc");
        let whole = read(16, &write, false).unwrap();
        assert!(whole.contains("from_cache: true, kills_privileges: true"), "{whole}");
        let mut short = Structure::default();
        short.zeros(8).u64(4096).u32(4).u32(0).zeros(16).bytes(b"abc");
        assert_eq!(read(16, &short, false), None);
    }

    #[test]
    fn forgets_end_with_what_is_there() {
        let mut body = Structure::default();
        body.u32(1000).u32(0).u64(7).u64(2).u64(8).u64(1).u64(9);
        let Ok(Operation::ForgetMany(forgets)) =
            Operation::read(42, Fields::new(body.as_slice()), Dialect::default())
        else {
            panic!("it is no batch of forgets");
        };
        assert_eq!(forgets.collect::<Vec<_>>(), [(7, 2), (8, 1)]);
    }

    #[test]
    fn nothing_is_read_past_the_end() {
        for opcode in 0..64 {
            for length in 0..128 {
                let mut body = Structure::default();
                body.zeros(length);
                let _ = read(opcode, &body, length % 2 == 0);
            }
        }
    }
}
