//! A committer: takes whatever waits, writes it in as few transactions as it can, answers after the commit.
//!
//! It is optimistic. Most requests are new, so a batch is first written as if all were; a unique key that is
//! taken undoes the whole write, and the batch looks up what is stored before it writes again. After a batch
//! that met something known, the next one looks first. A write whose outcome is unknown, for the connection
//! broke, is settled by the same look-up.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use sendpromptly_core::dedupe::{KeyVerdict, key_verdict};
use sendpromptly_core::time::Timestamp;
use tokio::sync::{Mutex, mpsc};

use super::request::{Accepted, IngestError, IngestRequest, NewReceipt, Outcome, Signal};
use super::results::{self, Fates};
use super::round::Round;
use super::{Job, receipts};
use crate::metrics::CommitMetrics;
use crate::store::idempotency::{self, KeyName, Remembered};
use crate::store::receipts::{KnownEvent, ProviderEventName};
use crate::store::shopify_names::{NamedEvents, ResourceKey};
use crate::store::{Store, StoreError};

/// As good for throughput as larger batches, and quicker to answer.
const BATCH: usize = 64;

/// Each try that fails shows that somebody else got on, so this many in a row means a store in trouble.
const TRIES: usize = 5;

/// The queue that all committers take from.
pub(super) type Queue = Arc<Mutex<mpsc::Receiver<Job>>>;

/// Runs until the queue is closed and empty.
pub(super) async fn run(store: Store, queue: Queue, metrics: CommitMetrics) {
    let mut committer = Committer {
        store,
        metrics,
        look_first: [false; 2],
    };
    let mut batch = Vec::with_capacity(BATCH);
    while queue.lock().await.recv_many(&mut batch, BATCH).await > 0 {
        committer.metrics.batch(batch.len());
        let mut waiting = std::mem::take(&mut batch);
        while !waiting.is_empty() {
            let round = Round::of(waiting);
            let outcomes = committer.settle(&round.leaders).await;
            waiting = round.answer(outcomes);
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Receipts,
    Results,
}

/// What is stored about a group of requests.
#[derive(Default)]
struct Look {
    remembered: HashMap<KeyName, Remembered>,
    events: HashMap<ProviderEventName, KnownEvent>,
    named: NamedEvents,
}

/// A request's place in its batch.
type Place = usize;

struct Committer {
    store: Store,
    metrics: CommitMetrics,
    /// For each kind, whether the batch before met something known.
    look_first: [bool; 2],
}

impl Committer {
    /// What becomes of each job, in order. Their keys differ. Receipts go before results, so that a result
    /// finds the event of a receipt that came just before it.
    async fn settle(&mut self, jobs: &[Job]) -> Vec<Outcome> {
        let mut outcomes: Vec<Outcome> = vec![Err(IngestError::Unavailable); jobs.len()];
        for kind in [Kind::Receipts, Kind::Results] {
            let places: Vec<Place> = (0..jobs.len())
                .filter(|place| kind.is_of(&jobs[*place]))
                .collect();
            // One after another from the front: results of one event must keep their order of arrival.
            let mut groups: VecDeque<_> = (!places.is_empty()).then_some(places).into_iter().collect();
            while let Some(group) = groups.pop_front() {
                let settled = self.settle_group(kind, jobs, &group, &mut outcomes).await;
                if settled.is_err() {
                    self.metrics.failed();
                }
                match settled {
                    Ok(()) => {}
                    Err(error) if error.is_passing() => {
                        tracing::warn!(%error, requests = group.len(), "a batch was not committed");
                    }
                    // One bad row must not refuse its neighbours.
                    Err(_) if group.len() > 1 => {
                        let unsettled = |place: &Place| outcomes[*place] == Err(IngestError::Unavailable);
                        let open = group.into_iter().filter(unsettled);
                        groups.extend(open.map(|place| vec![place]));
                    }
                    Err(error) => {
                        tracing::error!(%error, "a request was not committed");
                        outcomes[group[0]] = Err(IngestError::Internal);
                    }
                }
            }
        }
        outcomes
    }

    async fn settle_group(
        &mut self,
        kind: Kind,
        jobs: &[Job],
        group: &[Place],
        outcomes: &mut [Outcome],
    ) -> Result<(), StoreError> {
        let mut open = group.to_vec();
        // An event that is known by another name has no key in common that would tell of it.
        let mut look_first = self.look_first[kind as usize]
            || group.iter().any(|place| about(&jobs[*place].request).is_some());
        let mut last = None;
        for _ in 0..TRIES {
            let look = if look_first {
                self.look(kind, jobs, &open).await?
            } else {
                Look::default()
            };
            self.look_first[kind as usize] = !(look.remembered.is_empty() && look.events.is_empty());
            let expired = settle_remembered(&look, jobs, &mut open, outcomes);
            if open.is_empty() {
                return Ok(());
            }
            let written = async {
                self.make_room(expired, jobs, &open).await?;
                self.write(kind, jobs, &open, &look).await
            };
            match written.await {
                Ok(fates) => {
                    open = settle_written(open, fates, look_first, outcomes);
                    if open.is_empty() {
                        return Ok(());
                    }
                }
                Err(error @ (StoreError::Taken(_) | StoreError::Again(_) | StoreError::Broken(_))) => {
                    tracing::debug!(%error, "a batch looks at what is stored and goes again");
                    last = Some(error);
                }
                Err(error) => return Err(error),
            }
            look_first = true;
        }
        Err(last.unwrap_or_else(|| StoreError::Unavailable("no try was made".to_owned())))
    }

    /// All questions are asked at once: one round trip is dearer than an answer that is not needed.
    async fn look(&self, kind: Kind, jobs: &[Job], places: &[Place]) -> Result<Look, StoreError> {
        let requests = || places.iter().map(|place| &jobs[*place].request);
        let remembered = self.store.remembered(requests().map(IngestRequest::key_name));
        match kind {
            Kind::Results => Ok(Look {
                remembered: remembered.await?,
                ..Look::default()
            }),
            Kind::Receipts => {
                let names = requests()
                    .filter_map(|request| Some(receipts::event_name(request, &as_receipt(request)?.receipt)));
                let events = self.store.known_events(names);
                let named = self.store.named_events(requests().filter_map(about));
                let (remembered, events, named) = tokio::try_join!(remembered, events, named)?;
                Ok(Look {
                    remembered,
                    events,
                    named,
                })
            }
        }
    }

    /// Drops the answers under these keys, which are too old to count.
    async fn make_room(&self, expired: Vec<KeyName>, jobs: &[Job], open: &[Place]) -> Result<(), StoreError> {
        let last = open.iter().map(|place| jobs[*place].request.received_at).max();
        match last {
            Some(now) if !expired.is_empty() => {
                let drop = idempotency::drop_expired(expired, now);
                self.store.commit_together(vec![drop]).await
            }
            _ => Ok(()),
        }
    }

    async fn write(
        &self,
        kind: Kind,
        jobs: &[Job],
        places: &[Place],
        look: &Look,
    ) -> Result<Fates, StoreError> {
        let requests = places.iter().map(|place| &jobs[*place].request);
        let start = Instant::now();
        match kind {
            Kind::Receipts => {
                let requests: Vec<_> = requests
                    .filter_map(|request| Some((request, as_receipt(request)?)))
                    .collect();
                let is_named = requests.iter().any(|(_, new)| new.receipt.resource.is_some());
                let fates = if is_named || look.events.values().any(|known| known.receipt.is_none()) {
                    receipts::commit_locked(&self.store, &requests, &look.named).await?
                } else {
                    let plan = receipts::plan(self.store.dialect(), &requests, &look.events);
                    self.store.commit_together(plan.writes).await?;
                    plan.fates
                };
                self.metrics.committed_receipts(start.elapsed());
                Ok(fates)
            }
            Kind::Results => {
                let requests: Vec<_> = requests
                    .filter_map(|request| Some((request, as_result(request)?)))
                    .collect();
                let fates = results::commit(&self.store, &requests).await?;
                self.metrics.committed_results(start.elapsed());
                Ok(fates)
            }
        }
    }
}

/// Answers the requests whose keys are remembered and leaves the others in `open`; gives the keys whose
/// answers are too old to count.
fn settle_remembered(
    look: &Look,
    jobs: &[Job],
    open: &mut Vec<Place>,
    outcomes: &mut [Outcome],
) -> Vec<KeyName> {
    let mut expired = Vec::new();
    open.retain(|&place| {
        let request = &jobs[place].request;
        let Some(remembered) = look.remembered.get(&request.key_name()) else {
            return true;
        };
        match verdict(remembered, request, request.received_at) {
            KeyVerdict::Fresh => {
                expired.push(request.key_name());
                return true;
            }
            KeyVerdict::Conflict => outcomes[place] = Err(IngestError::Conflict),
            KeyVerdict::Repeat => {
                let body = Bytes::copy_from_slice(remembered.answer.as_bytes());
                outcomes[place] = Ok(Accepted { body, replayed: true });
            }
        }
        false
    });
    expired.sort_unstable(); // whoever drops some of the same goes the same way
    expired
}

/// Answers what was written, and what was refused by a look at the store; gives the places that were refused
/// without one. A key that is remembered answers before such a refusal does, so these are looked up and go again.
fn settle_written(places: Vec<Place>, fates: Fates, looked: bool, outcomes: &mut [Outcome]) -> Vec<Place> {
    let mut refused = Vec::new();
    for (place, fate) in places.into_iter().zip(fates) {
        if fate.is_err() && !looked {
            refused.push(place);
            continue;
        }
        outcomes[place] = fate.map(|answer| Accepted {
            body: Bytes::from(answer),
            replayed: false,
        });
    }
    refused
}

fn verdict(remembered: &Remembered, request: &IngestRequest, now: Timestamp) -> KeyVerdict {
    key_verdict(
        Some((&remembered.fingerprint, remembered.created_at)),
        &request.fingerprint,
        now,
    )
}

impl Kind {
    const fn is_of(self, job: &Job) -> bool {
        matches!(
            (self, &job.request.signal),
            (Self::Receipts, Signal::Receipt(_)) | (Self::Results, Signal::Result(_))
        )
    }
}

const fn as_receipt(request: &IngestRequest) -> Option<&NewReceipt> {
    match &request.signal {
        Signal::Receipt(receipt) => Some(receipt),
        Signal::Result(_) => None,
    }
}

/// What a receipt's event is about, where that names it.
fn about(request: &IngestRequest) -> Option<ResourceKey> {
    let resource = as_receipt(request)?.receipt.resource?;
    Some((request.project.project, resource))
}

const fn as_result(request: &IngestRequest) -> Option<&sendpromptly_core::request::ResultReport> {
    match &request.signal {
        Signal::Result(report) => Some(report),
        Signal::Receipt(_) => None,
    }
}
