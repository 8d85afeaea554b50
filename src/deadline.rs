//! A limit on how long a future may take.

use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use futures_timer::Delay;

/// The longest limit that is kept. The timer adds the limit to the current time, which must not overflow.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Returns the output of `future`, or `None` if it is not ready within `limit`.
///
/// A timer wakes the task when the limit is reached, whatever the future waits for. The timer needs no async runtime. A
/// future that is ready at its first poll starts none.
pub(crate) async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut delay = None;
    poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        let delay = delay.get_or_insert_with(|| Delay::new(limit.min(LONGEST)));
        pin!(delay).poll(context).map(|()| None)
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    /// Runs `future` on a runtime that has no timer.
    fn run<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.expect("a runtime").block_on(future)
    }

    #[test]
    fn future_that_never_wakes_its_task_ends_at_the_limit() {
        for limit in [Duration::ZERO, Duration::from_millis(5)] {
            assert_eq!(run(within(limit, pending::<()>())), None);
        }
    }

    #[test]
    fn ready_future_is_answered_whatever_the_limit() {
        for limit in [Duration::ZERO, Duration::from_secs(1), Duration::MAX] {
            assert_eq!(run(within(limit, ready(1))), Some(1));
            // Ready at the second poll, after the timer was started.
            let later = async {
                tokio::task::yield_now().await;
                2
            };
            if !limit.is_zero() {
                assert_eq!(run(within(limit, later)), Some(2));
            }
        }
    }
}
