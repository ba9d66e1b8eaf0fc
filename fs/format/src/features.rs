//! Feature flags in three sets, as ext2 and ZFS have them.

use bitflags::bitflags;

bitflags! {
    /// Code that does not know one of these may still mount and write.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct CompatFeatures: u64 {}
}
bitflags! {
    /// Code that does not know one of these may mount read-only.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct ReadOnlyCompatFeatures: u64 {}
}
bitflags! {
    /// Code that does not know one of these must refuse the volume.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct IncompatFeatures: u64 {
        /// Inline extents in the tree; every volume has it.
        const INLINE_EXTENTS = 1 << 0;
        /// Several extents may refer to one block; [`KeyKind::Shared`](crate::KeyKind::Shared)
        /// items in the tree count them. Set by the first who shares.
        const SHARED_EXTENTS = 1 << 1;
    }
}
