//! What the entries of a node must be, to themselves and to each other; both directions ask.

use super::{MAX_LEVEL, Node, NodeEntries, NodePointer};
use crate::error::{FormatError, FormatErrorKind};
use crate::geometry::{DeltaNumber, MAX_VOLUME_BLOCKS, NODE_BLOCKS};
use crate::item::{ExtentContent, Item, MAX_TREE_INLINE_BYTES, SharedRange};
use crate::key::{Key, KeyKind};

/// The name of the record in errors.
pub(super) const RECORD: &str = "tree node";

fn bad(detail: impl Into<String>) -> Result<(), FormatError> {
    Err(FormatError::bad_field(RECORD, 0, detail))
}

/// Checks that a node of this level can have these entries.
pub(super) fn check_shape(node: &Node) -> Result<(), FormatError> {
    check_address(node.address)?;
    match &node.entries {
        _ if node.level > MAX_LEVEL => bad(format!("level {} is above {MAX_LEVEL}", node.level)),
        NodeEntries::Leaf(_) if node.level != 0 => bad("leaf entries above level 0"),
        NodeEntries::Interior(_) if node.level == 0 => bad("pointers at level 0"),
        NodeEntries::Interior(entries) if entries.is_empty() => bad("an interior node is empty"),
        _ => Ok(()),
    }
}

/// Checks that a node can lie at `address`.
fn check_address(address: u64) -> Result<(), FormatError> {
    let fits = address.checked_add(NODE_BLOCKS).is_some_and(|end| end <= MAX_VOLUME_BLOCKS);
    if address == 0 || !fits || !address.is_multiple_of(NODE_BLOCKS) {
        return bad(format!("no node can lie at block {address}"));
    }
    Ok(())
}

/// Checks an entry of a leaf, given the one before it.
pub(super) fn check_leaf_entry(
    previous: Option<&(Key, Item)>,
    key: &Key,
    item: &Item,
) -> Result<(), FormatError> {
    key.check()?;
    if item.kind() != key.kind {
        return bad(format!("{key:?} holds an item of kind {:?}", item.kind()));
    }
    check_order(previous.map(|(key, _)| key), key)?;
    check_shared(previous, key, item)?;
    check_extent(previous, key, item)
}

/// Checks an entry of an interior node born in `birth`, given the key of the one before it.
pub(super) fn check_interior_entry(
    previous: Option<&Key>,
    key: &Key,
    child: &NodePointer,
    birth: DeltaNumber,
) -> Result<(), FormatError> {
    check_order(previous, key)?;
    check_address(child.address)?;
    if child.birth > birth {
        return bad(format!("a child of delta {} below a node of delta {birth}", child.birth));
    }
    Ok(())
}

fn check_order(previous: Option<&Key>, key: &Key) -> Result<(), FormatError> {
    match previous {
        Some(previous) if previous >= key => bad(format!("{key:?} follows {previous:?}")),
        _ => Ok(()),
    }
}

/// Checks a shared range against its key and the range before it.
fn check_shared(previous: Option<&(Key, Item)>, key: &Key, item: &Item) -> Result<(), FormatError> {
    let Item::Shared(range) = item else {
        return Ok(());
    };
    let end = |start: u64, range: &SharedRange| start.checked_add(u64::from(range.length));
    if end(key.offset, range).is_none_or(|end| end > MAX_VOLUME_BLOCKS) {
        return bad("a shared range is longer than the largest volume");
    }
    match previous {
        Some((before, Item::Shared(range)))
            if end(before.offset, range).is_none_or(|end| end > key.offset) =>
        {
            bad(format!("the shared range at block {} overlaps the one before it", key.offset))
        }
        _ => Ok(()),
    }
}

/// Checks an extent against its key, the extent before it and the limits of the tree.
fn check_extent(previous: Option<&(Key, Item)>, key: &Key, item: &Item) -> Result<(), FormatError> {
    let Item::Extent(extent) = item else {
        return Ok(());
    };
    if extent.end_from(key.offset).is_none() {
        return bad("an extent is longer than the largest file");
    }
    if let ExtentContent::Inline { bytes } = &extent.content
        && bytes.len() > MAX_TREE_INLINE_BYTES
    {
        let detail = format!("{} inline bytes are too many for the tree", bytes.len());
        return Err(FormatError::new(FormatErrorKind::TooLarge, RECORD, 0, detail));
    }
    match previous {
        Some((before, Item::Extent(extent)))
            if before.inode == key.inode
                && before.kind == KeyKind::Extent
                && extent.end_from(before.offset).is_none_or(|end| end > key.offset) =>
        {
            bad(format!("the extent at block {} overlaps the one before it", key.offset))
        }
        _ => Ok(()),
    }
}
