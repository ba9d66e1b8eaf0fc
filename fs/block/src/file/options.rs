//! How an image is to be opened.

/// Whether transfers pass the kernel's page cache by (`O_DIRECT`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DirectMode {
    /// Where it pays and where it is possible: writes do, reads go through the cache.
    #[default]
    Auto,
    /// Reads and writes; opening fails where it is not possible.
    Always,
    /// Never.
    Never,
}

/// How to open an image; the default is read-write, existing, [`DirectMode::Auto`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileOptions {
    /// Open for reading only, sharing the image with other readers.
    pub read_only: bool,
    /// Make a new image file of this many bytes; it is an error if there is a file already.
    pub create: Option<u64>,
    /// Whether to pass the kernel's page cache by.
    pub direct: DirectMode,
    /// Do not claim a block device yet ([`FileDevice::claim`](super::FileDevice::claim) does): the
    /// kernel is to do that, for a mount of it. It is locked all the same.
    pub unclaimed: bool,
}

impl FileOptions {
    /// Read-write, an existing image.
    pub fn read_write() -> Self {
        Self::default()
    }

    /// Read-only, an existing image.
    pub fn read_only() -> Self {
        Self { read_only: true, ..Self::default() }
    }

    /// Read-write, a new image file of `size_bytes`.
    pub fn create(size_bytes: u64) -> Self {
        Self { create: Some(size_bytes), ..Self::default() }
    }

    /// The same, without claiming a block device.
    #[must_use]
    pub fn unclaimed(self) -> Self {
        Self { unclaimed: true, ..self }
    }

    /// The same, with this choice about direct transfers.
    #[must_use]
    pub fn direct(self, direct: DirectMode) -> Self {
        Self { direct, ..self }
    }
}
