//! Problems of pass 3, the tree.

use super::problem_table;

problem_table! {
    NODE_OUTSIDE = "B0301", Error, "a pointer of the tree leads out of the data area",
    message: "the tree points to a node at block {block}, where no node can be ({detail})",
    repair: "drop the pointer, then look for the lost nodes and connect what is found",
    LOSES_DATA | RECHECK;

    NODE_TWICE = "B0302", Error, "two pointers of the tree lead to the same blocks",
    message: "the tree points to a node at block {block} that overlaps with another one ({detail})",
    repair: "keep the pointer whose bounds fit the node's keys, drop the other one",
    LOSES_DATA | RECHECK;

    NODE_UNREADABLE = "B0303", Error, "a node of the tree cannot be read",
    message: "the node at block {block} cannot be read ({detail})",
    repair: "drop the pointer to it, then connect what has lost its name",
    LOSES_DATA | RECHECK;

    NODE_CHECKSUM = "B0304", Error, "a node of the tree is damaged",
    message: "the node at block {block} is damaged ({detail})",
    repair: "drop the pointer to it, then connect what has lost its name",
    LOSES_DATA | RECHECK;

    NODE_MISPLACED = "B0305", Error, "an intact node is not the one that its parent points to",
    message: "the node at block {block} is another one than its parent points to ({detail})",
    repair: "drop the pointer to it, then connect what has lost its name",
    LOSES_DATA | RECHECK;

    NODE_MALFORMED = "B0306", Error, "an intact node has an impossible structure",
    message: "the node at block {block} is intact and cannot be as it is ({detail})",
    repair: "sort its entries and drop those that cannot be",
    LOSES_DATA | RECHECK;

    ITEM_MALFORMED = "B0307", Error, "an intact leaf holds an impossible item",
    message: "the leaf at block {block} is intact and holds an item that cannot be ({detail})",
    repair: "correct the item where there is only one way, else drop it, and keep the others",
    LOSES_DATA | RECHECK;

    KEYS_OUT_OF_BOUNDS = "B0308", Error, "a node holds keys outside the bounds its parent gives it",
    message: "the node at block {block} holds keys outside of its parent's bounds ({detail})",
    repair: "insert its items anew, each at its place",
    RECHECK;

    EMPTY_NODE = "B0309", Error, "a leaf below the root is empty",
    message: "the leaf at block {block} is empty and not the root",
    repair: "drop the pointer to it",
    PREEN;

    NODE_COUNT = "B0310", Error, "the superblock gives another number of nodes",
    message: "the tree has {found} nodes, the superblock says {expected}",
    repair: "write the right number",
    PREEN;

    SHARED_COUNT_LOW = "B0311", Error, "blocks have more owners than are counted",
    message: "{count} blocks from block {block} have {expected} references beyond the first, and \
              {found} are counted: they would be freed while a file still has them",
    repair: "count them anew",
    PREEN;

    SHARED_COUNT_HIGH = "B0312", Error, "blocks have fewer owners than are counted",
    message: "{count} blocks from block {block} have {expected} references beyond the first, and \
              {found} are counted: they would never be free again",
    repair: "count them anew",
    PREEN;

    SHARED_UNEXPECTED = "B0313", Error, "shared blocks are counted, and the volume has none",
    message: "the tree counts references to block {block}, and the superblock does not have the \
              feature of shared extents",
    repair: "drop the count, or set the feature if blocks are shared",
    RECHECK;
}
