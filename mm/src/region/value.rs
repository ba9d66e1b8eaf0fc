//! What a region holds, and what becomes of it when the region is cut or meets its like.

/// The value of a region.
pub trait RegionValue: Clone {
    /// The value of the part of the region that begins `skip` in and is `length` long.
    fn part(&self, skip: u64, length: u64) -> Self;

    /// The value of one region in place of two: of this one, which is `length` long, and of `next`,
    /// which begins where it ends. `None` if they are to stay two.
    fn join(&self, length: u64, next: &Self) -> Option<Self>;
}

/// A value that is the same all over its region: equal neighbours are one region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Uniform<T>(pub T);

impl<T: Clone + PartialEq> RegionValue for Uniform<T> {
    fn part(&self, _skip: u64, _length: u64) -> Self {
        self.clone()
    }

    fn join(&self, _length: u64, next: &Self) -> Option<Self> {
        (self == next).then(|| self.clone())
    }
}
