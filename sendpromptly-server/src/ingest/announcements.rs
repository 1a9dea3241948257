//! Group commit of what providers tell: whatever waits is written in one statement, and answered after the commit.
//!
//! An announcement of an event that is stored already changes nothing, so there is nothing to look up and nothing to
//! decide: a statement whose outcome is unknown is run again. Only where it may be known by another name, what is stored is
//! looked up first, and what somebody else has stored meanwhile fails the write.

use std::sync::Arc;

use tokio::sync::{Mutex, mpsc, oneshot};

use super::names;
use super::request::IngestError;
use crate::store::announcements::{self, NewAnnouncement};
use crate::store::{Store, StoreError, shopify_names};

/// As many as of receipts.
const BATCH: usize = 64;

/// Tries, each after another transaction was in the way or the connection broke.
const TRIES: usize = 5;

/// An announcement and who waits for its commit.
#[derive(Debug)]
pub(super) struct Job {
    announcement: NewAnnouncement,
    reply: oneshot::Sender<Result<(), IngestError>>,
}

impl Job {
    /// A job, and where its outcome comes.
    pub(super) fn of(announcement: NewAnnouncement) -> (Self, oneshot::Receiver<Result<(), IngestError>>) {
        let (reply, committed) = oneshot::channel();
        (Self { announcement, reply }, committed)
    }
}

/// Where announcements wait.
pub(super) type Queue = Arc<Mutex<mpsc::Receiver<Job>>>;

/// A panic ends one batch: its callers are told that the outcome is unknown.
pub(super) async fn keep_running(store: Store, queue: Queue) {
    while let Err(error) = tokio::spawn(run(store.clone(), queue.clone())).await {
        tracing::error!(%error, "the committer of announcements failed and starts again");
    }
}

/// Runs until the queue is closed and empty.
async fn run(store: Store, queue: Queue) {
    let mut batch = Vec::with_capacity(BATCH);
    while queue.lock().await.recv_many(&mut batch, BATCH).await > 0 {
        let (announcements, replies): (Vec<_>, Vec<_>) =
            batch.drain(..).map(|job| (job.announcement, job.reply)).unzip();
        for (outcome, reply) in settle(&store, &announcements).await.into_iter().zip(replies) {
            let _ = reply.send(outcome);
        }
    }
}

/// What becomes of each. One that the store refuses does not take the others with it.
async fn settle(store: &Store, announcements: &[NewAnnouncement]) -> Vec<Result<(), IngestError>> {
    match commit(store, announcements).await {
        Ok(()) => vec![Ok(()); announcements.len()],
        Err(error) if error.is_passing() => {
            tracing::warn!(%error, events = announcements.len(), "announcements were not committed");
            vec![Err(IngestError::Unavailable); announcements.len()]
        }
        Err(_) => {
            let mut outcomes = Vec::with_capacity(announcements.len());
            for announcement in announcements {
                let committed = commit(store, std::slice::from_ref(announcement)).await;
                outcomes.push(committed.map_err(|error| {
                    tracing::error!(%error, "an announcement was not committed");
                    IngestError::Internal
                }));
            }
            outcomes
        }
    }
}

async fn commit(store: &Store, announcements: &[NewAnnouncement]) -> Result<(), StoreError> {
    let may_be_named = |new: &NewAnnouncement| new.announcement.resource.is_some();
    let may_be_named = announcements.iter().any(may_be_named);
    let mut left = TRIES;
    loop {
        left -= 1;
        let committed = if may_be_named {
            commit_named(store, announcements).await
        } else {
            store
                .commit_together(vec![announcements::insert(announcements)])
                .await
        };
        match committed {
            Err(StoreError::Taken(_) | StoreError::Again(_) | StoreError::Broken(_)) if left > 0 => {}
            outcome => return outcome,
        }
    }
}

async fn commit_named(store: &Store, announcements: &[NewAnnouncement]) -> Result<(), StoreError> {
    let (named, others): (Vec<_>, Vec<_>) = announcements
        .iter()
        .partition(|new| new.announcement.resource.is_some());
    let known = store.known_events(named.iter().map(|new| new.name()));
    let stored = store.named_events(named.iter().filter_map(|new| new.about()));
    let (known, stored) = tokio::try_join!(known, stored)?;
    let (new, names) = names::of_announcements(&named, stored, &known);
    let writes = vec![
        announcements::insert_new(new),
        announcements::insert(others),
        shopify_names::insert(&names),
    ];
    store.commit_together(writes).await
}
