//! Bytes of a node.

use uuid::Uuid;

use super::check::{RECORD, check_interior_entry, check_leaf_entry, check_shape};
use super::{NODE_HEADER_BYTES, NODE_MAGIC, Node, NodeEntries, NodePointer};
use crate::checksum;
use crate::codec::{Put, Reader};
use crate::error::{FormatError, FormatErrorKind};
use crate::geometry::NODE_SIZE;
use crate::item::Item;
use crate::key::Key;

impl NodePointer {
    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, FormatError> {
        Ok(Self { address: reader.u64()?, birth: reader.u64()?, checksum: reader.u32()? })
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.put_u64(self.address);
        out.put_u64(self.birth);
        out.put_u32(self.checksum);
    }
}

impl NodeEntries {
    /// The number of entries.
    pub fn len(&self) -> usize {
        match self {
            Self::Leaf(entries) => entries.len(),
            Self::Interior(entries) => entries.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What the header says about the entries.
struct Counts {
    entries: usize,
    bytes: usize,
}

impl Node {
    /// The [`NODE_SIZE`] bytes of this node and the checksum to point to it with.
    ///
    /// # Errors
    /// [`FormatErrorKind::TooLarge`] when the entries take more than [`Node::CAPACITY_BYTES`] or an
    /// inline extent is too long for the tree, [`FormatErrorKind::BadField`] when the decoder would
    /// refuse the node for another reason.
    pub fn encode(&self) -> Result<(Vec<u8>, u32), FormatError> {
        check_shape(self)?;
        let mut entries = Vec::with_capacity(Self::CAPACITY_BYTES);
        match &self.entries {
            NodeEntries::Leaf(leaf) => encode_leaf(leaf, &mut entries)?,
            NodeEntries::Interior(interior) => self.encode_interior(interior, &mut entries)?,
        }
        let mut out = Vec::with_capacity(NODE_SIZE);
        self.encode_header(entries.len(), &mut out);
        out.put(&entries);
        out.resize(NODE_SIZE, 0);
        let checksum = checksum::seal(&mut out);
        Ok((out, checksum))
    }

    fn encode_header(&self, entry_bytes: usize, out: &mut Vec<u8>) {
        out.put(&NODE_MAGIC);
        out.put_u32(0);
        out.put_u8(self.level);
        out.put_u8(0);
        // Both fit: entries that fit a node are fewer than its bytes.
        out.put_u16(self.entries.len() as u16);
        out.put(self.volume_id.as_bytes());
        out.put_u64(self.address);
        out.put_u64(self.birth);
        out.put_u32(entry_bytes as u32);
        out.resize(NODE_HEADER_BYTES, 0);
    }

    fn encode_interior(
        &self,
        interior: &[(Key, NodePointer)],
        out: &mut Vec<u8>,
    ) -> Result<(), FormatError> {
        let mut previous = None;
        for (key, child) in interior {
            check_interior_entry(previous, key, child, self.birth)?;
            check_room(out, Self::INTERIOR_ENTRY_BYTES)?;
            key.encode_into(out);
            child.write(out);
            previous = Some(key);
        }
        Ok(())
    }

    /// Decodes the node that `pointer` points to at `level` of the tree of `volume_id`.
    ///
    /// # Errors
    /// [`FormatErrorKind::BadMagic`] or [`FormatErrorKind::BadChecksum`] when this is no intact
    /// node, [`FormatErrorKind::Misplaced`] when it is an intact node, but another than the pointer
    /// means, and others when an entry is not what it must be.
    pub fn decode(
        bytes: &[u8],
        volume_id: Uuid,
        pointer: &NodePointer,
        level: u8,
    ) -> Result<Self, FormatError> {
        let checksum = checksum::verify(RECORD, bytes, NODE_SIZE, NODE_MAGIC)?;
        let mut reader = Reader::new(RECORD, bytes);
        let (mut node, counts) = Self::decode_header(&mut reader)?;
        node.check_identity(checksum, volume_id, pointer, level)?;
        let mut area = reader.section(RECORD, counts.bytes)?;
        reader.zeros(reader.remaining())?;
        node.entries = if node.level == 0 {
            decode_leaf(&mut area, counts.entries)?
        } else {
            node.decode_interior(&mut area, counts.entries)?
        };
        area.finish()?;
        check_shape(&node)?;
        Ok(node)
    }

    /// Decodes the header into a node that has no entries yet.
    fn decode_header(reader: &mut Reader<'_>) -> Result<(Self, Counts), FormatError> {
        reader.take(NODE_MAGIC.len() + 4)?;
        let level = reader.u8()?;
        reader.zeros(1)?;
        let entries = usize::from(reader.u16()?);
        let node = Self {
            level,
            volume_id: Uuid::from_bytes(reader.array()?),
            address: reader.u64()?,
            birth: reader.u64()?,
            entries: NodeEntries::Leaf(Vec::new()),
        };
        let bytes = reader.u32()? as usize;
        reader.zeros(NODE_HEADER_BYTES - reader.offset())?;
        Ok((node, Counts { entries, bytes }))
    }

    /// Checks that this is the node that was asked for.
    fn check_identity(
        &self,
        checksum: u32,
        volume_id: Uuid,
        pointer: &NodePointer,
        level: u8,
    ) -> Result<(), FormatError> {
        let misplaced = |offset, detail: String| {
            Err(FormatError::new(FormatErrorKind::Misplaced, RECORD, offset, detail))
        };
        if self.volume_id != volume_id {
            return misplaced(16, format!("it belongs to the volume {}", self.volume_id));
        }
        if self.address != pointer.address {
            return misplaced(32, format!("it belongs to block {}", self.address));
        }
        if self.birth != pointer.birth {
            return misplaced(40, format!("it was born in delta {}", self.birth));
        }
        if checksum != pointer.checksum {
            return misplaced(8, "it is not the version that its parent points to".into());
        }
        if self.level != level {
            return misplaced(12, format!("it belongs to level {}, not {level}", self.level));
        }
        Ok(())
    }

    fn decode_interior(
        &self,
        area: &mut Reader<'_>,
        count: usize,
    ) -> Result<NodeEntries, FormatError> {
        let mut entries: Vec<(Key, NodePointer)> =
            Vec::with_capacity(count.min(area.remaining() / Self::INTERIOR_ENTRY_BYTES));
        for _ in 0..count {
            let start = area.offset();
            let key = Key::read(area)?;
            let child = NodePointer::read(area)?;
            check_interior_entry(entries.last().map(|(key, _)| key), &key, &child, self.birth)
                .map_err(|error| error.behind(start))?;
            entries.push((key, child));
        }
        Ok(NodeEntries::Interior(entries))
    }
}

fn encode_leaf(leaf: &[(Key, Item)], out: &mut Vec<u8>) -> Result<(), FormatError> {
    let mut previous = None;
    for entry @ (key, item) in leaf {
        check_leaf_entry(previous, key, item)?;
        check_room(out, Node::leaf_entry_bytes(item))?;
        key.encode_into(out);
        // What fits a node has a length that fits.
        out.put_u16(item.encoded_bytes() as u16);
        item.encode_into(out)?;
        previous = Some(entry);
    }
    Ok(())
}

fn decode_leaf(area: &mut Reader<'_>, count: usize) -> Result<NodeEntries, FormatError> {
    let mut entries: Vec<(Key, Item)> =
        Vec::with_capacity(count.min(area.remaining() / Node::LEAF_ENTRY_HEADER_BYTES));
    for _ in 0..count {
        let start = area.offset();
        let key = Key::read(area)?;
        let length = usize::from(area.u16()?);
        let item = Item::read(key.kind, area, length)?;
        check_leaf_entry(entries.last(), &key, &item).map_err(|error| error.behind(start))?;
        entries.push((key, item));
    }
    Ok(NodeEntries::Leaf(entries))
}

/// Checks that `more` bytes of entries fit behind those of `entries`.
fn check_room(entries: &[u8], more: usize) -> Result<(), FormatError> {
    if entries.len() + more <= Node::CAPACITY_BYTES {
        return Ok(());
    }
    let detail = format!("the entries take more than {} bytes", Node::CAPACITY_BYTES);
    let offset = NODE_HEADER_BYTES + entries.len();
    Err(FormatError::new(FormatErrorKind::TooLarge, RECORD, offset, detail))
}
