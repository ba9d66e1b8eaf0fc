//! The command `fsck.braidfs`.

pub mod arguments;
pub mod exit;
pub mod progress;
pub mod render;
