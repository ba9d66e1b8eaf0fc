//! Problems of passes 5 to 8: directories, connectivity, link counts and orphans.

use super::problem_table;

problem_table! {
    ENTRIES_WITHOUT_DIRECTORY = "B0501", Error, "entries of a directory that does not exist",
    message: "there are directory entries of inode {inode}, which is no directory",
    repair: "drop the entries; what they name is connected later if it has no other name",
    LOSES_DATA | RECHECK;

    NAME_HASH = "B0502", Error, "a name stands under another name's hash",
    message: "the entry {name} of directory {inode} stands under hash {found} instead of \
              {expected}, where it cannot be found",
    repair: "move it to its place, unless there is an entry of this name already",
    PREEN | RECHECK;

    ENTRY_WITHOUT_INODE = "B0503", Error, "a name points to an inode that does not exist",
    message: "the entry {name} of directory {inode} points to inode {other}, which does not exist",
    repair: "drop the entry",
    LOSES_DATA | RECHECK;

    ENTRY_KIND = "B0504", Error, "a directory entry gives a wrong type of file",
    message: "the entry {name} of directory {inode} says that inode {other} is of another type \
              than it is ({detail})",
    repair: "write the right type",
    PREEN;

    DIRECTORY_SIZE = "B0505", Error, "a directory's number of entries is wrong",
    message: "directory {inode} has {found} entries, its record says {expected}",
    repair: "write the right number",
    PREEN;

    UNNAMED = "B0601", Error, "an inode has no name and is no orphan",
    message: "inode {inode} has no name in any directory and is no orphan",
    repair: "give it a name in /lost+found",
    RECHECK;

    DIRECTORY_CYCLE = "B0602", Error, "directories hold each other in a circle",
    message: "{count} directories hold each other in a circle that the root does not reach; one of \
              them is inode {inode}",
    repair: "take one of them out of the circle and give it a name in /lost+found",
    RECHECK;

    PARENT = "B0603", Error, "a directory names the wrong parent",
    message: "directory {inode} is in directory {expected} and names {found} as its parent",
    repair: "write the right parent",
    PREEN;

    DIRECTORY_NAMED_TWICE = "B0604", Error, "a directory has more than one name",
    message: "directory {inode} has {found} names, and a directory can have only one",
    repair: "keep the name in the directory that it names as its parent, drop the others",
    LOSES_DATA | RECHECK;

    ROOT_NAMED = "B0605", Error, "the root directory has a name",
    message: "an entry points to the root directory, which is in no directory",
    repair: "drop the entry",
    LOSES_DATA | RECHECK;

    FILE_LINKS = "B0701", Error, "a file's link count is wrong",
    message: "inode {inode} has {found} names, its link count says {expected}",
    repair: "write the right number",
    PREEN;

    DIRECTORY_LINKS = "B0702", Error, "a directory's link count is wrong",
    message: "directory {inode} needs a link count of {found}, two and one for each subdirectory; \
              its record says {expected}",
    repair: "write the right number",
    PREEN;

    ORPHAN_WITHOUT_INODE = "B0801", Error, "an orphan record of an inode that does not exist",
    message: "there is an orphan record of inode {inode}, which does not exist",
    repair: "drop the orphan record",
    PREEN;

    ORPHAN_LINKS = "B0802", Error, "an orphan has a link count",
    message: "orphan inode {inode} has a link count of {found}",
    repair: "drop the orphan record if the inode has a name, else set the count to 0",
    PREEN | RECHECK;

    ORPHAN_NAMED = "B0803", Error, "an orphan has a name",
    message: "orphan inode {inode} has {found} names and would be deleted at the next mount",
    repair: "drop the orphan record",
    PREEN | RECHECK;

    ORPHAN_NOT_EMPTY = "B0804", Error, "an orphaned directory is not empty",
    message: "orphaned directory {inode} still has {found} entries",
    repair: "give it a name in /lost+found and drop the orphan record",
    RECHECK;
}
