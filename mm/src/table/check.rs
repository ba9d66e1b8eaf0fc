//! Checks of what must be true of any table at any time, for tests.

use std::collections::BTreeMap;

use super::link::{Body, Node};
use super::{PageTable, SLOTS, TableCounts, Tag, span};

/// The nodes of some tables by address, with what each is charged.
pub(super) type Charges = BTreeMap<usize, usize>;

/// Checks every invariant of the table's nodes, and notes what they are charged.
pub(super) fn check_table(table: &PageTable, charges: &mut Charges) {
    let Some(root) = table.root() else {
        assert_eq!(table.counts(), TableCounts::default());
        return;
    };
    assert!(root.counts().present() > 0, "an empty root");
    let alone = root.child(0).is_some_and(|child| child.counts() == root.counts());
    assert!(!alone, "a root over its first child only");
    check_node(root, root.level(), charges);
}

/// Checks a node and all below it.
fn check_node(node: &Node, level: u8, charges: &mut Charges) {
    assert_eq!(node.level(), level);
    charges.insert(std::ptr::from_ref(node).addr(), node.charged_bytes());
    let mut sum = TableCounts::default();
    match &node.visible().body {
        Body::Zeros(word) => {
            let zeros = word.zeros().expect("a node of zeros that names a frame");
            sum = TableCounts::of_zeros(zeros, span(level));
        }
        Body::Leaf(_) => {
            assert_eq!(level, 0, "a leaf at the wrong level");
            for slot in 0..SLOTS {
                match node.entry(slot) {
                    Some(entry) => sum.add(entry.content, entry.tags),
                    None => assert!(node.tags_of(slot).is_empty(), "tags of nothing"),
                }
            }
        }
        Body::Interior(_) => {
            assert!(level > 0, "an interior node at the wrong level");
            for slot in 0..SLOTS {
                check_slot(node, slot, level, &mut sum, charges);
            }
        }
    }
    assert_eq!(&sum, node.counts(), "wrong sums at level {level}");
    assert!(sum.present() > 0, "an empty node at level {level}");
    assert_eq!(node.uniform_zeros(), None, "a node that should have collapsed at level {level}");
}

/// Checks the child in a slot, and adds up its counts.
fn check_slot(node: &Node, slot: usize, level: u8, sum: &mut TableCounts, charges: &mut Charges) {
    let Some(child) = node.child(slot) else {
        assert!(node.tags_of(slot).is_empty(), "tags of no child");
        return;
    };
    check_node(child, level - 1, charges);
    sum.replace_part(&TableCounts::default(), child.counts());
    for tag in Tag::ALL {
        assert_eq!(node.tags_of(slot).contains(tag), child.counts().tagged(tag) > 0);
    }
}
