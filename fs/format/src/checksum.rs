//! crc32c (Castagnoli), the one checksum of the format.
//!
//! Superblocks, nodes, bitmap blocks and transaction headers begin alike: eight bytes of magic, then
//! the checksum of the whole structure, computed as if the checksum's own four bytes were zero.

use crate::error::{FormatError, FormatErrorKind};
use crate::geometry::BLOCK_SIZE;

/// Bytes of the magic number that a structure begins with.
pub(crate) const MAGIC_BYTES: usize = 8;
/// Where the checksum ends; it begins behind the magic.
const CHECKSUM_END: usize = MAGIC_BYTES + 4;

static ZEROS: [u8; BLOCK_SIZE] = [0; BLOCK_SIZE];

/// The checksum of a data block: of `bytes`, followed by zeros up to [`BLOCK_SIZE`].
pub fn block_checksum(bytes: &[u8]) -> u32 {
    let padding = ZEROS.get(bytes.len()..).unwrap_or_default();
    crc32c::crc32c_append(crc32c::crc32c(bytes), padding)
}

/// The checksum that belongs into the header of `structure`.
pub(crate) fn structure_checksum(structure: &[u8]) -> u32 {
    let (magic, rest) = structure.split_at(structure.len().min(MAGIC_BYTES));
    let covered = rest.get(CHECKSUM_END - MAGIC_BYTES..).unwrap_or_default();
    let head = crc32c::crc32c_append(crc32c::crc32c(magic), &[0; CHECKSUM_END - MAGIC_BYTES]);
    crc32c::crc32c_append(head, covered)
}

/// Puts the checksum of `structure` into its place and returns it. Bytes too few to hold one stay
/// as they are.
pub fn seal(structure: &mut [u8]) -> u32 {
    let checksum = structure_checksum(structure);
    if let Some(place) = structure.get_mut(MAGIC_BYTES..CHECKSUM_END) {
        place.copy_from_slice(&checksum.to_le_bytes());
    }
    checksum
}

/// Checks length, magic and checksum of `structure`, in this order, and returns the checksum.
pub(crate) fn verify(
    record: &'static str,
    structure: &[u8],
    length: usize,
    magic: [u8; MAGIC_BYTES],
) -> Result<u32, FormatError> {
    let error = |kind, offset, detail: String| Err(FormatError::new(kind, record, offset, detail));
    if structure.len() != length {
        let detail = format!("{} bytes where {length} are due", structure.len());
        return error(FormatErrorKind::Truncated, structure.len().min(length), detail);
    }
    if !structure.starts_with(&magic) {
        return error(FormatErrorKind::BadMagic, 0, "the magic number is not there".into());
    }
    let mut stored = [0; 4];
    stored.copy_from_slice(structure.get(MAGIC_BYTES..CHECKSUM_END).unwrap_or(&[0; 4]));
    let (stored, computed) = (u32::from_le_bytes(stored), structure_checksum(structure));
    if stored != computed {
        let detail = format!("the checksum is {stored:#010x}, the bytes give {computed:#010x}");
        return error(FormatErrorKind::BadChecksum, MAGIC_BYTES, detail);
    }
    Ok(stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_polynomial_is_castagnoli() {
        // The check value of the catalogue of CRC algorithms (CRC-32/ISCSI).
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn a_short_block_counts_as_padded_with_zeros() {
        let mut block = [0; BLOCK_SIZE];
        block[..5].copy_from_slice(b"braid");
        assert_eq!(block_checksum(b"braid"), block_checksum(&block));
        assert_eq!(block_checksum(&block), crc32c::crc32c(&block));
        assert_eq!(block_checksum(b""), block_checksum(&[0; BLOCK_SIZE]));
    }

    #[test]
    fn sealing_is_idempotent_and_short_input_is_left_alone() {
        let mut structure = *b"MAGIC...????content";
        let checksum = seal(&mut structure);
        assert_eq!(seal(&mut structure), checksum);
        assert_eq!(verify("test", &structure, 19, *b"MAGIC..."), Ok(checksum));
        let mut short = *b"MAGIC...???";
        seal(&mut short);
        assert_eq!(&short, b"MAGIC...???");
    }
}
