//! A value that hardly ever changes while the process runs.

use std::sync::OnceLock;

use arc_swap::ArcSwap;

/// A value that hardly ever changes: until it has, to read it costs one look more than to read a field.
pub(crate) struct Changing<T> {
    first: T,
    later: OnceLock<ArcSwap<T>>,
}

impl<T> Changing<T> {
    pub(crate) const fn new(first: T) -> Self {
        Self {
            first,
            later: OnceLock::new(),
        }
    }

    /// What `then` makes of the value as it is now.
    #[inline(always)]
    pub(crate) fn read<R>(&self, then: impl FnOnce(&T) -> R) -> R {
        let loaded;
        then(match self.later.get() {
            None => &self.first,
            Some(later) => {
                loaded = later.load();
                &loaded
            }
        })
    }

    /// Another value from now on. Readers that have begun see the one before.
    pub(crate) fn change(&self, next: T) {
        let mut next = Some(next);
        let mut first_change = || ArcSwap::from_pointee(next.take().expect("a change is made once"));
        let later = self.later.get_or_init(&mut first_change);
        if let Some(next) = next {
            later.store(next.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_change_is_seen_by_whoever_reads_next() {
        let value = Changing::new(1);
        for next in 2..5 {
            assert_eq!(value.read(|value| *value), next - 1);
            value.change(next);
            assert_eq!(value.read(|value| *value), next);
        }
    }
}
