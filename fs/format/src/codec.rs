//! A bounds-checked reader and a writer of little-endian bytes: the only road from bytes to types.
//!
//! Everything variable on disk is short and packed, so fields are read one behind the other and
//! nothing is ever looked at in place. Each read is checked against the end of the input, so no
//! length found on disk can lead outside it.

use crate::error::{FormatError, FormatErrorKind};

/// Reads the fields of one record; its errors name the record and the byte of the whole input.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    record: &'static str,
    bytes: &'a [u8],
    /// Where `bytes` begins in the input that the caller handed in.
    base: usize,
    position: usize,
}

impl<'a> Reader<'a> {
    /// A reader of a whole input that is to hold `record`.
    pub(crate) fn new(record: &'static str, bytes: &'a [u8]) -> Self {
        Self { record, bytes, base: 0, position: 0 }
    }

    /// Takes the next `length` bytes as a record of their own.
    pub(crate) fn section(
        &mut self,
        record: &'static str,
        length: usize,
    ) -> Result<Reader<'a>, FormatError> {
        let base = self.offset();
        Ok(Reader { record, bytes: self.take(length)?, base, position: 0 })
    }

    /// Where the next field begins in the whole input.
    pub(crate) fn offset(&self) -> usize {
        self.base + self.position
    }

    /// Bytes that are still unread.
    pub(crate) fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }

    /// Takes the next `length` bytes.
    pub(crate) fn take(&mut self, length: usize) -> Result<&'a [u8], FormatError> {
        let Some(taken) = self.bytes.get(self.position..).and_then(|rest| rest.get(..length))
        else {
            let detail = format!("needs {length} more bytes where {} are left", self.remaining());
            return Err(self.error(FormatErrorKind::Truncated, detail));
        };
        self.position += length;
        Ok(taken)
    }

    /// Takes the next `N` bytes as an array.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], FormatError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, FormatError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Result<u16, FormatError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, FormatError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, FormatError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub(crate) fn i64(&mut self) -> Result<i64, FormatError> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    /// Takes `length` reserved bytes, which must be zeros.
    pub(crate) fn zeros(&mut self, length: usize) -> Result<(), FormatError> {
        let start = self.offset();
        let Some(found) = self.take(length)?.iter().position(|byte| *byte != 0) else {
            return Ok(());
        };
        Err(self.bad_field_at(start + found, "a reserved byte is not zero"))
    }

    /// Ends the reading: nothing may be left.
    pub(crate) fn finish(self) -> Result<(), FormatError> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(self.bad_field(format!("{left} bytes follow the end of the record"))),
        }
    }

    /// An error at the next field.
    pub(crate) fn error(&self, kind: FormatErrorKind, detail: impl Into<String>) -> FormatError {
        FormatError::new(kind, self.record, self.offset(), detail)
    }

    /// A [`FormatErrorKind::BadField`] at the next field.
    pub(crate) fn bad_field(&self, detail: impl Into<String>) -> FormatError {
        self.error(FormatErrorKind::BadField, detail)
    }

    /// A [`FormatErrorKind::BadField`] at a field that was read before.
    pub(crate) fn bad_field_at(&self, offset: usize, detail: impl Into<String>) -> FormatError {
        FormatError::new(FormatErrorKind::BadField, self.record, offset, detail)
    }
}

/// Appends little-endian fields to a buffer.
pub(crate) trait Put {
    fn put(&mut self, bytes: &[u8]);

    fn put_u8(&mut self, value: u8) {
        self.put(&[value]);
    }

    fn put_u16(&mut self, value: u16) {
        self.put(&value.to_le_bytes());
    }

    fn put_u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }

    fn put_u64(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }

    fn put_i64(&mut self, value: i64) {
        self.put(&value.to_le_bytes());
    }
}

impl Put for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}
