//! One bounded map that forgets.

use std::{
    collections::{BTreeSet, HashMap, hash_map::RandomState},
    fmt,
    hash::{BuildHasher, Hash},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::clock::MonotonicTime;

/// A map of bounded size, each entry of which expires at its own time.
///
/// 1. An expired entry is not found, even if it is still in memory.
/// 2. Every change removes a few entries that have expired, so none is kept for long and no
///    change takes long.
/// 3. If the map is full, a new key replaces the entry that would expire first. A new key is always
///    stored.
///
/// All methods take the time at which they are called. They lock one of several parts of the map, for as long as
/// a few lookups take; keys are spread over the parts by a hash that cannot be predicted from outside.
pub(crate) struct ExpiringMap<K, V> {
    parts: Box<[Mutex<Shard<K, V>>]>,
    hasher: RandomState,
    /// The bound of each part.
    capacity: usize,
}

/// The number of parts: enough that threads seldom need the same one.
const SHARDS: usize = 16;
/// Below this capacity there is one part: the bound of a part is then the bound of the map.
const MIN_SHARDED_CAPACITY: usize = 1024;
/// How many expired entries each change removes: more than a change can add.
const EVICTIONS_PER_WRITE: usize = 4;

impl<K: Copy + Ord + Hash, V> ExpiringMap<K, V> {
    /// An empty map of at most `capacity` entries, and at least one.
    pub(crate) fn new(capacity: usize) -> Self {
        Self::in_parts(
            if capacity < MIN_SHARDED_CAPACITY {
                1
            } else {
                SHARDS
            },
            capacity,
        )
    }

    fn in_parts(parts: usize, capacity: usize) -> Self {
        Self {
            parts: (0..parts).map(|_| Mutex::new(Shard::new())).collect(),
            hasher: RandomState::new(),
            capacity: (capacity / parts).max(1),
        }
    }

    /// Stores `value` under `key` until `end`, replacing an existing one.
    pub(crate) fn insert(&self, key: K, value: V, end: MonotonicTime, now: MonotonicTime) {
        self.part(&key).put(key, value, end, now, self.capacity, drop);
    }

    /// A copy of the value under `key`.
    pub(crate) fn get(&self, key: &K, now: MonotonicTime) -> Option<V>
    where
        V: Clone,
    {
        self.read(key, now, V::clone)
    }

    /// What `look` makes of the value under `key`. The map is locked meanwhile: `look` must not wait.
    pub(crate) fn read<T>(&self, key: &K, now: MonotonicTime, look: impl FnOnce(&V) -> T) -> Option<T> {
        let part = self.part(key);
        let (value, end) = part.entries.get(key)?;
        (*end > now).then(|| look(value))
    }

    /// Takes the value under `key` out of the map: of any number of callers, one gets it.
    pub(crate) fn remove(&self, key: &K, now: MonotonicTime) -> Option<V> {
        self.part(key).remove(key, now).map(|(value, _)| value)
    }

    /// Replaces value and end under `key` by the result of `change`, in one atomic step. `None` stands for no entry.
    ///
    /// The map is locked meanwhile: `change` must not wait, and not come back to this map.
    pub(crate) fn update<T>(
        &self,
        key: K,
        now: MonotonicTime,
        change: impl FnOnce(Option<(V, MonotonicTime)>) -> (Option<(V, MonotonicTime)>, T),
    ) -> T {
        self.update_or_evict(key, now, change, drop)
    }

    /// Like [`ExpiringMap::update`], and passes the value that was evicted, if there is one, to `evicted`.
    ///
    /// `evicted` runs before the lock is released: no reader misses the value before `evicted` has returned.
    pub(crate) fn update_or_evict<T>(
        &self,
        key: K,
        now: MonotonicTime,
        change: impl FnOnce(Option<(V, MonotonicTime)>) -> (Option<(V, MonotonicTime)>, T),
        evicted: impl FnOnce(V),
    ) -> T {
        let mut part = self.part(&key);
        let present = part.remove(&key, now);
        let (next, result) = change(present);
        if let Some((value, end)) = next {
            part.put(key, value, end, now, self.capacity, evicted);
        }
        result
    }

    /// The part that `key` belongs to. A thread that panicked while it held the lock left a map that forgets
    /// its key at worst, so the others go on.
    fn part(&self, key: &K) -> MutexGuard<'_, Shard<K, V>> {
        let place = self.hasher.hash_one(key) % self.parts.len() as u64;
        self.parts[place as usize]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        let parts = self.parts.iter();
        parts
            .map(|part| {
                let part = part.lock().expect("no thread panicked");
                assert_eq!(part.entries.len(), part.order.len());
                part.entries.len()
            })
            .sum()
    }
}

impl<K, V> fmt::Debug for ExpiringMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expiring")
            .field("capacity", &(self.capacity * self.parts.len()))
            .finish_non_exhaustive()
    }
}

/// The entries under one lock.
struct Shard<K, V> {
    entries: HashMap<K, (V, MonotonicTime)>,
    /// The keys, ordered by when they expire.
    order: BTreeSet<(MonotonicTime, K)>,
}

impl<K, V> Shard<K, V> {
    fn new() -> Self {
        Self {
            entries: HashMap::new(),
            order: BTreeSet::new(),
        }
    }
}

impl<K: Copy + Ord + Hash, V> Shard<K, V> {
    fn put(
        &mut self,
        key: K,
        value: V,
        end: MonotonicTime,
        now: MonotonicTime,
        capacity: usize,
        evicted: impl FnOnce(V),
    ) {
        self.forget_ended(now);
        self.remove(&key, now);
        if end <= now {
            return;
        }
        // Before the new key is inserted, so that the table never grows for one too many.
        if self.order.len() >= capacity
            && let Some((_, first)) = self.order.pop_first()
            && let Some((value, _)) = self.entries.remove(&first)
        {
            evicted(value);
        }
        self.entries.insert(key, (value, end));
        self.order.insert((end, key));
    }

    /// Removes the entry. One that has expired is removed, too, but not returned.
    fn remove(&mut self, key: &K, now: MonotonicTime) -> Option<(V, MonotonicTime)> {
        let (value, end) = self.entries.remove(key)?;
        self.order.remove(&(end, *key));
        (end > now).then_some((value, end))
    }

    fn forget_ended(&mut self, now: MonotonicTime) {
        for _ in 0..EVICTIONS_PER_WRITE {
            match self.order.first() {
                Some(&(end, key)) if end <= now => {
                    self.order.pop_first();
                    self.entries.remove(&key);
                }
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Barrier,
            atomic::{AtomicUsize, Ordering},
        },
        thread,
        time::Duration,
    };

    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn at(seconds: u64) -> MonotonicTime {
        MonotonicTime::from_duration(Duration::from_secs(seconds))
    }

    #[derive(Clone, Debug)]
    enum Step {
        Get(u8),
        Insert(u8, u64),
        Pass(u64),
        Take(u8),
        Update(u8, u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let key = || 0..12_u8;
        prop_oneof![
            key().prop_map(Step::Get),
            (key(), 0..20_u64).prop_map(|(key, life)| Step::Insert(key, life)),
            (0..8_u64).prop_map(Step::Pass),
            key().prop_map(Step::Take),
            (key(), 0..20_u64).prop_map(|(key, life)| Step::Update(key, life)),
        ]
    }

    /// What the map says it does, without any thought of memory.
    struct Model {
        entries: HashMap<u8, (u32, u64)>,
        capacity: usize,
    }

    impl Model {
        fn live(&self, key: u8, now: u64) -> Option<u32> {
            let (value, end) = self.entries.get(&key)?;
            (*end > now).then_some(*value)
        }

        fn put(&mut self, key: u8, value: u32, end: u64, now: u64) {
            self.entries.retain(|_, (_, end)| *end > now);
            self.entries.remove(&key);
            if end <= now {
                return;
            }
            if self.entries.len() == self.capacity {
                let first = self.entries.iter().map(|(key, (_, end))| (*end, *key)).min();
                self.entries.remove(&first.expect("it is full").1);
            }
            self.entries.insert(key, (value, end));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn every_answer_is_that_of_a_plain_map_with_times(
            capacity in 1..8_usize,
            steps in vec(step(), 0..60),
        ) {
            let map = ExpiringMap::in_parts(1, capacity);
            let mut model = Model { entries: HashMap::new(), capacity };
            let mut now = 0;
            for (number, step) in (0..).zip(steps) {
                match step {
                    Step::Get(key) => prop_assert_eq!(map.get(&key, at(now)), model.live(key, now)),
                    Step::Insert(key, life) => {
                        map.insert(key, number, at(now + life), at(now));
                        model.put(key, number, now + life, now);
                    }
                    Step::Pass(seconds) => now += seconds,
                    Step::Take(key) => {
                        let expected = model.live(key, now);
                        model.entries.remove(&key);
                        prop_assert_eq!(map.remove(&key, at(now)), expected);
                    }
                    Step::Update(key, life) => {
                        let expected = model.live(key, now);
                        let seen = map.update(key, at(now), |present| {
                            let seen = present.map(|(value, _)| value);
                            (Some((seen.unwrap_or_default() + 1, at(now + life))), seen)
                        });
                        prop_assert_eq!(seen, expected);
                        model.put(key, expected.unwrap_or_default() + 1, now + life, now);
                    }
                }
                prop_assert!(map.len() <= capacity);
            }
            for key in 0..12 {
                prop_assert_eq!(map.get(&key, at(now)), model.live(key, now));
            }
        }
    }

    #[test]
    fn a_full_map_forgets_what_would_have_ended_first_and_takes_the_new_key() {
        let map = ExpiringMap::new(2);
        map.insert("late", 1, at(100), at(0));
        map.insert("early", 2, at(50), at(0));
        map.insert("earliest", 3, at(10), at(0));
        assert_eq!(map.get(&"early", at(0)), None);
        assert_eq!(map.get(&"late", at(0)), Some(1));
        assert_eq!(map.get(&"earliest", at(0)), Some(3));
        map.insert("late", 4, at(5), at(0));
        assert_eq!(map.len(), 2, "an existing key evicts nothing");
    }

    #[test]
    fn an_update_reports_the_evicted_value_and_no_other() {
        let map = ExpiringMap::new(2);
        let put = |key, value, end| {
            let mut evicted = None;
            map.update_or_evict(
                key,
                at(10),
                |_| (Some((value, at(end))), ()),
                |value| evicted = Some(value),
            );
            evicted
        };
        assert_eq!(put("late", 1, 100), None);
        assert_eq!(put("early", 2, 50), None);
        assert_eq!(put("late", 3, 100), None, "its own old value is no victim");
        assert_eq!(
            put("over", 4, 10),
            None,
            "an entry that is not stored evicts nothing"
        );
        assert_eq!(put("next", 5, 60), Some(2));
    }

    #[test]
    fn an_update_to_nothing_removes_and_sees_nothing_that_has_ended() {
        let map = ExpiringMap::new(8);
        map.insert(1, "one", at(10), at(0));
        assert_eq!(map.update(1, at(10), |present| (None, present)), None);
        map.insert(1, "one", at(10), at(0));
        let seen = map.update(1, at(9), |present| (None, present));
        assert_eq!(seen, Some(("one", at(10))));
        assert_eq!(map.len(), 0);
    }

    #[test]
    fn a_million_keys_take_the_memory_of_the_capacity() {
        const CAPACITY: usize = 4_096;
        let map = ExpiringMap::<u64, [u64; 2]>::new(CAPACITY);
        let full = |map: &ExpiringMap<_, _>, from: u64, count: u64| {
            for key in from..from + count {
                map.insert(key, [key; 2], at(100 + key % 1_000), at(0));
            }
        };
        let bounded = allocation_counter::measure(|| full(&map, 0, 1_000_000));
        assert!(map.len() <= CAPACITY);
        assert!(map.len() > CAPACITY * 9 / 10, "{}", map.len());
        // A key, a value, an end and their places: 48 bytes in one table, 16 in the other, and both's slack.
        assert!(bounded.bytes_max < CAPACITY as u64 * 192, "{bounded:?}");
        let more = allocation_counter::measure(|| full(&map, 1_000_000, 200_000));
        assert!(more.bytes_current.abs() < 16_384, "{more:?}");
    }

    #[test]
    fn what_has_ended_is_swept_by_those_who_come_later() {
        let map = ExpiringMap::new(512);
        for key in 0..500 {
            map.insert(key, (), at(10), at(0));
        }
        for key in 1_000..1_200 {
            map.insert(key, (), at(30), at(20));
        }
        assert_eq!(map.len(), 200);
    }

    #[test]
    fn of_two_threads_that_take_one_gets_it() {
        const ROUNDS: usize = 20_000;
        let map = ExpiringMap::new(ROUNDS * 2);
        for key in 0..ROUNDS {
            map.insert(key, (), at(1), at(0));
        }
        let (taken, start) = (AtomicUsize::new(0), Barrier::new(2));
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    start.wait();
                    for key in 0..ROUNDS {
                        if map.remove(&key, at(0)).is_some() {
                            taken.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(taken.into_inner(), ROUNDS);
    }
}
