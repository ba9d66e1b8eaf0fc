//! Nodes of the tree: leaves of up to [`LEAF_REGIONS`] regions, and branches over them.
//!
//! # Invariants
//!
//! * The regions of a leaf are in order and do not overlap; no leaf is empty.
//! * Every region left of a branch starts before its `split`, every one right of it does not. A
//!   region may reach beyond the `split` it starts before: only starts lead the way.
//! * `leaves` is the number of leaves below a branch. Neither side has more than [`DELTA`] times
//!   the leaves of the other.
//!
//! The balance is that of Hirai and Yamamoto ("Balancing weight-balanced trees", 2011): with the
//! factors 3 and 2, one rotation on each level restores it after one leaf came or went.

use std::sync::Arc;

/// Regions a leaf has room for: one less than a power of two, so that a fixed number of steps finds
/// the place of any address in it.
pub(super) const LEAF_REGIONS: usize = LEAF_ROOM - 1;
/// Small in tests, so that small trees have branches.
const LEAF_ROOM: usize = if cfg!(test) { 8 } else { 64 };
/// How many times as many leaves one side of a branch may have as the other.
pub(super) const DELTA: u64 = 3;
/// From how many times as many leaves on the inner side than on the outer on it takes a double
/// rotation.
const GAMMA: u64 = 2;

/// A range with a value.
#[derive(Debug, Clone)]
pub(super) struct Region<V> {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) value: V,
}

/// A node. Cloning one shares it; it is changed through [`Arc::make_mut`], which copies it if it is
/// shared.
#[derive(Debug)]
pub(super) enum Node<V> {
    Leaf(Arc<Leaf<V>>),
    Branch(Arc<Branch<V>>),
}

impl<V> Clone for Node<V> {
    fn clone(&self) -> Self {
        match self {
            Self::Leaf(leaf) => Self::Leaf(Arc::clone(leaf)),
            Self::Branch(branch) => Self::Branch(Arc::clone(branch)),
        }
    }
}

/// Regions side by side.
#[derive(Debug, Clone)]
pub(super) struct Leaf<V> {
    /// The starts of the regions, close together for the search; `u64::MAX` behind the last.
    starts: [u64; LEAF_ROOM],
    regions: Vec<Region<V>>,
}

/// Two nodes, and how to tell which leads to an address.
#[derive(Debug)]
pub(super) struct Branch<V> {
    pub(super) split: u64,
    pub(super) leaves: u64,
    /// The left one and the right one; an array, so that the way down needs no branch.
    pub(super) sides: [Node<V>; 2],
}

impl<V> Clone for Branch<V> {
    fn clone(&self) -> Self {
        Self { split: self.split, leaves: self.leaves, sides: self.sides.clone() }
    }
}

impl<V> Default for Leaf<V> {
    fn default() -> Self {
        Self { starts: [u64::MAX; LEAF_ROOM], regions: Vec::new() }
    }
}

impl<V> Leaf<V> {
    /// The regions, in order.
    pub(super) fn regions(&self) -> &[Region<V>] {
        &self.regions
    }

    /// How many regions start at or before `at`.
    #[inline]
    pub(super) fn rank(&self, at: u64) -> usize {
        let mut rank = 0;
        let mut step = LEAF_ROOM / 2;
        while step > 0 {
            // The mask changes nothing: it tells the compiler that the index is in bounds.
            rank += step * usize::from(self.starts[(rank + step - 1) % LEAF_ROOM] <= at);
            step /= 2;
        }
        rank.min(self.regions.len())
    }

    /// The value of the region that starts there.
    pub(super) fn region_mut(&mut self, start: u64) -> Option<&mut Region<V>> {
        let at = self.rank(start).checked_sub(1)?;
        self.regions.get_mut(at).filter(|region| region.start == start)
    }

    /// Adds a region to a leaf. If it is full it is cut in two: returned is the right one.
    pub(super) fn insert(&mut self, region: Region<V>) -> Option<Self> {
        let at = self.rank(region.start);
        if self.regions.len() < LEAF_REGIONS {
            self.starts.copy_within(at..LEAF_ROOM - 1, at + 1);
            self.starts[at] = region.start;
            self.regions.insert(at, region);
            return None;
        }
        self.regions.insert(at, region);
        // Who adds behind all others will go on doing so: then the left leaf stays full.
        let middle = if at == LEAF_REGIONS { LEAF_REGIONS } else { LEAF_ROOM / 2 };
        let mut right = Self { regions: self.regions.split_off(middle), ..Self::default() };
        right.note_starts(0);
        self.note_starts(at.min(middle));
        Some(right)
    }

    /// Takes out the region that starts there.
    pub(super) fn remove(&mut self, start: u64) -> Option<Region<V>> {
        let at = self.rank(start).checked_sub(1)?;
        self.regions.get(at).filter(|region| region.start == start)?;
        self.starts.copy_within(at + 1.., at);
        self.starts[LEAF_ROOM - 1] = u64::MAX;
        Some(self.regions.remove(at))
    }

    /// Brings the starts up to date from a place on.
    fn note_starts(&mut self, from: usize) {
        for (at, start) in self.starts.iter_mut().enumerate().skip(from) {
            *start = self.regions.get(at).map_or(u64::MAX, |region| region.start);
        }
    }
}

impl<V: Clone> Leaf<V> {
    /// The regions of two neighbours in one leaf.
    fn joined(left: &Self, right: &Self) -> Self {
        let regions = left.regions.iter().chain(&right.regions).cloned().collect();
        let mut leaf = Self { regions, ..Self::default() };
        leaf.note_starts(0);
        leaf
    }
}

impl<V> Node<V> {
    /// A leaf.
    pub(super) fn leaf(leaf: Leaf<V>) -> Self {
        Self::Leaf(Arc::new(leaf))
    }

    /// A branch over two nodes.
    pub(super) fn branch(left: Self, split: u64, right: Self) -> Self {
        let leaves = left.leaves() + right.leaves();
        Self::Branch(Arc::new(Branch { split, leaves, sides: [left, right] }))
    }

    /// Leaves below the node, itself included.
    pub(super) fn leaves(&self) -> u64 {
        match self {
            Self::Leaf(_) => 1,
            Self::Branch(branch) => branch.leaves,
        }
    }
}

impl<V> Branch<V> {
    /// Which side leads to an address.
    #[inline]
    pub(super) fn side_of(&self, at: u64) -> usize {
        usize::from(at >= self.split)
    }

    /// Restores the balance after one leaf came to a side or went.
    pub(super) fn rebalance(&mut self) {
        let [left, right] = [&self.sides[0], &self.sides[1]];
        self.leaves = left.leaves() + right.leaves();
        if DELTA * left.leaves() < right.leaves() {
            self.rotate_left();
        } else if DELTA * right.leaves() < left.leaves() {
            self.rotate_right();
        }
    }

    /// Moves leaves from the right side to the left.
    fn rotate_left(&mut self) {
        let [left, Node::Branch(right)] = self.sides.clone() else { return };
        let [inner, outer] = right.sides.clone();
        match &inner {
            Node::Branch(middle) if inner.leaves() >= GAMMA * outer.leaves() => {
                let [first, second] = middle.sides.clone();
                let left = Node::branch(left, self.split, first);
                self.sides = [left, Node::branch(second, right.split, outer)];
                self.split = middle.split;
            }
            _ => {
                self.sides = [Node::branch(left, self.split, inner), outer];
                self.split = right.split;
            }
        }
    }

    /// Moves leaves from the left side to the right.
    fn rotate_right(&mut self) {
        let [Node::Branch(left), right] = self.sides.clone() else { return };
        let [outer, inner] = left.sides.clone();
        match &inner {
            Node::Branch(middle) if inner.leaves() >= GAMMA * outer.leaves() => {
                let [first, second] = middle.sides.clone();
                let right = Node::branch(second, self.split, right);
                self.sides = [Node::branch(outer, left.split, first), right];
                self.split = middle.split;
            }
            _ => {
                self.sides = [outer, Node::branch(inner, self.split, right)];
                self.split = left.split;
            }
        }
    }
}

impl<V: Clone> Branch<V> {
    /// One leaf in place of two that hold so little that it would be half empty.
    pub(super) fn joined_leaves(&self) -> Option<Leaf<V>> {
        match &self.sides {
            [Node::Leaf(left), Node::Leaf(right)]
                if left.regions.len() + right.regions.len() <= LEAF_REGIONS / 2 =>
            {
                Some(Leaf::joined(left, right))
            }
            _ => None,
        }
    }
}
