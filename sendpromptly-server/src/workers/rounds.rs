//! The loop that every worker is: rounds of work, rests between them, and patience with a store in trouble.

use std::sync::Arc;
use std::time::Duration;

use sendpromptly_core::time::Timestamp;
use tokio::sync::Notify;

use super::beat::Beat;
use crate::platform::clock;
use crate::store::StoreError;

/// The longest rest while the store is in trouble.
const LONGEST_REST: Duration = Duration::from_secs(5);

/// What a round of work has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// There may be more to do now.
    More,
    /// Nothing is due any more.
    Nothing,
}

/// A worker that goes in rounds. One that is started again begins as a copy of what it was at first.
pub(super) trait Rounds: Clone + Send + Sync + 'static {
    /// Names it in logs and in the answer of `/readyz`.
    const NAME: &'static str;

    /// How long it rests when nothing is due.
    fn interval(&self) -> Duration;

    /// What wakes it before that.
    fn wake(&self) -> Arc<Notify> {
        Arc::default()
    }

    /// Does what is due at this time, or a part of it.
    fn round(&mut self, now: Timestamp) -> impl Future<Output = Result<Left, StoreError>> + Send;
}

/// Works in rounds until the stop: at once again while there is more to do, else after the interval or when
/// woken. Trouble with the store is logged when it begins and when it ends, and rests grow while it lasts.
pub(super) async fn repeat<W: Rounds>(mut worker: W, mut beat: Beat) {
    let (wake, never) = (worker.wake(), Notify::new());
    let mut trouble = Trouble::new(W::NAME);
    while !beat.is_stopping() {
        let done = worker.round(clock::now()).await;
        beat.beat();
        match trouble.after(done) {
            Next::GoOn(Left::More) => {}
            Next::GoOn(Left::Nothing) => beat.rest(worker.interval(), &wake).await,
            // What wakes a worker tells of work, not of a store that is well again.
            Next::Rest(pause) => beat.rest(pause, &never).await,
        }
    }
}

/// What to do after a try.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<T> {
    /// It worked.
    GoOn(T),
    /// Try again after this rest.
    Rest(Duration),
}

/// A run of failures, which is logged once.
#[derive(Debug)]
pub(super) struct Trouble {
    name: &'static str,
    failures: u32,
}

impl Trouble {
    pub(super) const fn new(name: &'static str) -> Self {
        Self { name, failures: 0 }
    }

    pub(super) fn after<T>(&mut self, done: Result<T, StoreError>) -> Next<T> {
        let name = self.name;
        match done {
            Ok(value) => {
                if self.failures > 0 {
                    tracing::info!(worker = name, failures = self.failures, "the store works again");
                }
                self.failures = 0;
                Next::GoOn(value)
            }
            Err(error) => {
                match (&error, self.failures) {
                    // Somebody else got on instead; that is no trouble yet.
                    (StoreError::Again(_) | StoreError::Taken(_), 0) => {
                        tracing::debug!(worker = name, %error, "goes again")
                    }
                    (_, 0) if error.is_passing() => {
                        tracing::warn!(worker = name, %error, "waits for the store")
                    }
                    (_, 0) => tracing::error!(worker = name, %error, "failed and tries again"),
                    _ => tracing::debug!(worker = name, %error, "failed again"),
                }
                self.failures = self.failures.saturating_add(1);
                Next::Rest(self.rest())
            }
        }
    }

    /// From 100 ms on, twice as long each time.
    fn rest(&self) -> Duration {
        let doublings = (self.failures - 1).min(10);
        (Duration::from_millis(100) * 2_u32.pow(doublings)).min(LONGEST_REST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_to_five_seconds_while_the_store_is_down_and_start_anew_after() {
        let mut trouble = Trouble::new("test");
        let down = || Err::<(), _>(StoreError::Unavailable("down".to_owned()));
        let rests: Vec<_> = (0..8).map(|_| trouble.after(down())).collect();
        let millis = [100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000];
        assert_eq!(
            rests,
            millis.map(|millis| Next::Rest(Duration::from_millis(millis)))
        );
        assert_eq!(trouble.after(Ok(())), Next::GoOn(()));
        assert_eq!(trouble.after(down()), Next::Rest(Duration::from_millis(100)));
    }
}
