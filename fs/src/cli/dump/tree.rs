//! The tree, node by node.

use std::io::{self, Write};

use braidfs_format::{Item, Key, NODE_BLOCKS, Node, NodeEntries, NodePointer, Superblock};
use serde_json::{Value, json};

use super::item::{compact, item_json, key_json, key_text};
use crate::cli::error::{CliError, CliResult};
use crate::cli::output::{done, json as print_json};
use crate::cli::raw::RawImage;

/// A node and its place in the tree.
struct Visit {
    pointer: NodePointer,
    level: u8,
}

/// Dumps the tree. A node that is damaged is told and left out; the others are still shown.
pub fn dump(image: &RawImage, with_items: bool, json: bool) -> CliResult {
    let superblock = image.superblock()?;
    let mut values = Vec::new();
    let mut out = io::stdout().lock();
    let walked = walk(image, &superblock, &mut |visit, node| {
        if json {
            values.push(to_json(visit, &node, with_items));
            return true;
        }
        write(&mut out, &superblock, visit, &node, with_items).is_ok()
    });
    walked.and_then(|()| if json { print_json(&values) } else { done(out.flush()) })
}

/// Reads the node that `pointer` points to.
pub fn read_node(
    image: &RawImage,
    superblock: &Superblock,
    pointer: &NodePointer,
    level: u8,
) -> CliResult<Node> {
    let bytes = image.read(pointer.address, NODE_BLOCKS)?;
    Node::decode(&bytes, superblock.volume_id, pointer, level)
        .map_err(|error| CliError::new(format!("the node at block {}: {error}", pointer.address)))
}

/// Visits all nodes, each before those below it, until `visit` answers false.
fn walk(
    image: &RawImage,
    superblock: &Superblock,
    visit: &mut dyn FnMut(&Visit, Result<&Node, &CliError>) -> bool,
) -> CliResult {
    let mut waiting = vec![Visit { pointer: superblock.root, level: superblock.root_level }];
    while let Some(next) = waiting.pop() {
        let node = read_node(image, superblock, &next.pointer, next.level);
        if !visit(&next, node.as_ref()) {
            break;
        }
        if let Ok(Node { entries: NodeEntries::Interior(children), .. }) = &node {
            let level = next.level.saturating_sub(1);
            let below = children.iter().map(|(_, pointer)| Visit { pointer: *pointer, level });
            // The first is to be visited first.
            waiting.extend(below.rev());
        }
    }
    Ok(())
}

fn to_json(visit: &Visit, node: &Result<&Node, &CliError>, with_items: bool) -> Value {
    let Visit { pointer, level } = visit;
    let place = json!({
        "address": pointer.address,
        "birth": pointer.birth,
        "checksum": pointer.checksum,
        "level": level,
    });
    match node {
        Err(error) => json!({ "node": place, "error": error.to_string() }),
        Ok(node) => match &node.entries {
            NodeEntries::Interior(children) => {
                let children: Vec<Value> = children
                    .iter()
                    .map(|(key, child)| json!({ "key": key_json(key), "address": child.address }))
                    .collect();
                json!({ "node": place, "children": children })
            }
            NodeEntries::Leaf(items) if with_items => {
                json!({ "node": place, "items": items.iter().map(entry_json).collect::<Vec<_>>() })
            }
            NodeEntries::Leaf(items) => json!({ "node": place, "item_count": items.len() }),
        },
    }
}

fn entry_json((key, item): &(Key, Item)) -> Value {
    json!({ "key": key_json(key), "item": item_json(item) })
}

fn write(
    out: &mut impl Write,
    superblock: &Superblock,
    visit: &Visit,
    node: &Result<&Node, &CliError>,
    with_items: bool,
) -> io::Result<()> {
    let depth = usize::from(superblock.root_level.saturating_sub(visit.level));
    let indent = "  ".repeat(depth);
    let address = visit.pointer.address;
    let entries = match node {
        Err(error) => return writeln!(out, "{indent}{error}"),
        Ok(node) => &node.entries,
    };
    let (what, first) = match entries {
        NodeEntries::Leaf(items) => ("leaf", items.first().map(|(key, _)| key)),
        NodeEntries::Interior(children) => ("node", children.first().map(|(key, _)| key)),
    };
    let (count, birth) = (entries.len(), visit.pointer.birth);
    let from = first.map_or_else(String::new, |key| format!(", from {}", key_text(key)));
    writeln!(out, "{indent}{what} at block {address}: {count} entries, of delta {birth}{from}")?;
    if let (true, NodeEntries::Leaf(items)) = (with_items, entries) {
        for (key, item) in items {
            writeln!(out, "{indent}  {}: {}", key_text(key), compact(&item_json(item)))?;
        }
    }
    Ok(())
}
