//! Bytes of a superblock.

use uuid::Uuid;

use super::{FORMAT_VERSION, LABEL_BYTES, SUPERBLOCK_MAGIC, Superblock};
use crate::checksum;
use crate::codec::{Put, Reader};
use crate::error::{FormatError, FormatErrorKind};
use crate::features::{CompatFeatures, IncompatFeatures, ReadOnlyCompatFeatures};
use crate::geometry::{BLOCK_SIZE, BlockAddress, Geometry, NODE_BLOCKS, NODE_SIZE, ROOT_INODE};
use crate::node::{MAX_LEVEL, NodePointer};

/// The name of the record in errors.
const RECORD: &str = "superblock";
/// The bit of the state byte that says that the volume was unmounted in order.
const STATE_CLEAN: u8 = 1;
/// Reserved bytes behind the state byte.
const STATE_PADDING_BYTES: usize = 6;

/// Where the fields that can be wrong begin.
mod offset {
    pub(super) const FORMAT_VERSION: usize = 12;
    pub(super) const OWN_ADDRESS: usize = 32;
    pub(super) const INCOMPAT: usize = 64;
    pub(super) const GEOMETRY: usize = 72;
    pub(super) const ROOT: usize = 128;
    pub(super) const ROOT_LEVEL: usize = 208;
    pub(super) const LOG_TAIL: usize = 184;
    pub(super) const NEXT_INODE: usize = 192;
    pub(super) const LABEL: usize = 232;
}

impl Superblock {
    /// Whether `block` begins as a superblock does, intact or not.
    pub fn sniff(block: &[u8]) -> bool {
        block.starts_with(&SUPERBLOCK_MAGIC)
    }

    /// The [`BLOCK_SIZE`] bytes of this superblock.
    ///
    /// # Errors
    /// When the decoder would refuse it.
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        self.check()?;
        let mut out = Vec::with_capacity(BLOCK_SIZE);
        self.write_identity(&mut out);
        write_geometry(&self.geometry, &mut out);
        self.write_state(&mut out);
        out.put(self.label.as_bytes());
        out.resize(BLOCK_SIZE, 0);
        checksum::seal(&mut out);
        Ok(out)
    }

    fn write_identity(&self, out: &mut Vec<u8>) {
        out.put(&SUPERBLOCK_MAGIC);
        out.put_u32(0);
        out.put_u32(self.format_version);
        out.put(self.volume_id.as_bytes());
        out.put_u64(self.own_address);
        out.put_u64(self.sequence);
        out.put_u64(self.compat.bits());
        out.put_u64(self.read_only_compat.bits());
        out.put_u64(self.incompat.bits());
    }

    fn write_state(&self, out: &mut Vec<u8>) {
        self.root.write(out);
        out.put_u32(self.log_previous_checksum);
        out.put_u64(self.node_count);
        out.put_u64(self.inode_count);
        out.put_u64(self.used_blocks);
        out.put_u64(self.unified_through);
        out.put_u64(self.log_tail);
        out.put_u64(self.next_inode);
        out.put_u64(self.created_at_ns);
        out.put_u8(self.root_level);
        out.put_u8(if self.clean { STATE_CLEAN } else { 0 });
        out.put(&[0; STATE_PADDING_BYTES]);
        out.put(&self.hash_key);
    }

    /// Decodes the superblock that lies at `address`.
    ///
    /// # Errors
    /// [`FormatErrorKind::BadMagic`] or [`FormatErrorKind::BadChecksum`] when this is no intact
    /// superblock, [`FormatErrorKind::Unsupported`] when newer code made the volume,
    /// [`FormatErrorKind::Misplaced`] when the copy belongs elsewhere,
    /// [`FormatErrorKind::BadGeometry`] and [`FormatErrorKind::BadField`] when its numbers cannot be.
    pub fn decode(block: &[u8], address: BlockAddress) -> Result<Self, FormatError> {
        checksum::verify(RECORD, block, BLOCK_SIZE, SUPERBLOCK_MAGIC)?;
        let mut reader = Reader::new(RECORD, block);
        reader.take(SUPERBLOCK_MAGIC.len() + 4)?;
        let superblock = Self::read(&mut reader)?;
        if superblock.own_address != address {
            let detail = format!("it belongs to block {}", superblock.own_address);
            return Err(error(
                FormatErrorKind::Misplaced,
                offset::OWN_ADDRESS,
                detail,
            ));
        }
        superblock.check()?;
        if !superblock.has_unknown_features() {
            reader.zeros(reader.remaining())?;
        }
        Ok(superblock)
    }

    /// Reads the fields behind the checksum; they are on disk in the order of the literal.
    fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        Ok(Self {
            format_version: supported_version(reader.u32()?)?,
            volume_id: Uuid::from_bytes(reader.array()?),
            own_address: reader.u64()?,
            sequence: reader.u64()?,
            compat: CompatFeatures::from_bits_retain(reader.u64()?),
            read_only_compat: ReadOnlyCompatFeatures::from_bits_retain(reader.u64()?),
            incompat: supported_incompat(reader.u64()?)?,
            geometry: read_geometry(reader)?,
            root: NodePointer::read(reader)?,
            log_previous_checksum: reader.u32()?,
            node_count: reader.u64()?,
            inode_count: reader.u64()?,
            used_blocks: reader.u64()?,
            unified_through: reader.u64()?,
            log_tail: reader.u64()?,
            next_inode: reader.u64()?,
            created_at_ns: reader.u64()?,
            root_level: reader.u8()?,
            clean: read_state(reader)?,
            hash_key: reader.array()?,
            label: read_label(reader)?,
        })
    }

    /// Checks what both directions demand.
    fn check(&self) -> Result<(), FormatError> {
        supported_version(self.format_version)?;
        supported_incompat(self.incompat.bits())?;
        check_geometry(&self.geometry)?;
        if !self
            .geometry
            .superblock_addresses(self.sequence)
            .contains(&self.own_address)
        {
            let detail = format!(
                "sequence {} cannot lie at {}",
                self.sequence, self.own_address
            );
            return Err(error(
                FormatErrorKind::Misplaced,
                offset::OWN_ADDRESS,
                detail,
            ));
        }
        self.check_root()?;
        if self.log_tail >= self.geometry.log_blocks {
            return Err(bad_field(
                offset::LOG_TAIL,
                "the log's tail is outside the ring",
            ));
        }
        if self.next_inode <= ROOT_INODE {
            return Err(bad_field(
                offset::NEXT_INODE,
                "the next inode would be the root",
            ));
        }
        check_label(&self.label)
    }

    fn check_root(&self) -> Result<(), FormatError> {
        let address = self.root.address;
        let aligned = address.is_multiple_of(NODE_BLOCKS);
        if !aligned || !self.geometry.holds_data(address, NODE_BLOCKS) {
            return Err(bad_field(
                offset::ROOT,
                format!("no root can lie at block {address}"),
            ));
        }
        if self.root.birth > self.unified_through {
            return Err(bad_field(
                offset::ROOT + 8,
                "the root is newer than the last unify",
            ));
        }
        if self.root_level > MAX_LEVEL {
            let detail = format!("level {} is above {MAX_LEVEL}", self.root_level);
            return Err(bad_field(offset::ROOT_LEVEL, detail));
        }
        Ok(())
    }
}

fn error(kind: FormatErrorKind, offset: usize, detail: impl Into<String>) -> FormatError {
    FormatError::new(kind, RECORD, offset, detail)
}

fn bad_field(offset: usize, detail: impl Into<String>) -> FormatError {
    FormatError::bad_field(RECORD, offset, detail)
}

/// The version, if this code knows it.
fn supported_version(version: u32) -> Result<u32, FormatError> {
    match version {
        0 => Err(bad_field(
            offset::FORMAT_VERSION,
            "there is no format version 0",
        )),
        1..=FORMAT_VERSION => Ok(version),
        _ => {
            let detail = format!(
                "format version {version} is newer than {FORMAT_VERSION}, the newest known here; \
                 use a newer braidfs"
            );
            Err(error(
                FormatErrorKind::Unsupported,
                offset::FORMAT_VERSION,
                detail,
            ))
        }
    }
}

/// The features, if this code knows them all.
fn supported_incompat(bits: u64) -> Result<IncompatFeatures, FormatError> {
    IncompatFeatures::from_bits(bits).ok_or_else(|| {
        let unknown = bits & !IncompatFeatures::all().bits();
        let detail =
            format!("the volume needs the unknown features {unknown:#x}; use a newer braidfs");
        error(FormatErrorKind::Unsupported, offset::INCOMPAT, detail)
    })
}

fn write_geometry(geometry: &Geometry, out: &mut Vec<u8>) {
    out.put_u64(geometry.block_count);
    out.put_u64(geometry.group_count);
    out.put_u64(geometry.bitmap_start);
    out.put_u64(geometry.log_start);
    out.put_u64(geometry.log_blocks);
    out.put_u64(geometry.data_start);
    out.put_u32(BLOCK_SIZE as u32);
    out.put_u32(NODE_SIZE as u32);
}

fn read_geometry(reader: &mut Reader<'_>) -> Result<Geometry, FormatError> {
    let geometry = Geometry {
        block_count: reader.u64()?,
        group_count: reader.u64()?,
        bitmap_start: reader.u64()?,
        log_start: reader.u64()?,
        log_blocks: reader.u64()?,
        data_start: reader.u64()?,
    };
    let sizes = (reader.u32()?, reader.u32()?);
    if sizes != (BLOCK_SIZE as u32, NODE_SIZE as u32) {
        let detail = format!("blocks of {} bytes and nodes of {} bytes", sizes.0, sizes.1);
        return Err(error(
            FormatErrorKind::BadGeometry,
            offset::GEOMETRY + 48,
            detail,
        ));
    }
    Ok(geometry)
}

/// Checks that the regions are those that follow from the sizes.
fn check_geometry(geometry: &Geometry) -> Result<(), FormatError> {
    let due = Geometry::with_log(geometry.block_count, geometry.log_blocks)
        .map_err(|cause| error(cause.kind, offset::GEOMETRY, cause.detail))?;
    if due != *geometry {
        let detail = "the regions are not those of a volume of this size";
        return Err(error(
            FormatErrorKind::BadGeometry,
            offset::GEOMETRY,
            detail,
        ));
    }
    Ok(())
}

fn read_state(reader: &mut Reader<'_>) -> Result<bool, FormatError> {
    let start = reader.offset();
    let state = reader.u8()?;
    reader.zeros(STATE_PADDING_BYTES)?;
    match state {
        0 => Ok(false),
        STATE_CLEAN => Ok(true),
        _ => Err(reader.bad_field_at(start, format!("the state {state} is unknown"))),
    }
}

fn read_label(reader: &mut Reader<'_>) -> Result<String, FormatError> {
    let field: [u8; LABEL_BYTES] = reader.array()?;
    let length = field
        .iter()
        .rposition(|byte| *byte != 0)
        .map_or(0, |last| last + 1);
    let label = field.get(..length).unwrap_or_default();
    std::str::from_utf8(label)
        .map(str::to_owned)
        .map_err(|_| bad_field(offset::LABEL, "the label is not UTF-8"))
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
