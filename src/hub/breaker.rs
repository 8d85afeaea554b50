//! Whether the hub is worth asking.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::clock::Moment;

/// A circuit that opens after [`FAILURES`] failures in a row. Then one request in [`PAUSE`] asks; its success
/// closes the circuit.
#[derive(Debug, Default)]
pub(super) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    closed_until: Moment,
}

const FAILURES: u32 = 5;

/// Time between two requests while the circuit is open.
pub(super) const PAUSE: Duration = Duration::from_secs(5);

impl Breaker {
    /// Whether the hub may be asked now; else how long to wait.
    pub(super) fn admit(&self, now: Moment) -> Result<(), Duration> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.failures < FAILURES {
            return Ok(());
        }
        let left = state.closed_until.since(now);
        if left > Duration::ZERO {
            return Err(left);
        }
        state.closed_until = now.after(PAUSE);
        Ok(())
    }

    /// Takes note of an answer, or that there was none.
    pub(super) fn note(&self, answered: bool, now: Moment) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if answered {
            *state = State::default();
        } else {
            state.failures = state.failures.saturating_add(1);
            state.closed_until = now.after(PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_circuit_opens_probes_and_closes() {
        let at = |seconds| Moment::from_start(Duration::from_secs(seconds));
        let breaker = Breaker::default();
        for second in 0..4 {
            breaker.note(false, at(second));
            assert_eq!(breaker.admit(at(second)), Ok(()));
        }
        breaker.note(true, at(4));
        for _ in 0..5 {
            assert_eq!(breaker.admit(at(5)), Ok(()));
            breaker.note(false, at(5));
        }
        assert_eq!(breaker.admit(at(5)), Err(PAUSE));
        assert_eq!(breaker.admit(at(9)), Err(Duration::from_secs(1)));
        assert_eq!(breaker.admit(at(10)), Ok(()), "a probe");
        assert_eq!(breaker.admit(at(10)), Err(PAUSE), "and one alone");
        breaker.note(false, at(12));
        assert_eq!(breaker.admit(at(16)), Err(Duration::from_secs(1)));
        assert_eq!(breaker.admit(at(17)), Ok(()));
        breaker.note(true, at(17));
        assert_eq!(breaker.admit(at(17)), Ok(()));
    }
}
