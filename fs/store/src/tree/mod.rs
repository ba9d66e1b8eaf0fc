//! The copy-on-write B+tree.
