//! Problems of pass 1, the superblock.

use super::problem_table;

problem_table! {
    NO_VALID_COPY = "B0101", Fatal, "no copy of the superblock is intact",
    message: "none of the four copies of the superblock is intact ({detail})",
    repair: "nothing; restore the volume from a copy, or its first blocks from an image of it",
    NEEDS_COPY;

    COPY_DAMAGED = "B0102", Notice, "a copy of the superblock is damaged or torn",
    message: "the copy of the superblock at block {block} is not intact ({detail}); another one is \
              in force, and a later unify writes this one anew",
    repair: "write the copy anew from the one in force",
    PREEN | BY_UNIFY;

    COPY_IMPOSSIBLE = "B0103", Error, "a copy of the superblock is intact and says what cannot be",
    message: "the copy of the superblock at block {block} has a good checksum and impossible \
              content ({detail})",
    repair: "write the copy anew from the one in force",
    PREEN;

    COPIES_DISAGREE = "B0104", Error, "two copies of one superblock differ",
    message: "the copies of the superblock at blocks {block} and {other} have the same sequence \
              {found} and different content",
    repair: "take the copy whose tree and bitmaps check clean, and write it over the other one",
    RECHECK;

    FOREIGN_COPY = "B0105", Error, "a copy of the superblock belongs to another volume",
    message: "the copy of the superblock at block {block} belongs to another volume ({detail})",
    repair: "write the copy anew from the one in force",
    PREEN;

    DEVICE_TOO_SMALL = "B0106", Fatal, "the device or image is shorter than the volume",
    message: "the volume has {expected} blocks of 4096 bytes and the device only {found}; the \
              image was cut short, or copied in part",
    repair: "nothing; restore the whole image from a copy",
    NEEDS_COPY;
}
