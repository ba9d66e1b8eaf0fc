//! The hash of names: SipHash-1-3 with the volume's key, cut to 56 bits.
//!
//! 56 bits, so that a readdir cookie (hash, then 7 bits of slot) stays positive in an i64. The key
//! is secret to the volume, so nobody can make names collide on purpose.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

/// Hashes names of directory entries and extended attributes.
#[derive(Debug, Clone)]
pub struct NameHasher {
    key: [u8; 16],
}

impl NameHasher {
    /// Bits of a hash.
    pub const BITS: u32 = 56;

    /// A hasher with the volume's key.
    pub fn new(key: [u8; 16]) -> Self {
        Self { key }
    }

    /// The hash of `name`, below 2^56. Values 0 and 1 are never returned: as cookies they stand
    /// for "." and "..".
    pub fn hash(&self, name: &[u8]) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        hasher.write(name);
        (hasher.finish() >> (64 - Self::BITS)).max(2)
    }

    /// Whether [`NameHasher::hash`] could return `value`.
    pub const fn can_be_hash(value: u64) -> bool {
        value >= 2 && value < 1 << Self::BITS
    }
}
