//! Numbers and names, as they lie in requests and replies: in the machine's byte order, packed so that
//! the fields of each structure are aligned without gaps.

/// A request that is shorter than what it announces, or says what cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

/// Reads a request from front to back.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// All of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Malformed)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// The next two bytes.
    #[cfg(test)]
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        self.take().map(u16::from_ne_bytes)
    }

    /// The next four bytes.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        self.take().map(u32::from_ne_bytes)
    }

    /// The next eight bytes.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        self.take().map(u64::from_ne_bytes)
    }

    /// Passes over `count` bytes.
    pub fn skip(&mut self, count: usize) -> Result<(), Malformed> {
        self.bytes(count).map(drop)
    }

    /// The next `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Malformed)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The bytes before the next zero byte, which is passed over.
    pub fn name(&mut self) -> Result<&'a [u8], Malformed> {
        let end = self.rest.iter().position(|&byte| byte == 0).ok_or(Malformed)?;
        let name = self.bytes(end)?;
        self.skip(1)?;
        Ok(name)
    }
}

/// The bytes of a structure in a reply.
#[derive(Debug, Default)]
pub struct Structure {
    bytes: Vec<u8>,
}

impl Structure {
    /// An empty one that will have `size` bytes.
    pub fn with_size(size: usize) -> Self {
        Self { bytes: Vec::with_capacity(size) }
    }

    /// Appends four bytes.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes.extend_from_slice(&value.to_ne_bytes());
        self
    }

    /// Appends two bytes.
    pub fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes.extend_from_slice(&value.to_ne_bytes());
        self
    }

    /// Appends eight bytes.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes.extend_from_slice(&value.to_ne_bytes());
        self
    }

    /// Appends bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Appends `count` zero bytes.
    pub fn zeros(&mut self, count: usize) -> &mut Self {
        self.bytes.resize(self.bytes.len() + count, 0);
        self
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// What was appended.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut structure = Structure::default();
        structure.u32(7).u64(1 << 40).u16(9).bytes(b"ab\0").zeros(2);
        let mut fields = Fields::new(structure.as_slice());
        assert_eq!(fields.u32(), Ok(7));
        assert_eq!(fields.u64(), Ok(1 << 40));
        assert_eq!(fields.u16(), Ok(9));
        assert_eq!(fields.name(), Ok(b"ab".as_slice()));
        assert_eq!(fields.bytes(2), Ok([0, 0].as_slice()));
        assert_eq!(fields.bytes(1), Err(Malformed));
    }

    #[test]
    fn a_name_without_an_end_is_malformed() {
        assert_eq!(Fields::new(b"abc").name(), Err(Malformed));
        assert_eq!(Fields::new(&[1, 2, 3]).u32(), Err(Malformed));
    }
}
