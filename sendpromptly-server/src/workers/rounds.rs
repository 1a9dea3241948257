//! The loop that every worker is: rounds of work, rests between them, and patience with a store in trouble.

use std::sync::Arc;
use std::time::Duration;

use sendpromptly_core::time::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::beat::Beat;
use crate::platform::clock;
use crate::store::StoreError;

/// The longest rest while the store is in trouble.
const LONGEST_REST: Duration = Duration::from_secs(5);

/// While trouble lasts it is logged this often.
const LOG_EVERY: Duration = Duration::from_secs(60);

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
/// woken. Trouble with the store is logged when it begins, each minute and when it ends, and rests grow while
/// it lasts.
pub(super) async fn repeat<W: Rounds>(mut worker: W, mut beat: Beat) {
    let (wake, never) = (worker.wake(), Notify::new());
    let mut trouble = Trouble::new(W::NAME);
    while !beat.is_stopping() {
        let done = worker.round(clock::now()).await;
        beat.tell(done.is_ok());
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

/// A run of failures, which is logged now and then.
#[derive(Debug)]
pub(super) struct Trouble {
    name: &'static str,
    failures: u32,
    logged: Option<Instant>,
}

impl Trouble {
    pub(super) const fn new(name: &'static str) -> Self {
        Self {
            name,
            failures: 0,
            logged: None,
        }
    }

    pub(super) fn after<T>(&mut self, done: Result<T, StoreError>) -> Next<T> {
        let name = self.name;
        match done {
            Ok(value) => {
                if self.failures > 0 {
                    tracing::info!(worker = name, failures = self.failures, "the store works again");
                }
                (self.failures, self.logged) = (0, None);
                Next::GoOn(value)
            }
            Err(error) => {
                let failures = self.failures;
                if !self.is_news(&error) {
                    tracing::debug!(worker = name, failures, %error, "failed and tries again");
                } else if error.is_passing() {
                    tracing::warn!(worker = name, failures, %error, "waits for the store");
                } else {
                    tracing::error!(worker = name, failures, %error, "failed and tries again");
                }
                self.failures = self.failures.saturating_add(1);
                Next::Rest(self.rest())
            }
        }
    }

    /// Whether a failure should be seen: the first of a run, and one each minute.
    fn is_news(&mut self, error: &StoreError) -> bool {
        // Somebody else got on instead; that is no trouble yet.
        if self.failures == 0 && matches!(error, StoreError::Again(_) | StoreError::Taken(_)) {
            return false;
        }
        let news = self.logged.is_none_or(|logged| logged.elapsed() >= LOG_EVERY);
        if news {
            self.logged = Some(Instant::now());
        }
        news
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

    #[tokio::test(start_paused = true)]
    async fn trouble_is_news_at_first_and_then_each_minute() {
        let mut trouble = Trouble::new("test");
        let down = StoreError::Unavailable("down".to_owned());
        let mut news = Vec::new();
        for _ in 0..5 {
            news.push(trouble.is_news(&down));
            tokio::time::advance(Duration::from_secs(30)).await;
        }
        assert_eq!(news, [true, false, true, false, true]);
        assert_eq!(trouble.after(Ok(())), Next::GoOn(()));
        let in_the_way = StoreError::Again("deadlock".to_owned());
        assert!(!trouble.is_news(&in_the_way));
        let _ = trouble.after(Err::<(), _>(in_the_way));
        assert!(trouble.is_news(&down));
    }
}
