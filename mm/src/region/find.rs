//! Finding the region at an address or the gap around it, and walking over a range.

use std::ops::Range;

use super::node::{Leaf, Node, Region};

/// What is at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<'a, V> {
    /// A region.
    Region {
        /// Where it lies.
        range: Range<u64>,
        /// Its value.
        value: &'a V,
    },
    /// Nothing, as far as this whole range: from the end of the region before to the start of the
    /// next.
    Gap(Range<u64>),
}

impl<'a, V> Found<'a, V> {
    /// The value of the region, if there is one.
    pub fn value(&self) -> Option<&'a V> {
        match self {
            Self::Region { value, .. } => Some(value),
            Self::Gap(_) => None,
        }
    }

    /// Where the region or the gap lies.
    pub fn range(&self) -> Range<u64> {
        match self {
            Self::Region { range, .. } | Self::Gap(range) => range.clone(),
        }
    }

    /// Whether there is no region.
    pub fn is_gap(&self) -> bool {
        matches!(self, Self::Gap(_))
    }
}

/// What is at an address below a root.
pub(super) fn find<V>(root: Option<&Node<V>>, at: u64) -> Found<'_, V> {
    let Some(root) = root else { return Found::Gap(0..u64::MAX) };
    let leaf = leaf_of(root, at);
    let rank = leaf.rank(at);
    // The neighbour is in another leaf only at the edges of this one.
    let before = match rank.checked_sub(1) {
        Some(at) => leaf.regions().get(at),
        None => last_at_or_before(root, at),
    };
    if let Some(region) = before.filter(|region| at < region.end) {
        return Found::Region { range: region.start..region.end, value: &region.value };
    }
    let after = leaf.regions().get(rank).or_else(|| first_after(root, at));
    let start = before.map_or(0, |region| region.end);
    Found::Gap(start..after.map_or(u64::MAX, |region| region.start))
}

/// The leaf that would hold a region which starts at that address.
fn leaf_of<V>(root: &Node<V>, at: u64) -> &Leaf<V> {
    let mut node = root;
    loop {
        match node {
            Node::Branch(branch) => node = &branch.sides[branch.side_of(at)],
            Node::Leaf(leaf) => return leaf,
        }
    }
}

/// The last region that starts at or before an address.
pub(super) fn last_at_or_before<V>(node: &Node<V>, at: u64) -> Option<&Region<V>> {
    match node {
        Node::Leaf(leaf) => leaf.regions().get(leaf.rank(at).checked_sub(1)?),
        Node::Branch(branch) => match branch.side_of(at) {
            0 => last_at_or_before(&branch.sides[0], at),
            _ => last_at_or_before(&branch.sides[1], at)
                .or_else(|| last_at_or_before(&branch.sides[0], at)),
        },
    }
}

/// The first region that starts after an address.
pub(super) fn first_after<V>(node: &Node<V>, at: u64) -> Option<&Region<V>> {
    match node {
        Node::Leaf(leaf) => leaf.regions().get(leaf.rank(at)),
        Node::Branch(branch) => match branch.side_of(at) {
            0 => first_after(&branch.sides[0], at).or_else(|| first_after(&branch.sides[1], at)),
            _ => first_after(&branch.sides[1], at),
        },
    }
}

/// Iterator over the regions that overlap a range; see [`Regions::iter`](super::Regions::iter).
#[derive(Debug, Clone)]
pub struct RegionIter<'a, V> {
    /// Right sides that are still to be visited, the next one last.
    pending: Vec<&'a Node<V>>,
    regions: std::slice::Iter<'a, Region<V>>,
    end: u64,
}

impl<'a, V> RegionIter<'a, V> {
    pub(super) fn new(root: Option<&'a Node<V>>, range: Range<u64>) -> Self {
        let mut iter = Self { pending: Vec::new(), regions: [].iter(), end: range.end };
        if let Some(root) = root.filter(|_| range.start < range.end) {
            let first = last_at_or_before(root, range.start)
                .filter(|region| range.start < region.end)
                .map_or(range.start, |region| region.start);
            iter.descend(root, first);
        }
        iter
    }

    /// Goes down to the first region that starts at or after an address.
    fn descend(&mut self, root: &'a Node<V>, first: u64) {
        let mut node = root;
        while let Node::Branch(branch) = node {
            if branch.side_of(first) == 0 {
                self.pending.push(&branch.sides[1]);
            }
            node = &branch.sides[branch.side_of(first)];
        }
        if let Node::Leaf(leaf) = node {
            let rank = first.checked_sub(1).map_or(0, |before| leaf.rank(before));
            self.regions = leaf.regions()[rank..].iter();
        }
    }
}

impl<'a, V> Iterator for RegionIter<'a, V> {
    type Item = (Range<u64>, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(region) = self.regions.next() {
                let within = region.start < self.end;
                return within.then_some((region.start..region.end, &region.value));
            }
            let next = self.pending.pop()?;
            self.descend(next, 0);
        }
    }
}
