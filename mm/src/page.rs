//! What a page is.

/// Bytes in a page, and in the frame that holds one.
pub const PAGE_SIZE: usize = 4096;

/// The bytes of a page.
pub type Page = [u8; PAGE_SIZE];
