//! The place where a table keeps its root: its own, or shared with its readers.

use std::sync::Arc;

use super::link::{Link, LinkMut, Node};

/// The link to the root of a table. Readers share the link, never the right to change it.
pub(super) enum Root {
    /// Nobody reads without a lock.
    Own(Link),
    /// There are, or were, readers.
    Shared(Arc<Link>),
}

impl Default for Root {
    fn default() -> Self {
        Self::Own(Link::empty())
    }
}

impl Root {
    fn link(&self) -> &Link {
        match self {
            Self::Own(link) => link,
            Self::Shared(link) => link,
        }
    }

    /// The root node.
    pub(super) fn node(&self) -> Option<&Node> {
        // SAFETY: the link is the table's, and is changed only under a mutable borrow.
        unsafe { self.link().node() }
    }

    /// The link, to change it.
    pub(super) fn link_mut(&mut self) -> LinkMut<'_> {
        // SAFETY: readers only follow the link; as an owner it is borrowed mutably here.
        unsafe { LinkMut::new(self.link()) }
    }

    /// Another root of the same tree.
    pub(super) fn fork(&self) -> Self {
        // SAFETY: the link is the table's and not being changed, and nor are nodes below it.
        Self::Own(unsafe { self.link().share() })
    }

    /// The link, for a reader.
    pub(super) fn share(&mut self) -> Arc<Link> {
        match self {
            Self::Shared(link) => Arc::clone(link),
            Self::Own(link) => {
                let link = Arc::new(std::mem::replace(link, Link::empty()));
                *self = Self::Shared(Arc::clone(&link));
                link
            }
        }
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        self.link_mut().clear();
    }
}
