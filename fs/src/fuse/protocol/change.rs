//! SETATTR: the request with the most fields, of which a mask says which count.

use crate::types::Timestamp;

use super::bytes::{Fields, Malformed};

const MODE: u32 = 1 << 0;
const UID: u32 = 1 << 1;
const GID: u32 = 1 << 2;
const SIZE: u32 = 1 << 3;
const ATIME: u32 = 1 << 4;
const MTIME: u32 = 1 << 5;
const ATIME_NOW: u32 = 1 << 7;
const MTIME_NOW: u32 = 1 << 8;
const CTIME: u32 = 1 << 10;
const KILL_SUIDGID: u32 = 1 << 11;

/// What attributes are to become; `None` leaves one as it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AttributeChange {
    /// Permission bits.
    pub mode: Option<u32>,
    /// Owner.
    pub uid: Option<u32>,
    /// Group.
    pub gid: Option<u32>,
    /// Size in bytes.
    pub size: Option<u64>,
    /// Access time.
    pub accessed: Option<TimeToSet>,
    /// Modification time.
    pub modified: Option<TimeToSet>,
    /// Change time.
    pub changed: Option<Timestamp>,
    /// With the size: the caller may not keep setuid and setgid.
    pub kills_privileges: bool,
}

/// A time in a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeToSet {
    /// The present.
    Now,
    /// This time.
    At(Timestamp),
}

impl AttributeChange {
    /// Decodes `struct fuse_setattr_in`.
    pub fn read(fields: &mut Fields<'_>) -> Result<Self, Malformed> {
        let valid = fields.u32()?;
        // Padding and a file handle, which this filesystem does not use.
        fields.skip(4 + 8)?;
        let size = fields.u64()?;
        // The owner of a lock.
        fields.skip(8)?;
        let seconds = [fields.u64()?, fields.u64()?, fields.u64()?];
        let nanoseconds = [fields.u32()?, fields.u32()?, fields.u32()?];
        let mode = fields.u32()?;
        fields.skip(4)?;
        let (uid, gid) = (fields.u32()?, fields.u32()?);
        let wants = |bit: u32| valid & bit != 0;
        let time = |index: usize| Timestamp {
            seconds: seconds[index].cast_signed(),
            nanoseconds: nanoseconds[index].min(999_999_999),
        };
        let to_set = |bit, now, index| match (wants(bit), wants(now)) {
            (false, _) => None,
            (true, true) => Some(TimeToSet::Now),
            (true, false) => Some(TimeToSet::At(time(index))),
        };
        Ok(Self {
            mode: wants(MODE).then_some(mode),
            uid: wants(UID).then_some(uid),
            gid: wants(GID).then_some(gid),
            size: wants(SIZE).then_some(size),
            accessed: to_set(ATIME, ATIME_NOW, 0),
            modified: to_set(MTIME, MTIME_NOW, 1),
            changed: wants(CTIME).then(|| time(2)),
            kills_privileges: wants(KILL_SUIDGID),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::bytes::Structure;
    use super::*;

    fn sent(valid: u32) -> AttributeChange {
        let mut request = Structure::default();
        request.u32(valid).zeros(12).u64(5000).zeros(8);
        request.u64((-2i64).cast_unsigned()).u64(3).u64(4);
        request.u32(700_000_000).u32(6).u32(7).u32(0o100_640).zeros(4).u32(10).u32(20).zeros(4);
        assert_eq!(request.len(), 88);
        AttributeChange::read(&mut Fields::new(request.as_slice())).unwrap()
    }

    #[test]
    fn the_mask_says_what_counts() {
        assert_eq!(sent(0), AttributeChange::default());
        let change = sent(MODE | GID | SIZE | KILL_SUIDGID);
        assert_eq!((change.mode, change.uid, change.gid), (Some(0o100_640), None, Some(20)));
        assert_eq!((change.size, change.kills_privileges), (Some(5000), true));
    }

    #[test]
    fn times_before_1970_keep_their_nanoseconds() {
        let change = sent(ATIME | MTIME | MTIME_NOW | CTIME);
        let before = Timestamp { seconds: -2, nanoseconds: 700_000_000 };
        assert_eq!(change.accessed, Some(TimeToSet::At(before)));
        assert_eq!(change.modified, Some(TimeToSet::Now));
        assert_eq!(change.changed, Some(Timestamp { seconds: 4, nanoseconds: 7 }));
    }
}
