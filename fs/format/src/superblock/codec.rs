//! Bytes of a superblock.

use uuid::Uuid;

use super::check::{RECORD, bad_field, error, offset, supported_incompat, supported_version};
use super::{LABEL_BYTES, SUPERBLOCK_MAGIC, Superblock};
use crate::checksum;
use crate::codec::{Put, Reader};
use crate::error::{FormatError, FormatErrorKind};
use crate::features::{CompatFeatures, ReadOnlyCompatFeatures};
use crate::geometry::{BLOCK_SIZE, BlockAddress, Geometry, NODE_SIZE};
use crate::node::NodePointer;

/// The bit of the state byte that says that the volume was unmounted in order.
const STATE_CLEAN: u8 = 1;
/// Reserved bytes behind the state byte.
const STATE_PADDING_BYTES: usize = 6;

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
            return Err(error(FormatErrorKind::Misplaced, offset::OWN_ADDRESS, detail));
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
        return Err(error(FormatErrorKind::BadGeometry, offset::GEOMETRY + 48, detail));
    }
    Ok(geometry)
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
    let length = field.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let label = field.get(..length).unwrap_or_default();
    std::str::from_utf8(label)
        .map(str::to_owned)
        .map_err(|_| bad_field(offset::LABEL, "the label is not UTF-8"))
}
