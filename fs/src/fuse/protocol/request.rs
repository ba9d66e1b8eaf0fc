//! A request: who asks about which inode, and what.

use crate::types::InodeNumber;

use super::bytes::{Fields, Malformed};
use super::operation::{Dialect, Operation};

/// Bytes of the header of every request.
pub const HEADER_BYTES: usize = 40;

/// What every request begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The number of the operation.
    pub opcode: u32,
    /// Names the request in its reply.
    pub unique: u64,
    /// The inode that it is about.
    pub inode: InodeNumber,
    /// User, as files that the request makes will have it. Other requests may come without
    /// (`u32::MAX`), if the mount has mapped owners.
    pub uid: u32,
    /// Group, likewise.
    pub gid: u32,
    /// The thread that asks; 0 if it cannot be named here.
    pub pid: u32,
}

/// A decoded request.
#[derive(Debug)]
pub struct Request<'a> {
    /// Who asks.
    pub header: Header,
    /// What; an error if it could not be understood.
    pub operation: Result<Operation<'a>, Malformed>,
}

impl<'a> Request<'a> {
    /// Decodes what was read from the device.
    ///
    /// # Errors
    /// If it is no request, so that not even a refusal could be sent.
    pub fn read(bytes: &'a [u8], dialect: Dialect) -> Result<Self, Malformed> {
        let mut fields = Fields::new(bytes);
        let length = fields.u32()?;
        if length as usize != bytes.len() {
            return Err(Malformed);
        }
        let header = Header {
            opcode: fields.u32()?,
            unique: fields.u64()?,
            inode: fields.u64()?,
            uid: fields.u32()?,
            gid: fields.u32()?,
            pid: fields.u32()?,
        };
        // The length of extensions, which were not asked for, and padding.
        fields.skip(4)?;
        Ok(Self { header, operation: Operation::read(header.opcode, fields, dialect) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::bytes::Structure;
    use super::*;

    fn lookup(announced: u32) -> Vec<u8> {
        let mut request = Structure::default();
        request.u32(announced).u32(1).u64(11).u64(2).u32(1000).u32(100).u32(42).zeros(4);
        request.bytes(b"name\0");
        request.as_slice().to_vec()
    }

    #[test]
    fn a_request_is_header_and_operation() {
        let bytes = lookup(45);
        let request = Request::read(&bytes, Dialect::default()).unwrap();
        let header = Header { opcode: 1, unique: 11, inode: 2, uid: 1000, gid: 100, pid: 42 };
        assert_eq!(request.header, header);
        assert!(matches!(request.operation, Ok(Operation::Lookup { name: b"name" })));
    }

    #[test]
    fn a_length_that_is_not_so_is_malformed() {
        assert!(Request::read(&lookup(44), Dialect::default()).is_err());
        assert!(Request::read(&lookup(45)[..20], Dialect::default()).is_err());
    }
}
