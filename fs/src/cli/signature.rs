//! What is on a device already, told by magic numbers.
//!
//! Not a full list, and it need not be: it keeps a slip of the finger from wiping a disk. Blank
//! space has no signature; neither has data that no filesystem made.

/// Bytes from the start of a device that [`detect`] wants to see.
pub const SNIFF_BYTES: usize = 132 * 1024;

/// A magic number: its name, where it is, what it is.
struct Magic {
    name: &'static str,
    offset: usize,
    bytes: &'static [u8],
}

const fn magic(name: &'static str, offset: usize, bytes: &'static [u8]) -> Magic {
    Magic { name, offset, bytes }
}

/// In the order of trust: a partition table comes last, since other boot sectors end as it does.
const MAGICS: &[Magic] = &[
    magic("a braidfs volume", 0, b"BRAIDFS\0"),
    magic("a LUKS volume", 0, b"LUKS\xba\xbe"),
    magic("an LVM physical volume", 0x218, b"LVM2 001"),
    magic("a member of a RAID", 0x1000, b"\xfc\x4e\x2b\xa9"),
    magic("an ext2, ext3 or ext4 filesystem", 0x438, b"\x53\xef"),
    magic("an XFS filesystem", 0, b"XFSB"),
    magic("a btrfs filesystem", 0x10040, b"_BHRfS_M"),
    magic(
        "a bcachefs filesystem",
        0x1018,
        b"\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef",
    ),
    magic("a member of a ZFS pool", 0x20000, b"\x0c\xb1\xba\x00"),
    magic("an F2FS filesystem", 0x400, b"\x10\x20\xf5\xf2"),
    magic("a squashfs filesystem", 0, b"hsqs"),
    magic("an ISO 9660 filesystem", 0x8001, b"CD001"),
    magic("an NTFS filesystem", 3, b"NTFS    "),
    magic("an exFAT filesystem", 3, b"EXFAT   "),
    magic("a FAT filesystem", 0x36, b"FAT1"),
    magic("a FAT filesystem", 0x52, b"FAT32   "),
    magic("swap space", 0xff6, b"SWAPSPACE2"),
    magic("swap space", 0xff6, b"SWAP-SPACE"),
    magic("a GPT partition table", 512, b"EFI PART"),
    magic("a GPT partition table", 4096, b"EFI PART"),
    magic("an MBR partition table or a boot sector", 510, b"\x55\xaa"),
];

/// What the first bytes of a device, up to [`SNIFF_BYTES`] of them, belong to.
pub fn detect(start: &[u8]) -> Option<&'static str> {
    MAGICS
        .iter()
        .find(|magic| {
            start.get(magic.offset..).is_some_and(|behind| behind.starts_with(magic.bytes))
        })
        .map(|magic| magic.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signature_is_found_and_lies_within_what_is_read() {
        for magic in MAGICS {
            let end = magic.offset + magic.bytes.len();
            assert!(end <= SNIFF_BYTES, "{}", magic.name);
            let mut start = vec![0; SNIFF_BYTES];
            start[magic.offset..end].copy_from_slice(magic.bytes);
            assert_eq!(detect(&start), Some(magic.name));
            assert_eq!(detect(&start[..end - 1]), None);
        }
    }

    #[test]
    fn the_filesystem_in_a_boot_sector_is_named_rather_than_the_boot_sector() {
        let mut start = vec![0; SNIFF_BYTES];
        start[510..512].copy_from_slice(b"\x55\xaa");
        start[3..11].copy_from_slice(b"NTFS    ");
        assert_eq!(detect(&start), Some("an NTFS filesystem"));
    }

    #[test]
    fn blank_space_has_no_signature() {
        assert_eq!(detect(&[]), None);
        assert_eq!(detect(&vec![0; SNIFF_BYTES]), None);
    }
}
