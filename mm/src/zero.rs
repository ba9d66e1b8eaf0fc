//! Pages of zeros: the shared ones that reads of holes see, and the test for written ones.
//!
//! On processors whose caches are indexed by virtual address, reading one zero page over and over
//! hits the same few cache lines; there, several pages of different *colour* help. Where that is
//! not so, one colour is enough, and is the default.

use crate::{PAGE_SIZE, Page};

/// The most colours [`ZeroPages::new`] gives (128 pages, 512 KiB, is what the machines that need
/// colours ask for).
pub const MAX_COLOURS: usize = 128;

/// Words tested between two looks at the result: enough to keep vector units busy, little enough to
/// stop early.
const PROBE_BYTES: usize = 256;

/// A page at a page-aligned address.
#[repr(C, align(4096))]
#[derive(Clone)]
struct AlignedPage(Page);

/// The zero page of everybody who needs no colours.
static ZERO_PAGE: AlignedPage = AlignedPage([0; PAGE_SIZE]);

/// The zero pages of a cache, one for each colour. The colour of a page is its index modulo their
/// number.
#[derive(Default)]
pub struct ZeroPages {
    /// Empty for a single colour, which is [`ZERO_PAGE`]; a power of two of pages otherwise.
    coloured: Box<[AlignedPage]>,
}

impl ZeroPages {
    /// Zero pages of that many colours, rounded up to a power of two of at most [`MAX_COLOURS`].
    pub fn new(colours: usize) -> Self {
        let colours = colours.clamp(1, MAX_COLOURS).next_power_of_two();
        if colours == 1 {
            return Self::default();
        }
        Self { coloured: vec![ZERO_PAGE.clone(); colours].into_boxed_slice() }
    }

    /// Number of colours.
    pub fn colours(&self) -> usize {
        self.coloured.len().max(1)
    }

    /// The zero page for the page of that index.
    pub fn page(&self, index: u64) -> &Page {
        // The mask keeps the low bits only, so the cast loses nothing that counts.
        let colour = index as usize & (self.colours() - 1);
        self.coloured.get(colour).map_or(&ZERO_PAGE.0, |page| &page.0)
    }
}

impl std::fmt::Debug for ZeroPages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ZeroPages").field("colours", &self.colours()).finish()
    }
}

/// Whether every byte of the page is zero. A page that is not usually shows it in the first probe.
pub fn is_zero_page(page: &Page) -> bool {
    page.chunks_exact(PROBE_BYTES).all(is_zero_probe)
}

/// Ors the words together before it looks, so the compiler can use the widest registers there are.
fn is_zero_probe(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    let folded = words.iter().fold(0, |folded, word| folded | u64::from_ne_bytes(*word));
    folded == 0 && rest.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_single_bit_is_seen() {
        let mut page = [0; PAGE_SIZE];
        assert!(is_zero_page(&page));
        for bit in 0..PAGE_SIZE * 8 {
            page[bit / 8] = 1 << (bit % 8);
            assert!(!is_zero_page(&page), "bit {bit}");
            page[bit / 8] = 0;
        }
    }

    #[test]
    fn one_colour_is_one_page() {
        let zero = ZeroPages::default();
        assert_eq!(zero.colours(), 1);
        assert!(std::ptr::eq(zero.page(0), zero.page(u64::MAX)));
        assert!(is_zero_page(zero.page(7)));
    }

    #[test]
    fn colours_repeat_and_differ() {
        let zero = ZeroPages::new(3);
        assert_eq!(zero.colours(), 4);
        assert!(std::ptr::eq(zero.page(1), zero.page(5)));
        assert!(!std::ptr::eq(zero.page(1), zero.page(2)));
        assert!((0..4).all(|index| zero.page(index).as_ptr().addr().is_multiple_of(PAGE_SIZE)));
        assert_eq!(ZeroPages::new(usize::MAX).colours(), MAX_COLOURS);
        assert_eq!(ZeroPages::new(0).colours(), 1);
    }
}
