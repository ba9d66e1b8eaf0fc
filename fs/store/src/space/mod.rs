//! Free space: bitmaps, allocator, ledger and defree.
