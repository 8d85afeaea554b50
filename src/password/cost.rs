//! What a hash costs.

use super::error::PasswordError;
use crate::error::ConfigError;

/// The cost of a new hash, and of each guess at it: memory, and passes over it. One lane.
///
/// Default: 19 MiB and two passes, OWASP's minimum. Each pending login holds this memory, so the least memory that
/// resists an attacker's hardware serves the most logins; a pass costs time alone.
///
/// # Example
///
/// ```
/// use portcullis::password::HashCost;
///
/// let cost = HashCost::new(64 * 1024, 3)?;
/// assert!(HashCost::new(8 * 1024, 1).is_err());
/// # Ok::<(), portcullis::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashCost {
    memory: u32,
    passes: u32,
}

impl HashCost {
    /// The most memory of one hash that is read or made, in KiB.
    pub const MAX_MEMORY: u32 = 256 * 1024;

    /// The most KiB written over all passes: about half a second of one core.
    const WORK_LIMIT: u64 = 1024 * 1024;

    /// The most lanes. They are computed one after another, so more of them buy nothing.
    const LANES_LIMIT: u32 = 64;

    /// `memory` KiB, written over `iterations` times. Default: 19456 KiB, 2 passes.
    ///
    /// # Errors
    ///
    /// As `cost`: less than OWASP's minimum (47104 KiB in one pass, 19456 in two, 12288 in three, 9216 in four,
    /// 7168 in five or more), more than 256 MiB, or more than 1 GiB over all passes.
    pub fn new(memory: u32, passes: u32) -> Result<Self, ConfigError> {
        Self::check_limits(memory, passes, 1).map_err(|error| ConfigError::new("cost", error.to_string()))?;
        if !meets_minimum(memory, passes) {
            return Err(ConfigError::new(
                "cost",
                format!(
                    "expected at least 47104 KiB in 1 pass, 19456 in 2, 12288 in 3, 9216 in 4 or 7168 in 5, found \
                     {memory} in {passes}"
                ),
            ));
        }
        Ok(Self { memory, passes })
    }

    /// KiB of memory that one hash takes.
    pub fn memory_kib(self) -> u32 {
        self.memory
    }

    /// How often the memory is written over.
    pub fn iterations(self) -> u32 {
        self.passes
    }

    /// KiB written over all passes.
    pub(crate) fn work(self) -> u64 {
        u64::from(self.memory) * u64::from(self.passes)
    }

    /// What is missing to this cost when `spent` KiB were written, to the nearest pass; `None` if that is none.
    pub(crate) fn remaining(self, spent: u64) -> Option<Self> {
        let memory = u64::from(self.memory);
        let missing = self.work().saturating_sub(spent);
        let passes = u32::try_from((missing + memory / 2) / memory).ok()?;
        (passes > 0).then_some(Self { passes, ..self })
    }

    /// The lowest cost that argon2 accepts. For tests alone: it gives no protection.
    #[cfg(any(feature = "testing", test))]
    pub(crate) const fn tiny() -> Self {
        Self { memory: 8, passes: 1 }
    }

    /// Rejects parameters that no honest server uses.
    pub(super) fn check_limits(memory: u32, passes: u32, lanes: u32) -> Result<(), PasswordError> {
        let work = u64::from(memory) * u64::from(passes);
        if memory > Self::MAX_MEMORY || work > Self::WORK_LIMIT || lanes > Self::LANES_LIMIT {
            return Err(PasswordError::absurd(format!(
                "expected at most {} KiB, {} KiB over all passes and {} lanes, found {memory}, {work} and {lanes}",
                Self::MAX_MEMORY,
                Self::WORK_LIMIT,
                Self::LANES_LIMIT,
            )));
        }
        Ok(())
    }
}

impl Default for HashCost {
    /// 19 MiB, two passes.
    fn default() -> Self {
        Self {
            memory: 19_456,
            passes: 2,
        }
    }
}

/// OWASP's table of equally strong parameters (Password Storage Cheat Sheet, argon2id).
pub(super) fn meets_minimum(memory: u32, passes: u32) -> bool {
    let floor = match passes {
        0 => return false,
        1 => 47_104,
        2 => 19_456,
        3 => 12_288,
        4 => 9_216,
        _ => 7_168,
    };
    memory >= floor
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_is_between_the_floor_and_the_limits() {
        for (memory, passes, taken) in [
            (19_456, 2, true),
            (47_104, 1, true),
            (7_168, 5, true),
            (7_168, 146, true),
            (262_144, 4, true),
            (19_455, 2, false),
            (19_456, 1, false),
            (19_456, 0, false),
            (7_167, 100, false),
            (262_145, 1, false),
            (262_144, 5, false),
            (u32::MAX, u32::MAX, false),
        ] {
            assert_eq!(
                HashCost::new(memory, passes).is_ok(),
                taken,
                "{memory} KiB, {passes} passes"
            );
        }
        let default = HashCost::default();
        assert_eq!(
            HashCost::new(default.memory_kib(), default.iterations()).expect("the default"),
            default
        );
    }

    #[test]
    fn missing_work_is_made_up_for_in_whole_passes() {
        let cost = HashCost::default();
        for (spent, passes) in [
            (0, Some(2)),
            (64, Some(2)),
            (9_728, Some(2)),
            (9_729, Some(1)),
            (19_456, Some(1)),
            (29_184, Some(1)),
            (29_185, None),
            (38_912, None),
            (102_400, None),
        ] {
            assert_eq!(cost.remaining(spent).map(HashCost::iterations), passes, "{spent}");
        }
    }
}
