//! Nodes in memory: who owns them, who may change them, who may look at them, and when they go.
//!
//! A [`Node`] has two parts. [`Visible`] is its level and its slots: links to nodes below, or words.
//! It is made of atomics, never changes its shape, and readers without a lock may look at it at any
//! time. [`Private`] is what only owners see: counts, tags, what the node is charged.
//!
//! | who | has | may |
//! |---|---|---|
//! | a reader without a lock | a [`Pin`], and a `&Visible` for as long | follow links, load words |
//! | an owner, alone or with others | a `&Node` under a borrow of its table | read all of it |
//! | the only owner | a [`NodeMut`] under a mutable borrow of its table | change all of it |
//! | whoever may change a link | a [`LinkMut`] | put another node there |
//!
//! A [`NodeMut`] is only made by [`LinkMut::alone`], which looks whether the node is shared, and a
//! [`LinkMut`] only comes from the only owner of the node it lies in. So no way down to a node that
//! can be changed leads past the question whether somebody shares it.
//!
//! # Invariants
//!
//! * A link owns one reference of the node it leads to, and so does a [`NodeRef`].
//! * A node is complete before a link leads to it, and the link is stored with release ordering.
//!   What is taken out of a link, and was its last reference, gives up at once what it owns (frames,
//!   nodes below, its charge), but its memory only when no reader can be looking: see
//!   [`reclaim`]. Words and links in it stay as they were.
//! * So a reader who follows links under one pin finds nodes that were linked at some moment since
//!   it was pinned, or hang below one that was. Whether they still are is for the reader to find
//!   out: a node that was taken out of a place never gets back to it while a pin lasts.

use std::cell::UnsafeCell;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use super::TableCounts;
use super::bitmap::Bitmap;
use super::edit::SlotMut;
use super::entry::Word;
use super::tag::Tag;
use crate::PageMut;
use crate::frame::{Entries, EntriesMut, FramePool, OwnedEntries};
use crate::reclaim::{self, Garbage, Pin};
use crate::sync::step;
use crate::table_memory::Charge;

/// Bytes of a node without its slots.
pub(super) const NODE_BYTES: usize = size_of::<Node>();
/// References beyond which the process is ended, as `Arc` does.
const MAX_REFERENCES: usize = isize::MAX as usize;

/// What lies below a node.
pub(super) enum Body {
    /// The entries of a leaf.
    Leaf(Entries),
    /// The nodes of the level below.
    Interior(Box<[Link]>),
    /// The same zeros for every page.
    Zeros(Word),
}

/// The part of a node that readers without a lock may look at.
pub(super) struct Visible {
    pub(super) level: u8,
    pub(super) body: Body,
    /// Under the model checker: whether nobody may be looking at it any more.
    #[cfg(shuttle)]
    buried: std::sync::atomic::AtomicBool,
}

impl Visible {
    pub(super) fn new(level: u8, body: Body) -> Self {
        Self {
            level,
            body,
            #[cfg(shuttle)]
            buried: Default::default(),
        }
    }
}

/// The part of a node that is for its owners.
pub(super) struct Private {
    pub(super) pool: Arc<FramePool>,
    pub(super) charge: Charge,
    pub(super) counts: TableCounts,
    pub(super) tags: [Bitmap; Tag::COUNT],
}

/// A node. See the module.
#[repr(C)]
pub(super) struct Node {
    visible: Visible,
    references: AtomicUsize,
    private: UnsafeCell<ManuallyDrop<Private>>,
}

impl Node {
    /// The part that everybody may see.
    pub(super) fn visible(&self) -> &Visible {
        &self.visible
    }

    /// The part for owners.
    pub(super) fn private(&self) -> &Private {
        // SAFETY: a `&Node` is only had by an owner of the node, and while one is borrowed nobody
        // has it mutably: only a `NodeMut` of the only owner gives that, which is borrowed then.
        unsafe { &*self.private.get() }
    }

    /// Whether nobody else owns it. The caller owns it, and so nobody can come to own it meanwhile
    /// but through the caller, or through the owner of a node above it.
    pub(super) fn is_alone(&self) -> bool {
        // Acquire: what former owners did comes before what the only one does.
        cfg!(braidfs_without_fork_check) || self.references.load(Ordering::Acquire) == 1
    }

    /// The entries, if it is a leaf.
    pub(super) fn entries(&self) -> Option<OwnedEntries<'_>> {
        let Body::Leaf(entries) = &self.visible.body else {
            return None;
        };
        // SAFETY: the words of a leaf stand for counts of frames of its pool for as long as it is
        // owned; the caller owns it for the borrow, in which there is no `NodeMut` of it.
        Some(unsafe { OwnedEntries::new(entries, &self.private().pool) })
    }

    /// The child in a slot.
    pub(super) fn child(&self, slot: usize) -> Option<&Node> {
        let Body::Interior(links) = &self.visible.body else {
            return None;
        };
        // SAFETY: the node is owned for the borrow, and so its children are.
        unsafe { links.get(slot)?.node() }
    }
}

impl Garbage for Node {
    #[cfg(shuttle)]
    fn bury(&self) {
        self.visible.buried.store(true, Ordering::Relaxed);
    }
}

/// A reference to a node that owns it, with others or alone.
pub(super) struct NodeRef(NonNull<Node>);

impl NodeRef {
    /// A new node that nobody shares.
    pub(super) fn new(visible: Visible, private: Private) -> Self {
        Self::with_references(visible, private, 1)
    }

    fn with_references(visible: Visible, private: Private, references: usize) -> Self {
        let references = AtomicUsize::new(references);
        let private = UnsafeCell::new(ManuallyDrop::new(private));
        Self(NonNull::from(Box::leak(Box::new(Node { visible, references, private }))))
    }

    /// Links to a new node, as many as are asked for.
    pub(super) fn fan_out(visible: Visible, private: Private, links: usize) -> Box<[Link]> {
        let node = Self::with_references(visible, private, links).into_raw();
        (0..links).map(|_| Link(AtomicPtr::new(node))).collect()
    }

    fn into_raw(self) -> *mut Node {
        ManuallyDrop::new(self).0.as_ptr()
    }
}

impl Drop for NodeRef {
    fn drop(&mut self) {
        // SAFETY: the reference is given up with this.
        unsafe { release(self.0.as_ptr()) }
    }
}

/// Gives up a reference of a node.
///
/// # Safety
///
/// The caller owns the reference, and does not use it any more.
unsafe fn release(node: *mut Node) {
    // SAFETY: the reference keeps the node alive until it is given up.
    if unsafe { &*node }.references.fetch_sub(1, Ordering::AcqRel) == 1 {
        // SAFETY: that was the last one.
        unsafe { tear_down(node) }
    }
}

/// Gives up all that a node owns, and lets its memory be freed.
///
/// # Safety
///
/// The caller gave up the last reference.
unsafe fn tear_down(place: *mut Node) {
    // SAFETY: nobody frees it but us. Readers may look at the visible part, of which we change
    // nothing.
    let node = unsafe { &*place };
    match &node.visible.body {
        Body::Zeros(_) => {}
        // SAFETY: the links own a reference each, which is given up with the node.
        Body::Interior(links) => links.iter().for_each(|link| unsafe { link.release() }),
        Body::Leaf(_) => {
            if let Some(entries) = node.entries() {
                // SAFETY: there is no other owner, and the words are those of a node that is gone.
                unsafe { entries.release_all() }
            }
        }
    }
    // SAFETY: no owner is left to look at it, and it is taken once.
    let private = unsafe { ManuallyDrop::take(&mut *node.private.get()) };
    let (memory, bytes) = (Arc::clone(private.pool.tables()), private.charge.bytes());
    drop(private);
    step();
    // SAFETY: it comes from a box, and with the last reference gone no link leads to it that a
    // reader could find from now on.
    unsafe { reclaim::free(place, bytes, &memory) }
}

/// A place that leads to a node, which it owns a reference of, or to none. Whoever owns the link
/// [releases](Self::release) it; dropping it does nothing.
pub(super) struct Link(AtomicPtr<Node>);

impl Link {
    /// A link that leads nowhere.
    pub(super) fn empty() -> Self {
        Self(AtomicPtr::new(std::ptr::null_mut()))
    }

    /// Another link to the same. It takes over the pointer as it is: one made of a reference could
    /// not free the node.
    ///
    /// # Safety
    ///
    /// As of [`node`](Self::node); and if there is a [`NodeMut`] of the node, it is not used any
    /// more.
    pub(super) unsafe fn share(&self) -> Self {
        // SAFETY: passed on to our caller.
        if let Some(node) = unsafe { self.node() }
            && node.references.fetch_add(1, Ordering::Relaxed) > MAX_REFERENCES
        {
            std::process::abort();
        }
        Self(AtomicPtr::new(self.0.load(Ordering::Relaxed)))
    }

    /// The same links, with empty ones behind them: they own the references in place of these,
    /// which must not be released any more.
    pub(super) fn moved(links: &[Self], room: usize) -> Box<[Self]> {
        let moved = links.iter().map(|link| Self(AtomicPtr::new(link.0.load(Ordering::Relaxed))));
        moved.chain((links.len()..room).map(|_| Self::empty())).collect()
    }

    /// The node it leads to, for an owner.
    ///
    /// # Safety
    ///
    /// The caller owns the node that the link lies in, or the link itself, for as long as this is
    /// borrowed, and nobody changes it meanwhile.
    pub(super) unsafe fn node(&self) -> Option<&Node> {
        // SAFETY: the link owns a reference of the node, and stays as it is for the borrow.
        unsafe { self.0.load(Ordering::Acquire).as_ref() }
    }

    /// The node it leads to at this moment, for a reader who was pinned before it came to the link.
    pub(super) fn follow<'g>(&'g self, _pin: &'g Pin) -> Option<&'g Visible> {
        step();
        // SAFETY: the link could be reached under the pin, so the node it leads to was reachable at
        // some moment since then, and its memory stays while the pin lives. Only the visible part
        // is looked at, which nobody has mutably before it is freed.
        let visible = unsafe { self.0.load(Ordering::Acquire).as_ref() }.map(Node::visible);
        #[cfg(shuttle)]
        assert!(visible.is_none_or(|visible| !visible.buried.load(Ordering::Relaxed)), "freed");
        visible
    }

    /// Gives up the reference, and leaves the link as it is.
    ///
    /// # Safety
    ///
    /// The caller owns the link, and no owner uses it any more.
    pub(super) unsafe fn release(&self) {
        let node = self.0.load(Ordering::Acquire);
        if !node.is_null() {
            // SAFETY: the link owned the reference.
            unsafe { release(node) }
        }
    }
}

/// A link that may be changed: nobody else owns it. Readers may look on.
pub(super) struct LinkMut<'a>(&'a Link);

impl LinkMut<'_> {
    /// A link that the caller may change.
    ///
    /// # Safety
    ///
    /// For `'a` the link belongs to the caller alone, and nobody borrows it, or the node it leads
    /// to, as an owner.
    pub(super) unsafe fn new(link: &Link) -> LinkMut<'_> {
        LinkMut(link)
    }

    /// The same for a while.
    pub(super) fn reborrow(&mut self) -> LinkMut<'_> {
        LinkMut(self.0)
    }

    /// The node it leads to.
    pub(super) fn node(&self) -> Option<&Node> {
        // SAFETY: the link is ours, and is not changed while this is borrowed.
        unsafe { self.0.node() }
    }

    /// Lets it lead to that node, which is complete, and lets go of the one before.
    pub(super) fn put(&mut self, node: NodeRef) {
        self.store(node.into_raw());
    }

    /// Lets it lead to where another link leads, which is given up.
    pub(super) fn put_link(&mut self, link: Link) {
        self.store(link.0.into_inner());
    }

    /// Another link to the same.
    ///
    /// # Safety
    ///
    /// As of [`Link::share`].
    pub(super) unsafe fn share(&self) -> Link {
        // SAFETY: the link is ours; the rest is passed on.
        unsafe { self.0.share() }
    }

    /// Lets it lead nowhere.
    pub(super) fn clear(&mut self) {
        self.store(std::ptr::null_mut());
    }

    /// Publishes what is built, then lets go of what was there.
    fn store(&mut self, node: *mut Node) {
        step();
        let before = self.0.0.load(Ordering::Relaxed);
        self.0.0.store(node, Ordering::Release);
        step();
        if !before.is_null() {
            // SAFETY: the link owned the reference, and leads elsewhere now.
            unsafe { release(before) }
        }
    }

    /// The node, to change it: if no other table shares it.
    pub(super) fn alone(&mut self) -> Option<NodeMut<'_>> {
        let node = self.node()?;
        node.is_alone().then_some(NodeMut(node))
    }

    /// The node, to change it.
    ///
    /// # Safety
    ///
    /// The link leads to a node that nobody else owns.
    pub(super) unsafe fn alone_unchecked(&mut self) -> NodeMut<'_> {
        debug_assert!(self.node().is_some_and(Node::is_alone));
        // SAFETY: the link leads to a node, which stays while the link is borrowed.
        NodeMut(unsafe { &*self.0.0.load(Ordering::Relaxed) })
    }

    /// The node in another shape, which `body` makes of the old one: if no other table shares it.
    /// Readers go on to the new node. The links of the old one are given up after that, unless the
    /// new body took them over.
    ///
    /// # Safety
    ///
    /// The words of the new body stand for what those of the old body stood for, each once. So do
    /// its links, if `keeps_links`; otherwise none of them is of the old body.
    pub(super) unsafe fn reshape(
        &mut self,
        keeps_links: bool,
        body: impl FnOnce(&mut NodeMut<'_>) -> Body,
    ) {
        let link = self.0;
        let place = link.0.load(Ordering::Relaxed);
        let Some(mut node) = self.alone() else {
            return;
        };
        let old_bytes = node.node().private().charge.bytes();
        let body = body(&mut node);
        let level = node.0.visible.level;
        // SAFETY: the node is ours alone, and its private part is not used after this: its memory
        // is freed without it.
        let private = unsafe { ManuallyDrop::take(&mut *node.0.private.get()) };
        let memory = Arc::clone(private.pool.tables());
        let new = NodeRef::new(Visible::new(level, body), private).into_raw();
        let level_below = match &node.0.visible.body {
            Body::Interior(links) if !keeps_links => Some(links),
            _ => None,
        };
        step();
        link.0.store(new, Ordering::Release);
        step();
        if let Some(links) = level_below {
            // SAFETY: the links own a reference each, and the node they lie in is ours and gone.
            links.iter().for_each(|link| unsafe { link.release() });
        }
        // SAFETY: it comes from a box, no link leads to it any more, and what it owned was taken
        // over.
        unsafe { reclaim::free(place, old_bytes, &memory) }
    }
}

/// What is in a slot of a node that nobody else owns.
pub(super) enum Place<'a> {
    /// An entry, or room for one.
    Entry(SlotMut<'a>),
    /// A link to a node below, or to none.
    Child(LinkMut<'a>),
    /// The same zeros as everywhere in this node, which has no slots.
    Zeros,
}

/// A node that nobody else owns, to change it. Readers may look on.
pub(super) struct NodeMut<'a>(&'a Node);

impl<'a> NodeMut<'a> {
    /// The node, to read it.
    pub(super) fn node(&self) -> &Node {
        self.0
    }

    /// The part for owners.
    pub(super) fn private_mut(&mut self) -> &mut Private {
        // SAFETY: the node is ours alone, and is borrowed mutably; readers do not look at this.
        unsafe { &mut *self.0.private.get() }
    }

    /// The link in a slot, if it is an interior node with room for the slot.
    pub(super) fn link_mut(&mut self, slot: usize) -> Option<LinkMut<'_>> {
        let Body::Interior(links) = &self.0.visible.body else {
            return None;
        };
        // SAFETY: the node is ours alone and borrowed mutably, and so are its links.
        links.get(slot).map(|link| unsafe { LinkMut::new(link) })
    }

    /// The same, for as long as the node was had.
    pub(super) fn into_link_mut(self, slot: usize) -> Option<LinkMut<'a>> {
        let Body::Interior(links) = &self.0.visible.body else {
            return None;
        };
        // SAFETY: as above, and the way to the node ends with this.
        links.get(slot).map(|link| unsafe { LinkMut::new(link) })
    }

    /// What is in a slot, which there must be room for.
    pub(super) fn place(&mut self, slot: usize) -> Place<'_> {
        let node = self.0;
        match &node.visible.body {
            Body::Zeros(_) => Place::Zeros,
            // SAFETY: the node is ours alone and borrowed mutably, and so are its links.
            Body::Interior(links) => Place::Child(unsafe { LinkMut::new(&links[slot]) }),
            Body::Leaf(entries) => {
                let Private { pool, tags, counts, .. } = self.private_mut();
                // SAFETY: the words of a leaf stand for counts of frames of its pool; the leaf is
                // ours alone, and borrowed mutably.
                let entries = unsafe { EntriesMut::new(entries, pool) };
                Place::Entry(SlotMut::new(entries, tags, counts, slot))
            }
        }
    }

    /// The page in a slot, to write it: see [`EntriesMut::into_page_mut`].
    pub(super) fn into_page_mut(self, slot: usize) -> Option<PageMut<'a>> {
        let Body::Leaf(entries) = &self.0.visible.body else {
            return None;
        };
        let node: &'a Node = self.0;
        // SAFETY: as above, and the way to the leaf ends with this.
        unsafe { EntriesMut::new(entries, &node.private().pool) }.into_page_mut(slot)
    }
}

impl<'a> LinkMut<'a> {
    /// As [`alone`](Self::alone), for as long as the link was had.
    pub(super) fn into_alone(self) -> Option<NodeMut<'a>> {
        // SAFETY: the link is ours alone for `'a`, and the way to it ends with this.
        let node: &'a Node = unsafe { self.0.node() }?;
        node.is_alone().then_some(NodeMut(node))
    }
}
