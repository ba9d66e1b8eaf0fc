//! Problems of passes 9 and 10: the account of space, and the data.

use super::problem_table;

problem_table! {
    NO_BITMAP = "B0901", Error, "neither bitmap of a group is intact",
    message: "neither of the two bitmaps of group {count}, at block {block} and the one behind it, \
              is in force ({detail})",
    repair: "write the bitmap anew from what is in use",
    PREEN;

    BITMAP_DAMAGED = "B0902", Notice, "a bitmap block is damaged or torn",
    message: "the bitmap at block {block} is not intact ({detail}); the other one of its group is \
              in force, and the next unify writes it anew",
    repair: "write the bitmap anew",
    PREEN | BY_UNIFY;

    BLOCKS_MARKED_FREE = "B0903", Error, "blocks that are in use are marked as free",
    message: "{count} blocks from block {block} are in use and the bitmap says that they are free",
    repair: "mark them as in use",
    PREEN;

    BLOCKS_MARKED_USED = "B0904", Error, "blocks that nothing uses are marked as in use",
    message: "{count} blocks from block {block} are not used by anything and the bitmap says that \
              they are",
    repair: "mark them as free",
    PREEN;

    USED_BLOCKS = "B0905", Error, "the superblock's count of used blocks is wrong",
    message: "{found} blocks are in use, the superblock says {expected}",
    repair: "write the right number",
    PREEN;

    INODE_COUNT = "B0906", Error, "the superblock's count of inodes is wrong",
    message: "the tree has {found} inodes, the superblock says {expected}",
    repair: "write the right number",
    PREEN;

    NEXT_INODE = "B0907", Error, "the next inode number is not above those in use",
    message: "the next inode number is {found}, and inode {inode} exists",
    repair: "set it above all that are in use",
    PREEN;

    DATA_CHECKSUM = "B1001", Error, "a data block does not fit its checksum",
    message: "inode {inode}, logical block {offset}: the data at block {block} does not fit its \
              checksum ({detail})",
    repair: "nothing; restore the file from a copy (reading the block gives an error until then)",
    NEEDS_COPY;

    DATA_UNREADABLE = "B1002", Error, "a data block cannot be read",
    message: "inode {inode}, logical block {offset}: the data at block {block} cannot be read \
              ({detail})",
    repair: "nothing; restore the file from a copy (reading the block gives an error until then)",
    NEEDS_COPY;
}
