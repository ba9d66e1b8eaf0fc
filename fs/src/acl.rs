//! POSIX access control lists, as POSIX.1e draft 17 has them and Linux stores them.
//!
//! Purpose: what a list means for the mode of a file and back. Checking access is the kernel's; what
//! must hold here is that list and mode never say different things: the mode's group bits *are* the
//! mask of the list, if it has one.
//!
//! A list that says no more than a mode can is not kept: the mode says it.

use crate::error::{FsError, FsErrorKind, FsResult};

/// The attribute with the list that decides about access.
pub const ACCESS_ATTRIBUTE: &[u8] = b"system.posix_acl_access";
/// The attribute with the list that new files in a directory get.
pub const DEFAULT_ATTRIBUTE: &[u8] = b"system.posix_acl_default";

/// The version that an encoded list begins with, and its length.
const VERSION: u32 = 2;
const HEADER_BYTES: usize = 4;
const ENTRY_BYTES: usize = 8;
/// The id of entries that need none.
const NO_ID: u32 = u32::MAX;
/// All permissions of an entry.
const ALL: u16 = 0o7;

/// Whom an entry is about; the numbers are those of the encoding, and their order is that of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u16)]
enum Tag {
    Owner = 1,
    User = 2,
    OwningGroup = 4,
    Group = 8,
    Mask = 16,
    Others = 32,
}

/// An entry: what somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    tag: Tag,
    permissions: u16,
    id: u32,
}

/// A valid list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acl {
    entries: Vec<Entry>,
}

impl Acl {
    /// Decodes a list; `None` if it has no entries, which means that there is to be none.
    ///
    /// # Errors
    /// `Invalid` for what is no list; `NotSupported` for another version.
    pub fn decode(bytes: &[u8]) -> FsResult<Option<Self>> {
        let Some((version, entries)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
            return if bytes.is_empty() { Ok(None) } else { Err(invalid()) };
        };
        if u32::from_le_bytes(*version) != VERSION {
            let detail = "the list has a version that is not known";
            return Err(FsError::new(FsErrorKind::NotSupported, detail));
        }
        let (entries, rest) = entries.as_chunks::<ENTRY_BYTES>();
        if !rest.is_empty() {
            return Err(invalid());
        }
        if entries.is_empty() {
            return Ok(None);
        }
        let entries = entries.iter().map(Entry::decode).collect::<Option<Vec<_>>>();
        let list = Self { entries: entries.ok_or_else(invalid)? };
        if list.is_valid() { Ok(Some(list)) } else { Err(invalid()) }
    }

    /// Encodes the list.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + self.entries.len() * ENTRY_BYTES);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        for entry in &self.entries {
            bytes.extend_from_slice(&(entry.tag as u16).to_le_bytes());
            bytes.extend_from_slice(&entry.permissions.to_le_bytes());
            bytes.extend_from_slice(&entry.id.to_le_bytes());
        }
        bytes
    }

    /// One entry each for owner, group and others; in order; named ones only with a mask.
    fn is_valid(&self) -> bool {
        let count = |tag| self.entries.iter().filter(|entry| entry.tag == tag).count();
        let in_order = self.entries.is_sorted_by_key(|entry| entry.tag);
        let is_named = count(Tag::User) + count(Tag::Group) > 0;
        let masks = count(Tag::Mask);
        in_order
            && [Tag::Owner, Tag::OwningGroup, Tag::Others].iter().all(|&tag| count(tag) == 1)
            && masks <= 1
            && (masks == 1 || !is_named)
    }

    /// The nine permission bits that the list stands for.
    pub fn mode(&self) -> u32 {
        let of = |tag| self.entry(tag).map(|entry| u32::from(entry.permissions));
        let group = of(Tag::Mask).or(of(Tag::OwningGroup)).unwrap_or(0);
        of(Tag::Owner).unwrap_or(0) << 6 | group << 3 | of(Tag::Others).unwrap_or(0)
    }

    /// Whether a mode says all that the list says.
    pub fn is_minimal(&self) -> bool {
        self.entries.len() == 3
    }

    /// Changes the list as chmod(2) changes the mode.
    pub fn set_mode(&mut self, mode: u32) {
        let group_tag = self.group_tag();
        for entry in &mut self.entries {
            if let Some(shift) = shift_of(entry.tag, group_tag) {
                entry.permissions = (mode >> shift) as u16 & ALL;
            }
        }
    }

    /// Makes of a directory's default list the access list of a file that is made with `mode`, and
    /// returns the permissions that the file gets: at most those of `mode`, and of the list.
    pub fn limit_to(&mut self, mode: u32) -> u32 {
        let group_tag = self.group_tag();
        for entry in &mut self.entries {
            if let Some(shift) = shift_of(entry.tag, group_tag) {
                entry.permissions &= (mode >> shift) as u16 & ALL;
            }
        }
        self.mode()
    }

    fn entry(&self, tag: Tag) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.tag == tag)
    }

    /// Whose entry the group bits of the mode are.
    fn group_tag(&self) -> Tag {
        if self.entry(Tag::Mask).is_some() { Tag::Mask } else { Tag::OwningGroup }
    }
}

/// Where the mode has the bits of an entry.
fn shift_of(tag: Tag, group_tag: Tag) -> Option<u32> {
    match tag {
        Tag::Owner => Some(6),
        Tag::Others => Some(0),
        tag if tag == group_tag => Some(3),
        _ => None,
    }
}

impl Entry {
    fn decode(bytes: &[u8; ENTRY_BYTES]) -> Option<Self> {
        let [tag_low, tag_high, low, high, id @ ..] = *bytes;
        let tag = match u16::from_le_bytes([tag_low, tag_high]) {
            1 => Tag::Owner,
            2 => Tag::User,
            4 => Tag::OwningGroup,
            8 => Tag::Group,
            16 => Tag::Mask,
            32 => Tag::Others,
            _ => return None,
        };
        let permissions = u16::from_le_bytes([low, high]);
        let id = match tag {
            Tag::User | Tag::Group => u32::from_le_bytes(id),
            _ => NO_ID,
        };
        (permissions & !ALL == 0).then_some(Self { tag, permissions, id })
    }
}

fn invalid() -> FsError {
    FsError::new(FsErrorKind::Invalid, "that is not an access control list")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[(Tag, u16, u32)]) -> Acl {
        let entry = |&(tag, permissions, id)| Entry { tag, permissions, id };
        Acl { entries: entries.iter().map(entry).collect() }
    }

    fn minimal() -> Acl {
        list(&[(Tag::Owner, 6, NO_ID), (Tag::OwningGroup, 4, NO_ID), (Tag::Others, 0, NO_ID)])
    }

    fn with_user() -> Acl {
        list(&[
            (Tag::Owner, 7, NO_ID),
            (Tag::User, 6, 1000),
            (Tag::OwningGroup, 5, NO_ID),
            (Tag::Mask, 6, NO_ID),
            (Tag::Others, 1, NO_ID),
        ])
    }

    #[test]
    fn lists_survive_encoding() {
        for list in [minimal(), with_user()] {
            assert_eq!(Acl::decode(&list.encode()).unwrap(), Some(list));
        }
        assert_eq!(Acl::decode(&[]).unwrap(), None);
        assert_eq!(Acl::decode(&VERSION.to_le_bytes()).unwrap(), None);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        let owner = (Tag::Owner, 6, NO_ID);
        let (group, others) = ((Tag::OwningGroup, 4, NO_ID), (Tag::Others, 0, NO_ID));
        let user = (Tag::User, 4, 7);
        for wrong in [
            list(&[owner, group]),
            list(&[group, owner, others]),
            list(&[owner, owner, group, others]),
            list(&[owner, user, group, others]),
            list(&[(Tag::Owner, 8, NO_ID), group, others]),
        ] {
            assert_eq!(Acl::decode(&wrong.encode()).unwrap_err().kind(), FsErrorKind::Invalid);
        }
        let short = &minimal().encode()[..27];
        assert_eq!(Acl::decode(short).unwrap_err().kind(), FsErrorKind::Invalid);
        assert_eq!(Acl::decode(&[2, 0]).unwrap_err().kind(), FsErrorKind::Invalid);
        assert_eq!(Acl::decode(&[3, 0, 0, 0]).unwrap_err().kind(), FsErrorKind::NotSupported);
    }

    #[test]
    fn the_group_bits_are_the_mask() {
        assert_eq!((minimal().mode(), minimal().is_minimal()), (0o640, true));
        assert_eq!((with_user().mode(), with_user().is_minimal()), (0o761, false));
        let mut list = with_user();
        list.set_mode(0o100_640);
        assert_eq!(list.mode(), 0o640);
        assert_eq!(list.entry(Tag::OwningGroup).unwrap().permissions, 5);
        assert_eq!(list.entry(Tag::Mask).unwrap().permissions, 4);
    }

    #[test]
    fn a_new_file_gets_no_more_than_it_was_made_with() {
        let mut list = with_user();
        assert_eq!(list.limit_to(0o666), 0o660);
        assert_eq!(list.entry(Tag::User).unwrap().permissions, 6);
        let mut list = minimal();
        assert_eq!(list.limit_to(0o777), 0o640);
    }
}
