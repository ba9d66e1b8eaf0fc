//! POSIX ACLs, as they are handed to the kernel: an extended attribute of a version, and entries
//! of tag, permissions and id, all little-endian.

use std::fmt::Write as _;

use rustix::fs::{XattrFlags, getxattr, setxattr};

use super::words::Words;
use super::{Failure, Machine, Outcome};

const VERSION: u32 = 2;
const NO_ID: u32 = u32::MAX;
/// The tags: name, whether an id follows, number.
const TAGS: [(&str, bool, u16); 6] = [
    ("user", false, 0x01),
    ("user", true, 0x02),
    ("group", false, 0x04),
    ("group", true, 0x08),
    ("mask", false, 0x10),
    ("other", false, 0x20),
];

fn attribute(words: &mut Words) -> &'static str {
    if words.flag("-d") { "system.posix_acl_default" } else { "system.posix_acl_access" }
}

pub(super) fn set(_: &mut Machine, words: &mut Words) -> Outcome {
    let name = attribute(words);
    let path = words.word()?;
    let mut value = VERSION.to_le_bytes().to_vec();
    while let Some(word) = words.next() {
        let wrong = || Failure::Usage(format!("{word} is no entry"));
        let (tag, permissions, id) = entry(&word).ok_or_else(wrong)?;
        value.extend_from_slice(&tag.to_le_bytes());
        value.extend_from_slice(&permissions.to_le_bytes());
        value.extend_from_slice(&id.to_le_bytes());
    }
    setxattr(path, name, &value, XattrFlags::empty())?;
    Ok(String::new())
}

/// Tag, permissions and id of an entry such as `user:7:r-x`.
fn entry(word: &str) -> Option<(u16, u16, u32)> {
    let [name, id, permissions] = word.split(':').collect::<Vec<_>>().try_into().ok()?;
    let has_id = !id.is_empty();
    let (_, _, tag) = TAGS.iter().find(|(one, takes_id, _)| *one == name && *takes_id == has_id)?;
    let id = if has_id { id.parse().ok()? } else { NO_ID };
    let bit = |letter, bit| if permissions.contains(letter) { bit } else { 0 };
    Some((*tag, bit('r', 4) | bit('w', 2) | bit('x', 1), id))
}

pub(super) fn get(_: &mut Machine, words: &mut Words) -> Outcome {
    let name = attribute(words);
    let mut value = vec![0; 1 << 16];
    let length = getxattr(words.word()?, name, &mut value)?;
    Ok(shown(&value[..length]))
}

fn shown(value: &[u8]) -> String {
    let mut text = String::new();
    for entry in value.get(4..).unwrap_or_default().chunks_exact(8) {
        let tag = u16::from_le_bytes([entry[0], entry[1]]);
        let bits = u16::from_le_bytes([entry[2], entry[3]]);
        let id = u32::from_le_bytes([entry[4], entry[5], entry[6], entry[7]]);
        let found = TAGS.iter().find(|(_, _, one)| *one == tag);
        let (name, has_id) = found.map_or(("?", true), |(name, has_id, _)| (*name, *has_id));
        let id = if has_id { id.to_string() } else { String::new() };
        let letter = |bit, letter| if bits & bit != 0 { letter } else { '-' };
        // Writing to a String does not fail.
        let _ =
            writeln!(text, "{name}:{id}:{}{}{}", letter(4, 'r'), letter(2, 'w'), letter(1, 'x'));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_parsed_and_shown() {
        assert_eq!(entry("user::rwx"), Some((1, 7, NO_ID)));
        assert_eq!(entry("group:7:r-x"), Some((8, 5, 7)));
        assert_eq!(entry("mask:7:r-x"), None);
        assert_eq!(entry("user:rwx"), None);
        let bytes = [2, 0, 0, 0, 8, 0, 5, 0, 7, 0, 0, 0, 0x20, 0, 0, 0, 255, 255, 255, 255];
        assert_eq!(shown(&bytes), "group:7:r-x\nother::---\n");
    }
}
