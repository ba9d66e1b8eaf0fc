//! The core of the filesystem, driven without FUSE.
//!
//! Each module tests one family of promises, on volumes in memory and without a background thread
//! unless the test is about it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// The same tests are there once for each policy.
#![allow(clippy::duplicate_mod)]

/// The same tests under every policy.
macro_rules! same_under {
    ($name:ident, $policy:ident) => {
        #[path = "."]
        mod $name {
            const POLICY: braidfs_pagecache::WritebackPolicy =
                braidfs_pagecache::WritebackPolicy::$policy;

            #[path = "commits.rs"]
            mod commits;
            #[path = "edges.rs"]
            mod edges;
            #[path = "extents.rs"]
            mod extents;
            #[path = "limits.rs"]
            mod limits;
            #[path = "names.rs"]
            mod names;
            #[path = "ranges.rs"]
            mod ranges;
            #[path = "sharing.rs"]
            mod sharing;
            #[path = "support.rs"]
            mod support;
            #[path = "times.rs"]
            mod times;
            #[path = "zeros.rs"]
            mod zeros;
        }
    };
}

same_under!(under_fork, Fork);
same_under!(under_wait, Wait);
same_under!(under_copy, Copy);
