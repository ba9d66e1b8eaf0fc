//! Problems of pass 4, inodes and extents.

use super::problem_table;

problem_table! {
    ROOT_MISSING = "B0401", Error, "there is no root directory",
    message: "inode 1, the root directory, does not exist",
    repair: "make an empty root directory, then connect everything to it",
    LOSES_DATA | RECHECK;

    ROOT_NOT_DIRECTORY = "B0402", Error, "the root is no directory",
    message: "inode 1 is no directory, and the root must be one",
    repair: "give the inode another number and make an empty root directory",
    LOSES_DATA | RECHECK;

    ITEMS_WITHOUT_INODE = "B0403", Error, "extents or attributes of an inode that does not exist",
    message: "there are extents or attributes of inode {inode}, which does not exist",
    repair: "make an inode record for extents, so that their content can be looked at; drop \
             attributes",
    LOSES_DATA | RECHECK;

    INODE_FIELD = "B0404", Error,
    "a field of an inode has a value that this type of file cannot have",
    message: "inode {inode}: {detail}",
    repair: "set the field to what the type of file allows",
    PREEN;

    BLOCK_COUNT = "B0405", Error, "an inode's block count is wrong",
    message: "inode {inode} has {found} mapped blocks, its record says {expected}",
    repair: "write the right number",
    PREEN;

    EXTENTS_OVERLAP = "B0406", Error, "two extents of a file overlap",
    message: "the extent of inode {inode} at logical block {offset} overlaps the one before it, \
              which ends at {expected}",
    repair: "keep the newer of the two where they overlap",
    LOSES_DATA | RECHECK;

    EXTENT_OUTSIDE = "B0407", Error, "an extent leads out of the data area",
    message: "the extent of inode {inode} at logical block {offset} takes {count} blocks from \
              block {block}, outside of the data area",
    repair: "drop the extent; the range becomes a hole",
    LOSES_DATA | RECHECK;

    BLOCK_TWICE = "B0408", Error, "blocks are in use twice",
    message: "{count} blocks from block {block} are in use more than once: {detail}",
    repair: "give each file a copy of its own, and keep those whose checksums fit",
    RECHECK;

    LOGGED_BLOCK_IN_TREE = "B0409", Error,
    "a logged extent uses blocks that the tree still refers to",
    message: "the log has written {count} blocks from block {block} for inode {inode}, logical \
              block {offset}, while the tree on disk still refers to them",
    repair: "replay the log, then give each file a copy of its own",
    RECHECK;

    EXTENT_BEYOND_SIZE = "B0410", Error, "a file has data beyond its size",
    message: "inode {inode} has data at logical block {offset}, beyond its size of {expected} \
              bytes",
    repair: "free the blocks beyond the size",
    LOSES_DATA;

    EXTENT_UNEXPECTED = "B0411", Error, "a file of a type that has no content has extents",
    message: "inode {inode} is a {detail} and has an extent at logical block {offset}",
    repair: "free the extents",
    LOSES_DATA;

    EXTENT_TOO_NEW = "B0412", Error, "an extent is newer than what refers to it",
    message: "the extent of inode {inode} at logical block {offset} was born in delta {found}, \
              later than delta {expected} that refers to it",
    repair: "set its birth to the delta that refers to it",
    PREEN;

    SYMLINK_WITHOUT_TARGET = "B0413", Error, "a symbolic link has no target",
    message: "the symbolic link inode {inode} has no content where its target should be",
    repair: "drop the link",
    LOSES_DATA | RECHECK;

    XATTR_HASH = "B0414", Error, "an extended attribute stands under another name's hash",
    message: "the extended attribute {name} of inode {inode} stands under hash {found} instead of \
              {expected}, where it cannot be found",
    repair: "move it to its place",
    PREEN;
}
