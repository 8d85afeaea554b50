//! Stops requests to a server that does not respond.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::clock::MonotonicTime;

/// A circuit that opens after [`FAILURES`] failures in a row. While it is open, one request in each [`RETRY_INTERVAL`] is
/// sent; its success closes the circuit.
#[derive(Debug, Default)]
pub(crate) struct CircuitBreaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    closed_until: MonotonicTime,
}

const FAILURES: u32 = 5;

/// Time between two requests while the circuit is open.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);

impl CircuitBreaker {
    /// Whether a request may be sent to the server now; else how long to wait.
    pub(crate) fn allow(&self, now: MonotonicTime) -> Result<(), Duration> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.failures < FAILURES {
            return Ok(());
        }
        let left = state.closed_until.saturating_duration_since(now);
        if left > Duration::ZERO {
            return Err(left);
        }
        state.closed_until = now.saturating_add(RETRY_INTERVAL);
        Ok(())
    }

    /// Takes note of an answer, or that there was none.
    pub(crate) fn record(&self, answered: bool, now: MonotonicTime) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if answered {
            *state = State::default();
        } else {
            state.failures = state.failures.saturating_add(1);
            state.closed_until = now.saturating_add(RETRY_INTERVAL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_circuit_opens_probes_and_closes() {
        let at = |seconds| MonotonicTime::from_duration(Duration::from_secs(seconds));
        let breaker = CircuitBreaker::default();
        for second in 0..4 {
            breaker.record(false, at(second));
            assert_eq!(breaker.allow(at(second)), Ok(()));
        }
        breaker.record(true, at(4));
        for _ in 0..5 {
            assert_eq!(breaker.allow(at(5)), Ok(()));
            breaker.record(false, at(5));
        }
        assert_eq!(breaker.allow(at(5)), Err(RETRY_INTERVAL));
        assert_eq!(breaker.allow(at(9)), Err(Duration::from_secs(1)));
        assert_eq!(breaker.allow(at(10)), Ok(()), "a probe");
        assert_eq!(breaker.allow(at(10)), Err(RETRY_INTERVAL), "and one alone");
        breaker.record(false, at(12));
        assert_eq!(breaker.allow(at(16)), Err(Duration::from_secs(1)));
        assert_eq!(breaker.allow(at(17)), Ok(()));
        breaker.record(true, at(17));
        assert_eq!(breaker.allow(at(17)), Ok(()));
    }
}
