//! What a superblock must be; both directions ask.

use super::{FORMAT_VERSION, LABEL_BYTES, Superblock};
use crate::error::{FormatError, FormatErrorKind};
use crate::features::IncompatFeatures;
use crate::geometry::{Geometry, NODE_BLOCKS, ROOT_INODE};
use crate::node::MAX_LEVEL;

/// The name of the record in errors.
pub(super) const RECORD: &str = "superblock";

/// Where the fields that can be wrong begin.
pub(super) mod offset {
    pub(in super::super) const FORMAT_VERSION: usize = 12;
    pub(in super::super) const OWN_ADDRESS: usize = 32;
    pub(in super::super) const INCOMPAT: usize = 64;
    pub(in super::super) const GEOMETRY: usize = 72;
    pub(in super::super) const ROOT: usize = 128;
    pub(in super::super) const ROOT_LEVEL: usize = 208;
    pub(in super::super) const LOG_TAIL: usize = 184;
    pub(in super::super) const NEXT_INODE: usize = 192;
    pub(in super::super) const LABEL: usize = 232;
}

impl Superblock {
    /// Checks what both directions demand.
    pub(super) fn check(&self) -> Result<(), FormatError> {
        supported_version(self.format_version)?;
        supported_incompat(self.incompat.bits())?;
        check_geometry(&self.geometry)?;
        if !self.geometry.superblock_addresses(self.sequence).contains(&self.own_address) {
            let detail = format!("sequence {} cannot lie at {}", self.sequence, self.own_address);
            return Err(error(FormatErrorKind::Misplaced, offset::OWN_ADDRESS, detail));
        }
        self.check_root()?;
        if self.log_tail >= self.geometry.log_blocks {
            return Err(bad_field(offset::LOG_TAIL, "the log's tail is outside the ring"));
        }
        if self.next_inode <= ROOT_INODE {
            return Err(bad_field(offset::NEXT_INODE, "the next inode would be the root"));
        }
        check_label(&self.label)
    }

    fn check_root(&self) -> Result<(), FormatError> {
        let address = self.root.address;
        let aligned = address.is_multiple_of(NODE_BLOCKS);
        if !aligned || !self.geometry.holds_data(address, NODE_BLOCKS) {
            return Err(bad_field(offset::ROOT, format!("no root can lie at block {address}")));
        }
        if self.root.birth > self.unified_through {
            return Err(bad_field(offset::ROOT + 8, "the root is newer than the last unify"));
        }
        if self.root_level > MAX_LEVEL {
            let detail = format!("level {} is above {MAX_LEVEL}", self.root_level);
            return Err(bad_field(offset::ROOT_LEVEL, detail));
        }
        Ok(())
    }
}

pub(super) fn error(
    kind: FormatErrorKind,
    offset: usize,
    detail: impl Into<String>,
) -> FormatError {
    FormatError::new(kind, RECORD, offset, detail)
}

pub(super) fn bad_field(offset: usize, detail: impl Into<String>) -> FormatError {
    FormatError::bad_field(RECORD, offset, detail)
}

/// The version, if this code knows it.
pub(super) fn supported_version(version: u32) -> Result<u32, FormatError> {
    match version {
        0 => Err(bad_field(offset::FORMAT_VERSION, "there is no format version 0")),
        1..=FORMAT_VERSION => Ok(version),
        _ => {
            let detail = format!(
                "format version {version} is newer than {FORMAT_VERSION}, the newest known here; \
                 use a newer braidfs"
            );
            Err(error(FormatErrorKind::Unsupported, offset::FORMAT_VERSION, detail))
        }
    }
}

/// The features, if this code knows them all.
pub(super) fn supported_incompat(bits: u64) -> Result<IncompatFeatures, FormatError> {
    IncompatFeatures::from_bits(bits).ok_or_else(|| {
        let unknown = bits & !IncompatFeatures::all().bits();
        let detail =
            format!("the volume needs the unknown features {unknown:#x}; use a newer braidfs");
        error(FormatErrorKind::Unsupported, offset::INCOMPAT, detail)
    })
}

/// Checks that the regions are those that follow from the sizes.
fn check_geometry(geometry: &Geometry) -> Result<(), FormatError> {
    let due = Geometry::with_log(geometry.block_count, geometry.log_blocks)
        .map_err(|cause| error(cause.kind, offset::GEOMETRY, cause.detail))?;
    if due != *geometry {
        let detail = "the regions are not those of a volume of this size";
        return Err(error(FormatErrorKind::BadGeometry, offset::GEOMETRY, detail));
    }
    Ok(())
}

fn check_label(label: &str) -> Result<(), FormatError> {
    if label.len() > LABEL_BYTES {
        let detail = format!("the label has {} bytes; {LABEL_BYTES} fit", label.len());
        return Err(error(FormatErrorKind::TooLarge, offset::LABEL, detail));
    }
    if label.contains('\0') {
        return Err(bad_field(offset::LABEL, "the label holds a NUL"));
    }
    Ok(())
}
