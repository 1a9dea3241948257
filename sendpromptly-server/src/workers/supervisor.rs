//! Keeps the workers running: one that panics or stalls is started again, and named until it is well.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::beat::{Beat, Pulse, Stage};
use super::rounds::{Rounds, repeat};

/// A beat older than this is a stall, and failures for longer than this are trouble.
const STALLED_AFTER: Duration = Duration::from_secs(20);

/// How often the beats are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The workers of this process, each with its pulse.
#[derive(Debug)]
pub(super) struct Supervisor {
    stage: watch::Sender<Stage>,
    workers: Vec<Worker>,
}

#[derive(Debug)]
struct Worker {
    name: &'static str,
    pulse: Arc<Pulse>,
    task: JoinHandle<()>,
}

impl Supervisor {
    pub(super) fn new() -> Self {
        Self {
            stage: watch::Sender::new(Stage::Running),
            workers: Vec::new(),
        }
    }

    /// Tells how far the stop has come.
    pub(super) fn stage(&self) -> watch::Receiver<Stage> {
        self.stage.subscribe()
    }

    /// Begins the next stage of the stop.
    pub(super) fn enter(&self, stage: Stage) {
        self.stage.send_replace(stage);
    }

    /// Starts a worker: `make` gives what it does until it should stop.
    pub(super) fn start<F>(&mut self, name: &'static str, make: impl Fn(Beat) -> F + Send + Sync + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let pulse = Pulse::new();
        let beat = Beat {
            pulse: pulse.clone(),
            stage: self.stage(),
        };
        let task = tokio::spawn(keep_running(name, beat, make));
        self.workers.push(Worker { name, pulse, task });
    }

    /// Starts a worker that goes in rounds.
    pub(super) fn start_rounds<W: Rounds>(&mut self, worker: W) {
        self.start(W::NAME, move |beat| repeat(worker.clone(), beat));
    }

    /// The pulse of each worker.
    pub(super) fn pulses(&self) -> Vec<(&'static str, Arc<Pulse>)> {
        let pulse = |worker: &Worker| (worker.name, worker.pulse.clone());
        self.workers.iter().map(pulse).collect()
    }

    /// Waits until every worker has stopped, or until this time, and ends those that have not.
    pub(super) async fn finish(self, deadline: Instant) {
        for mut worker in self.workers {
            if tokio::time::timeout_at(deadline, &mut worker.task).await.is_err() {
                tracing::warn!(worker = worker.name, "did not stop in time");
                worker.task.abort();
            }
        }
    }
}

/// Whether a worker does not get on: it is not alive, or all that it tries has failed for too long.
pub(super) fn is_in_trouble(pulse: &Pulse) -> bool {
    is_stalled(pulse) || pulse.failing_for() > STALLED_AFTER
}

/// Whether a worker has not been alive for too long. One that fails is not started again for that.
fn is_stalled(pulse: &Pulse) -> bool {
    pulse.age() > STALLED_AFTER
}

async fn keep_running<F>(name: &'static str, beat: Beat, make: impl Fn(Beat) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    while !beat.is_stopping() {
        let mut run = Running(tokio::spawn(make(beat.clone())));
        match watch_over(&mut run.0, &beat).await {
            End::Stopped => return,
            End::Died => tracing::error!(worker = name, "died and starts again"),
            End::Stalled => tracing::error!(worker = name, "stalled and starts again"),
        }
        drop(run);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// A worker's run, which ends when nobody watches over it any more.
struct Running(JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

enum End {
    Stopped,
    Died,
    Stalled,
}

async fn watch_over(run: &mut JoinHandle<()>, beat: &Beat) -> End {
    let start = Instant::now();
    loop {
        tokio::select! {
            ended = &mut *run => return match ended {
                Ok(()) if beat.is_stopping() => End::Stopped,
                _ => End::Died,
            },
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        // One that was just started again has its time to show that it is alive.
        if is_stalled(&beat.pulse) && start.elapsed() > STALLED_AFTER && !beat.is_stopping() {
            return End::Stalled;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;

    use super::*;

    /// A worker that does as `run` says on each of its starts, counted from 1.
    fn supervise<F>(run: impl Fn(u32, Beat) -> F + Send + Sync + 'static) -> (Supervisor, Arc<AtomicU32>)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let starts = Arc::new(AtomicU32::new(0));
        let mut supervisor = Supervisor::new();
        let counter = starts.clone();
        supervisor.start("worker", move |beat| {
            run(counter.fetch_add(1, Ordering::SeqCst) + 1, beat)
        });
        (supervisor, starts)
    }

    fn stalled(supervisor: &Supervisor) -> Vec<&'static str> {
        let pulses = supervisor.pulses().into_iter();
        pulses
            .filter(|(_, pulse)| is_in_trouble(pulse))
            .map(|(name, _)| name)
            .collect()
    }

    async fn work_well(mut beat: Beat) {
        while !beat.is_stopping() {
            beat.rest(Duration::from_secs(3_600), &Notify::new()).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_panics_is_started_again() {
        let (supervisor, starts) = supervise(|start, beat| async move {
            assert!(start > 2, "a panic that is part of the test");
            work_well(beat).await;
        });
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(starts.load(Ordering::SeqCst), 3);
        assert!(stalled(&supervisor).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_stalls_is_named_within_30_seconds_and_started_again() {
        let (supervisor, starts) = supervise(|start, beat| async move {
            if start == 1 {
                std::future::pending::<()>().await;
            }
            work_well(beat).await;
        });
        tokio::time::sleep(Duration::from_millis(20_500)).await;
        assert_eq!(stalled(&supervisor), ["worker"]);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(starts.load(Ordering::SeqCst), 2);
        assert!(stalled(&supervisor).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_panics_again_and_again_is_named() {
        let (supervisor, _) = supervise(|_, _| async { panic!("a panic that is part of the test") });
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(stalled(&supervisor), ["worker"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_only_fails_is_named_until_it_succeeds_and_is_not_started_again() {
        let (supervisor, starts) = supervise(|_, mut beat| async move {
            let begin = Instant::now();
            while !beat.is_stopping() {
                beat.tell(begin.elapsed() > Duration::from_secs(60));
                beat.rest(Duration::from_secs(5), &Notify::new()).await;
            }
        });
        tokio::time::sleep(Duration::from_secs(18)).await;
        assert!(stalled(&supervisor).is_empty());
        tokio::time::sleep(Duration::from_secs(12)).await;
        assert_eq!(stalled(&supervisor), ["worker"]);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(stalled(&supervisor).is_empty());
        assert_eq!(starts.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_at_rest_is_alive_and_stops_at_once() {
        let (supervisor, starts) = supervise(|_, beat| work_well(beat));
        tokio::time::sleep(Duration::from_secs(1_000)).await;
        assert!(stalled(&supervisor).is_empty());
        assert_eq!(starts.load(Ordering::SeqCst), 1);
        supervisor.enter(Stage::Stopping);
        let begin = Instant::now();
        supervisor.finish(begin + Duration::from_secs(9)).await;
        assert_eq!(begin.elapsed(), Duration::ZERO);
    }
}
