//! The distinct values of one cookie name.

use std::{array, fmt, iter::Take};

/// How many there can be.
pub(super) const MAX_VALUES: usize = 8;

/// The distinct values of one name, at most [`RequestCookies::MAX_VALUES_PER_NAME`](super::RequestCookies::MAX_VALUES_PER_NAME).
#[derive(Clone, Copy, Default)]
pub struct DistinctValues<'a> {
    values: [&'a [u8]; MAX_VALUES],
    count: usize,
}

impl<'a> DistinctValues<'a> {
    /// Adds a value; `None` if the array is full.
    pub(super) fn add(&mut self, value: &'a [u8]) -> Option<()> {
        if !self.contains(&value) {
            *self.values.get_mut(self.count)? = value;
            self.count += 1;
        }
        Some(())
    }
}

impl<'a> IntoIterator for DistinctValues<'a> {
    type Item = &'a [u8];
    type IntoIter = Take<array::IntoIter<&'a [u8], MAX_VALUES>>;

    fn into_iter(self) -> Self::IntoIter {
        self.values.into_iter().take(self.count)
    }
}

impl<'a> std::ops::Deref for DistinctValues<'a> {
    type Target = [&'a [u8]];

    fn deref(&self) -> &Self::Target {
        self.values.get(..self.count).unwrap_or_default()
    }
}

impl fmt::Debug for DistinctValues<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidates")
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}
