//! A worker's sign of life, and how it rests between two rounds of work.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// How far the stop of the workers has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Everything runs.
    Running,
    /// No new work is begun.
    Stopping,
    /// Calls that are still under way are cut off.
    CutOff,
    /// How every call ended is committed, as far as it can be.
    Over,
}

/// While a worker rests it beats this often.
const RESTING_BEAT: Duration = Duration::from_secs(5);

/// When a worker was last known to be alive, and since when all that it tries fails.
#[derive(Debug)]
pub(super) struct Pulse {
    born: Instant,
    /// Milliseconds after its birth.
    last: AtomicU64,
    /// The same; [`NEVER`] while its work succeeds.
    failing_since: AtomicU64,
}

const NEVER: u64 = u64::MAX;

impl Pulse {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            born: Instant::now(),
            last: AtomicU64::new(0),
            failing_since: AtomicU64::new(NEVER),
        })
    }

    /// How long ago the last beat was.
    pub(super) fn age(&self) -> Duration {
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        self.born.elapsed().saturating_sub(last)
    }

    /// For how long all that it tried has failed.
    pub(super) fn failing_for(&self) -> Duration {
        let since = self.failing_since.load(Ordering::Relaxed);
        Duration::from_millis(self.now().saturating_sub(since))
    }

    fn beat(&self) {
        self.last.store(self.now(), Ordering::Relaxed);
    }

    fn tell(&self, success: bool) {
        let since = &self.failing_since;
        if success {
            since.store(NEVER, Ordering::Relaxed);
        } else {
            // The first failure of a run stays; only the worker itself writes.
            since.fetch_min(self.now(), Ordering::Relaxed);
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_millis()).unwrap_or(NEVER)
    }
}

/// What a worker holds of its supervisor.
#[derive(Debug, Clone)]
pub(super) struct Beat {
    pub(super) pulse: Arc<Pulse>,
    pub(super) stage: watch::Receiver<Stage>,
}

impl Beat {
    /// Tells that the worker is alive.
    pub(super) fn beat(&self) {
        self.pulse.beat();
    }

    /// Tells whether what was tried has succeeded. A failure is a sign of life as well.
    pub(super) fn tell(&self, success: bool) {
        self.pulse.tell(success);
        self.beat();
    }

    pub(super) fn is_stopping(&self) -> bool {
        *self.stage.borrow() >= Stage::Stopping
    }

    /// Rests for so long, or until it is woken or should stop.
    pub(super) async fn rest(&mut self, pause: Duration, wake: &Notify) {
        let until = Instant::now() + pause;
        loop {
            self.beat();
            let next = until.min(Instant::now() + RESTING_BEAT);
            tokio::select! {
                () = tokio::time::sleep_until(next) => if next == until { return },
                () = wake.notified() => return,
                _ = self.stage.wait_for(|stage| *stage >= Stage::Stopping) => return,
            }
        }
    }
}
