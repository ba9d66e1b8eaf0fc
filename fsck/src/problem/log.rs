//! Problems of pass 2, the log.

use super::problem_table;

problem_table! {
    LOG_UNREADABLE = "B0201", Error, "a block of the log cannot be read",
    message: "the log ends before delta {delta} because block {block} cannot be read ({detail})",
    repair: "replay what comes before, fold it into the tree, and begin the log anew",
    LOSES_DATA | RECHECK;

    DURABLE_DELTA_LOST = "B0202", Error, "a delta that was durable is not in the log any more",
    message: "the log ends before delta {delta}, but the transaction at block {block} says that \
              everything up to delta {found} was durable: acknowledged changes are lost ({detail})",
    repair: "replay what comes before, fold it into the tree, and begin the log anew",
    LOSES_DATA | RECHECK;

    TRANSACTION_MALFORMED = "B0203", Error, "a transaction is intact and its content is impossible",
    message: "the transaction of delta {delta} at block {block} has good checksums and impossible \
              content ({detail})",
    repair: "replay what comes before, fold it into the tree, and begin the log anew",
    LOSES_DATA | RECHECK;

    DURABLE_MARK_BACKWARDS = "B0204", Error, "the durable mark of the log goes backwards",
    message: "delta {delta} says that everything up to delta {found} is durable, the one before it \
              said up to delta {expected}",
    repair: "nothing to the log itself: unify folds it into the tree",
    PREEN | BY_UNIFY;

    NEXT_INODE_BACKWARDS = "B0205", Error, "the next inode number goes backwards in the log",
    message: "delta {delta} says that the next inode number is {found}, the one before it said \
              {expected}: numbers may have been given twice",
    repair: "set the next inode number above all that are in use",
    PREEN | BY_UNIFY;

    LOGGED_DATA_UNREADABLE = "B0206", Error, "data of a logged delta cannot be read",
    message: "the log ends before delta {delta} because its data at block {block} cannot be read \
              ({detail})",
    repair: "replay what comes before, fold it into the tree, and begin the log anew",
    LOSES_DATA | RECHECK;

    LOGGED_DATA_OVERWRITTEN = "B0207", Error,
    "data of a logged delta was overwritten by a later one",
    message: "delta {delta} has written {count} blocks from block {block} anew, which an earlier \
              delta of the log had written and which replay still needs",
    repair: "replay what is whole, fold it into the tree, and begin the log anew",
    LOSES_DATA | RECHECK;
}
