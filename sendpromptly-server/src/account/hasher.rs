//! Where passwords are hashed: on few threads of low priority, behind a bounded queue.
//!
//! A hash takes 19 MiB and some 30 ms of a core. Twenty people who sign in at once must not take the cores from
//! receipts, nor may a flood of them take the memory: what finds no place in the queue is refused at once.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::password::{self, Match, Password};

/// Those who wait for their turn; at 30 ms each the last one waits two seconds.
const WAITING: usize = 64;

/// How long somebody for whom the queue has no place should wait.
pub const BUSY_FOR: Duration = Duration::from_secs(2);

/// How much lower than the others' the threads' priority is.
const NICENESS: i32 = 10;

/// Hashes passwords. Its copies are one.
#[derive(Clone)]
pub struct Hasher {
    queue: SyncSender<Job>,
    hashes: Arc<AtomicU64>,
}

/// Why a password was not hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HashError {
    /// Too many wait already: try again after [`BUSY_FOR`].
    #[error("too many passwords wait to be hashed")]
    Busy,
    /// The memory is not to be had, a stored hash cannot be read, or a thread has died.
    #[error("a password could not be hashed")]
    Failed,
}

enum Job {
    Hash(Zeroizing<String>, oneshot::Sender<Option<String>>),
    Match(Zeroizing<String>, Option<String>, oneshot::Sender<Option<Match>>),
}

impl Hasher {
    /// Starts as many threads as this machine has cores to spare for them: half of them, and one at least.
    #[must_use]
    pub fn start() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::with((cores / 2).max(1), WAITING)
    }

    fn with(places: usize, waiting: usize) -> Self {
        let (queue, jobs) = mpsc::sync_channel(waiting);
        let jobs = Arc::new(Mutex::new(jobs));
        let hashes = Arc::new(AtomicU64::new(0));
        for _ in 0..places {
            let (jobs, hashes) = (jobs.clone(), hashes.clone());
            let thread = std::thread::Builder::new().name("passwords".to_owned());
            if let Err(error) = thread.spawn(move || work(&jobs, &hashes)) {
                tracing::error!(%error, "a thread for passwords could not be started");
            }
        }
        Self { queue, hashes }
    }

    /// What is stored of a new password.
    ///
    /// # Errors
    /// [`HashError`] by its cause.
    pub async fn hash(&self, password: Password) -> Result<String, HashError> {
        self.hash_text(password.into_text()).await
    }

    /// The same for a password that is in use and was proven, and so is not judged again.
    pub(super) async fn hash_text(&self, text: Zeroizing<String>) -> Result<String, HashError> {
        self.ask(|reply| Job::Hash(text, reply)).await
    }

    /// Whether this text is the password of which that was stored. Where there is none, the work is the same,
    /// and the answer is no.
    ///
    /// # Errors
    /// [`HashError`] by its cause.
    pub async fn matches(&self, text: Zeroizing<String>, stored: Option<String>) -> Result<Match, HashError> {
        self.ask(|reply| Job::Match(text, stored, reply)).await
    }

    /// How many passwords were hashed: whoever is refused must have cost as much as whoever is not.
    #[must_use]
    pub fn hashes(&self) -> u64 {
        self.hashes.load(Ordering::Relaxed)
    }

    async fn ask<T>(&self, job: impl FnOnce(oneshot::Sender<Option<T>>) -> Job) -> Result<T, HashError> {
        let (reply, answer) = oneshot::channel();
        self.queue.try_send(job(reply)).map_err(|error| match error {
            TrySendError::Full(_) => HashError::Busy,
            TrySendError::Disconnected(_) => HashError::Failed,
        })?;
        answer.await.ok().flatten().ok_or(HashError::Failed)
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher")
            .field("hashes", &self.hashes())
            .finish_non_exhaustive()
    }
}

/// Hashes until nobody is left who could ask.
fn work(jobs: &Mutex<mpsc::Receiver<Job>>, hashes: &AtomicU64) {
    // On Linux each thread has a priority. Where it stays as it is, sign-ins only press harder on the rest.
    if let Err(error) = rustix::process::nice(NICENESS) {
        tracing::debug!(%error, "the priority of a thread for passwords stays as it is");
    }
    loop {
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        job.run(hashes);
    }
}

impl Job {
    /// Does it, unless whoever asked has gone.
    fn run(self, hashes: &AtomicU64) {
        match self {
            Self::Hash(text, reply) if !reply.is_closed() => {
                hashes.fetch_add(1, Ordering::Relaxed);
                let _ = reply.send(password::hash(&text).ok());
            }
            Self::Match(text, stored, reply) if !reply.is_closed() => {
                hashes.fetch_add(1, Ordering::Relaxed);
                let _ = reply.send(password::matches(&text, stored.as_deref()).ok());
            }
            Self::Hash(..) | Self::Match(..) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn text(text: &str) -> Zeroizing<String> {
        Zeroizing::new(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_matches_what_was_stored_of_it_and_each_answer_takes_one_hash() {
        let hasher = Hasher::start();
        let password = Password::new(text("correct horse battery"), &[]).unwrap();
        let stored = hasher.hash(password).await.unwrap();
        for (typed, stored, answer) in [
            ("correct horse battery", Some(&stored), Match::Right),
            ("correct horse batterz", Some(&stored), Match::Wrong),
            ("correct horse battery", None, Match::Wrong),
        ] {
            let before = hasher.hashes();
            assert_eq!(hasher.matches(text(typed), stored.cloned()).await, Ok(answer));
            assert_eq!(hasher.hashes() - before, 1);
        }
    }

    #[tokio::test]
    async fn what_finds_no_place_in_the_queue_is_refused_at_once() {
        // Nobody takes anything out of this queue.
        let (queue, _jobs) = mpsc::sync_channel(1);
        let hasher = Hasher {
            queue,
            hashes: Arc::default(),
        };
        let mut first = std::pin::pin!(hasher.matches(text("correct horse battery"), None));
        assert!(first.as_mut().now_or_never().is_none());
        let second = hasher.matches(text("correct horse battery"), None);
        assert_eq!(second.await, Err(HashError::Busy));
    }

    #[test]
    fn nothing_is_hashed_for_whoever_has_gone() {
        let hashes = AtomicU64::new(0);
        let (reply, answer) = oneshot::channel();
        drop(answer);
        Job::Match(text("correct horse battery"), None, reply).run(&hashes);
        assert_eq!(hashes.into_inner(), 0);
    }
}
