//! Where passwords are hashed: on few threads of low priority, in turns, behind a bounded queue.
//!
//! A hash takes 19 MiB and some 30 ms of a core. Twenty people who sign in at once must not take the cores from
//! receipts, nor may a flood of them take the memory: what finds no place in the queue is refused at once. Whoever has
//! questions to the store before the hash asks them in the same turn, for twenty who ask at once are felt as well.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
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
    /// Places of those who wait for their turn.
    places: Arc<Semaphore>,
    /// One more than there are threads, so that a thread finds the next hash when it has ended one.
    turns: Arc<Semaphore>,
    jobs: SyncSender<Job>,
    hashes: Arc<AtomicU64>,
}

/// A turn, for as long as it is held or its work goes on. It may hash, one password after another.
#[derive(Debug)]
pub struct Turn {
    hasher: Hasher,
    held: Arc<OwnedSemaphorePermit>,
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

struct Job {
    work: Work,
    /// Whoever gives up must not leave a full queue to others.
    _turn: Arc<OwnedSemaphorePermit>,
}

enum Work {
    Hash(Zeroizing<String>, oneshot::Sender<Option<String>>),
    Match(Zeroizing<String>, Option<String>, oneshot::Sender<Option<Match>>),
}

impl Hasher {
    /// Starts as many threads as this machine has cores to spare for them: half of them, and one at least.
    #[must_use]
    pub fn start() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = (cores / 2).max(1);
        let (hasher, jobs) = Self::with_turns(threads + 1, WAITING);
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..threads {
            let (jobs, hashes) = (jobs.clone(), hasher.hashes.clone());
            let thread = std::thread::Builder::new().name("passwords".to_owned());
            if let Err(error) = thread.spawn(move || work(&jobs, &hashes)) {
                tracing::error!(%error, "a thread for passwords could not be started");
            }
        }
        hasher
    }

    /// With so many turns at once, and so many who may wait for one; with it what is to be done.
    fn with_turns(turns: usize, waiting: usize) -> (Self, mpsc::Receiver<Job>) {
        let (sender, jobs) = mpsc::sync_channel(turns);
        let hasher = Self {
            places: Arc::new(Semaphore::new(waiting)),
            turns: Arc::new(Semaphore::new(turns)),
            jobs: sender,
            hashes: Arc::default(),
        };
        (hasher, jobs)
    }

    /// Waits for a turn, behind those who wait already.
    ///
    /// # Errors
    /// [`HashError::Busy`] where too many wait.
    pub async fn turn(&self) -> Result<Turn, HashError> {
        let place = self.places.try_acquire().map_err(|_| HashError::Busy)?;
        let held = self.turns.clone().acquire_owned().await;
        drop(place);
        Ok(Turn {
            hasher: self.clone(),
            held: Arc::new(held.map_err(|_| HashError::Failed)?),
        })
    }

    /// What is stored of a new password, in a turn of its own.
    ///
    /// # Errors
    /// [`HashError`] by its cause.
    pub async fn hash(&self, password: Password) -> Result<String, HashError> {
        self.turn().await?.hash(password.into_text()).await
    }

    /// How many passwords were hashed: whoever is refused must have cost as much as whoever is not.
    #[must_use]
    pub fn hashes(&self) -> u64 {
        self.hashes.load(Ordering::Relaxed)
    }
}

impl Turn {
    /// What is stored of a password. It is not judged: it was, or is in use and was proven.
    ///
    /// # Errors
    /// [`HashError::Failed`].
    pub(super) async fn hash(&self, text: Zeroizing<String>) -> Result<String, HashError> {
        self.ask(|reply| Work::Hash(text, reply)).await
    }

    /// Whether this text is the password of which that was stored. Where there is none, the work is the same,
    /// and the answer is no.
    ///
    /// # Errors
    /// [`HashError::Failed`].
    pub async fn matches(&self, text: Zeroizing<String>, stored: Option<String>) -> Result<Match, HashError> {
        self.ask(|reply| Work::Match(text, stored, reply)).await
    }

    async fn ask<T>(&self, work: impl FnOnce(oneshot::Sender<Option<T>>) -> Work) -> Result<T, HashError> {
        let (reply, answer) = oneshot::channel();
        let job = Job {
            work: work(reply),
            _turn: self.held.clone(),
        };
        // The queue has room for one of each turn.
        self.hasher.jobs.try_send(job).map_err(|_| HashError::Failed)?;
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
        job.work.run(hashes);
    }
}

impl Work {
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
        let turn = hasher.turn().await.unwrap();
        for (typed, stored, answer) in [
            ("correct horse battery", Some(&stored), Match::Right),
            ("correct horse batterz", Some(&stored), Match::Wrong),
            ("correct horse battery", None, Match::Wrong),
        ] {
            let before = hasher.hashes();
            assert_eq!(turn.matches(text(typed), stored.cloned()).await, Ok(answer));
            assert_eq!(hasher.hashes() - before, 1);
        }
    }

    #[tokio::test]
    async fn who_finds_no_turn_waits_for_one_and_who_finds_no_place_to_wait_is_refused_at_once() {
        let (hasher, _jobs) = Hasher::with_turns(1, 1);
        let held = hasher.turn().await.unwrap();
        let mut waiting = std::pin::pin!(hasher.turn());
        assert!(waiting.as_mut().now_or_never().is_none());
        assert_eq!(hasher.turn().await.unwrap_err(), HashError::Busy);
        drop(held);
        let turn = waiting.await;
        assert!(turn.is_ok());
        assert!(hasher.turn().now_or_never().is_none());
    }

    #[tokio::test]
    async fn who_gives_up_keeps_the_turn_until_its_work_is_taken_up() {
        let (hasher, jobs) = Hasher::with_turns(1, 1);
        let turn = hasher.turn().await.unwrap();
        let given_up = turn.matches(text("correct horse battery"), None).now_or_never();
        assert_eq!(given_up, None);
        drop(turn);
        assert!(hasher.turn().now_or_never().is_none());
        drop(jobs.recv().unwrap());
        assert!(hasher.turn().now_or_never().is_some());
    }

    #[test]
    fn nothing_is_hashed_for_whoever_has_gone() {
        let hashes = AtomicU64::new(0);
        let (reply, answer) = oneshot::channel();
        drop(answer);
        Work::Match(text("correct horse battery"), None, reply).run(&hashes);
        assert_eq!(hashes.into_inner(), 0);
    }
}
