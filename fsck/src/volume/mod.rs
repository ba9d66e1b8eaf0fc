//! What the passes know about a volume, and how they read it.
//!
//! | module | holds |
//! |---|---|
//! | [`scope`] | the device, the options, the findings so far: what every pass is given |
//! | [`blocks`] | maps of blocks, sparse and cheap for runs |
//! | [`overlay`] | the changes of the log, applied in memory |
//! | [`leaves`] | the leaves of the tree in order of keys, read one at a time |
//! | [`merged`] | tree and overlay as one stream of items |
//! | [`inodes`] | a compact fact an inode |
//! | [`paths`] | names for inodes that a finding is about |
//! | [`verify`] | data against its checksums |

pub(crate) mod blocks;
pub(crate) mod inodes;
pub(crate) mod leaves;
pub(crate) mod merged;
pub(crate) mod overlay;
pub(crate) mod paths;
pub(crate) mod scope;
pub(crate) mod verify;
