//! A value that rarely changes while the process runs.

use arc_swap::ArcSwap;

/// A value that rarely changes, read without a lock.
pub(crate) struct Swappable<T>(ArcSwap<T>);

impl<T> Swappable<T> {
    pub(crate) fn new(first: T) -> Self {
        Self(ArcSwap::from_pointee(first))
    }

    /// Returns what `then` makes of the value as it is now.
    pub(crate) fn read<R>(&self, then: impl FnOnce(&T) -> R) -> R {
        then(&self.0.load())
    }

    /// Puts another value in place. Readers that have begun see the one before.
    pub(crate) fn replace(&self, next: T) {
        self.0.store(next.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_is_seen_by_the_next_reader() {
        let value = Swappable::new(1);
        for next in 2..5 {
            assert_eq!(value.read(|value| *value), next - 1);
            value.replace(next);
            assert_eq!(value.read(|value| *value), next);
        }
    }
}
