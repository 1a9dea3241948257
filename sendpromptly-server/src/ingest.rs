//! Group commit: receipts and results wait in a bounded queue; a committer writes whatever waits in one
//! transaction, and answers each caller after the commit.
//!
//! No timer is involved: a lone request is committed at once, and a batch forms while the one before it
//! commits. Two committers, or two nodes, never need a lock in memory; the database's unique keys settle
//! their races.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::metrics::CommitMetrics;
use crate::store::Store;
use crate::store::announcements::NewAnnouncement;

mod announcements;
mod answer;
mod committer;
mod names;
mod payload;
mod receipts;
mod request;
mod results;
mod round;
#[cfg(test)]
mod tests;

pub use payload::{Kept, Room, SealedPayload};
pub use request::{Accepted, Declined, IngestError, IngestRequest, NewReceipt, Signal};

/// Requests that may wait. One more is refused as unavailable, for memory is bounded.
const QUEUE: usize = 2_048;

/// Bytes of payloads that may wait with them, for the same reason.
const PAYLOADS: usize = 32 * 1_024 * 1_024;

/// How long a caller waits for the store.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// A request and who waits for its outcome.
#[derive(Debug)]
struct Job {
    request: IngestRequest,
    reply: oneshot::Sender<Result<Accepted, Declined>>,
}

impl Job {
    /// Tells the caller, unless it has gone.
    fn answer(self, outcome: request::Outcome) {
        let request = self.request;
        let _ = self.reply.send(outcome.map_err(|error| Declined {
            request: matches!(error, IngestError::Announced(_)).then(|| Box::new(request)),
            error,
        }));
    }
}

/// Where the API leaves receipts and results.
#[derive(Debug, Clone)]
pub struct Ingest {
    queue: mpsc::Sender<Job>,
    /// Room for payloads, in bytes.
    payloads: Arc<Semaphore>,
    announcements: mpsc::Sender<announcements::Job>,
}

/// The queue of an [`Ingest`], seen from outside. It keeps no committer running.
#[derive(Debug, Clone)]
pub struct Queue(mpsc::WeakSender<Job>);

/// The committers of an [`Ingest`].
#[derive(Debug)]
pub struct Committers {
    tasks: Vec<JoinHandle<()>>,
}

impl Ingest {
    /// Starts so many committers on this store.
    #[must_use]
    pub fn start(store: &Store, committers: usize, metrics: &CommitMetrics) -> (Self, Committers) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let queue = Arc::new(Mutex::new(receiver));
        let mut tasks: Vec<_> = (0..committers.max(1))
            .map(|_| tokio::spawn(keep_running(store.clone(), queue.clone(), metrics.clone())))
            .collect();
        let (announcements, announced) = mpsc::channel(QUEUE);
        tasks.push(tokio::spawn(announcements::keep_running(
            store.clone(),
            Arc::new(Mutex::new(announced)),
        )));
        let ingest = Self {
            queue: sender,
            payloads: Arc::new(Semaphore::new(PAYLOADS)),
            announcements,
        };
        (ingest, Committers { tasks })
    }

    /// Its queue, to be watched.
    #[must_use]
    pub fn queue(&self) -> Queue {
        Queue(self.queue.downgrade())
    }

    /// Commits a request, and gives its answer once it is durable.
    ///
    /// # Errors
    /// [`IngestError`] where it is refused, or not known to be accepted.
    pub async fn submit(&self, request: IngestRequest) -> Result<Accepted, IngestError> {
        self.offer(request).await.map_err(|declined| declined.error)
    }

    /// Room in memory for a payload of so many bytes, where there is any. It is taken before the payload waits for
    /// anything, for all wait in the same room.
    #[must_use]
    pub fn room_for(&self, bytes: usize) -> Option<Room> {
        let bytes = u32::try_from(bytes).ok()?;
        let room = self.payloads.clone().try_acquire_many_owned(bytes);
        room.ok().map(Room::new)
    }

    /// The same, and gives the request back where its payload must be sealed for another event.
    ///
    /// # Errors
    /// [`Declined`], as [`submit`](Self::submit).
    pub async fn offer(&self, request: IngestRequest) -> Result<Accepted, Declined> {
        let unavailable = || Declined::because(IngestError::Unavailable);
        let (reply, outcome) = oneshot::channel();
        let job = Job { request, reply };
        self.queue.try_send(job).map_err(|_| unavailable())?;
        match tokio::time::timeout(PATIENCE, outcome).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) | Err(_) => Err(unavailable()),
        }
    }

    /// Commits what a provider has told of an event; it is durable then.
    ///
    /// # Errors
    /// [`IngestError::Unavailable`] where that is not known.
    pub async fn announce(&self, announcement: NewAnnouncement) -> Result<(), IngestError> {
        let (job, committed) = announcements::Job::of(announcement);
        self.announcements
            .try_send(job)
            .map_err(|_| IngestError::Unavailable)?;
        match tokio::time::timeout(PATIENCE, committed).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) | Err(_) => Err(IngestError::Unavailable),
        }
    }
}

impl Queue {
    /// How many requests wait; none once the committers have finished.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let queue = self.0.upgrade();
        queue.map_or(0, |queue| queue.max_capacity() - queue.capacity())
    }
}

impl Committers {
    /// Waits until what was accepted into the queue is committed. Every [`Ingest`] must be dropped before.
    pub async fn finish(self) {
        for task in self.tasks {
            let _ = task.await;
        }
    }
}

/// A panic ends one batch, not the committer: its callers are told that the outcome is unknown.
async fn keep_running(store: Store, queue: committer::Queue, metrics: CommitMetrics) {
    while let Err(error) = tokio::spawn(committer::run(store.clone(), queue.clone(), metrics.clone())).await {
        tracing::error!(%error, "a committer failed and starts again");
    }
}
