//! The shell around the rules: it loads, asks the core, and stores the decision.

use std::convert::Infallible;

use sendpromptly_core::audit::Origin;
use sendpromptly_core::case::{
    Case, Decision, EffectReport, EventStatus, ForeignReplay, OrderKey, PlacedOrder, Refusal, ReprocessOrder,
};
use sendpromptly_core::credential::SigningSecret;
use sendpromptly_core::dedupe::{Endpoint, Fingerprint, KeyVerdict, key_verdict};
use sendpromptly_core::event::Mode;
use sendpromptly_core::id::{EventId, IncidentId, OrganizationId, ProjectId, ReplayId};
use sendpromptly_core::replay::{AttemptOutcome, Jitter, RetryContext, RetrySchedule};
use sendpromptly_core::request::{BodyError, IdempotencyKey, IdempotencyKeyError, Receipt};
use sendpromptly_core::signing::{CallbackBody, Nonce, callback_headers};
use sendpromptly_core::time::Timestamp;

use crate::entropy;
use crate::store::{Store, StoredEvent, Tables};

/// How long a result may take where the receipt does not say, in minutes.
const TIMEOUT_MINUTES: u32 = 30;

/// Watches the payments of one project.
#[derive(Debug)]
pub struct Monitor {
    /// Where everything is stored.
    pub store: Store,
    /// Whose audit log it is.
    pub organization: OrganizationId,
    project: ProjectId,
    secret: SigningSecret,
    schedule: RetrySchedule,
}

/// A receipt that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The event: one for all receipts that name it.
    pub event: EventId,
    /// By when its result must come.
    pub timeout_at: Timestamp,
    /// Whether the event was known before.
    pub duplicate: bool,
}

/// A call to make: its signed headers and its body.
#[derive(Debug)]
pub struct Call {
    /// The headers that prove it.
    pub headers: [(&'static str, String); 4],
    /// The body, the same bytes on every attempt.
    pub body: String,
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    /// The Idempotency-Key is none.
    #[error(transparent)]
    Key(#[from] IdempotencyKeyError),
    /// The body is wrong.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// The Idempotency-Key was used for another request.
    #[error("this Idempotency-Key was used for another request")]
    Conflict,
    /// There is no such event.
    #[error("there is no such event")]
    NoEvent,
    /// The replay is another event's.
    #[error("replay_id {0}")]
    Replay(#[from] ForeignReplay),
    /// A rule refuses the order.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Monitor {
    /// A monitor with an empty store, which signs with this secret.
    #[must_use]
    pub fn new(secret: SigningSecret, now: Timestamp) -> Self {
        Self {
            store: Store::default(),
            organization: OrganizationId::new(now, entropy()),
            project: ProjectId::new(now, entropy()),
            secret,
            schedule: RetrySchedule::default(),
        }
    }

    /// Takes a receipt.
    ///
    /// # Errors
    /// [`MonitorError`] for a bad key or body, or a key of another request.
    pub fn receive(&self, key: &[u8], body: &[u8], now: Timestamp) -> Result<Accepted, MonitorError> {
        let key = IdempotencyKey::parse(key)?;
        let receipt = Receipt::parse(body, now)?;
        let fingerprint = Fingerprint::of(Endpoint::Receipt, body);
        self.store.transaction(|tables| {
            let remembered = tables.accepted.get(&key);
            let verdict = key_verdict(remembered.map(|(first, _, at)| (first, *at)), &fingerprint, now);
            match (verdict, remembered) {
                (KeyVerdict::Conflict, _) => return Err(MonitorError::Conflict),
                // A server would give the first answer's own bytes; here they are made of the same event.
                (KeyVerdict::Repeat, Some((_, event, _))) => return accepted(tables, *event, false),
                _ => {}
            }
            let name = (receipt.provider, receipt.provider_event_id.clone());
            let known = tables.names.get(&name).copied();
            let event = known.unwrap_or_else(|| EventId::new(now, entropy()));
            if known.is_none() {
                let minutes = receipt.timeout_minutes.unwrap_or(TIMEOUT_MINUTES);
                let case = Case::new(EventStatus::pending(event, now.plus_minutes(minutes)));
                let stored = StoredEvent {
                    receipt,
                    case,
                    calling: None,
                };
                tables.events.insert(event, stored);
                tables.names.insert(name, event);
            }
            tables.accepted.insert(key, (fingerprint, event, now));
            accepted(tables, event, known.is_some())
        })
    }

    /// Opens the incident of every event whose result is overdue; gives those that it opened.
    pub fn sweep(&self, now: Timestamp) -> Vec<IncidentId> {
        let Ok(opened) = self.store.transaction::<_, Infallible>(|tables| {
            let due = |stored: &&StoredEvent| stored.case.event.sweep_at.is_some_and(|due| due <= now);
            let cases: Vec<Case> = tables
                .events
                .values()
                .filter(due)
                .map(|stored| stored.case.clone())
                .collect();
            let mut opened = Vec::new();
            for case in cases {
                let incident = IncidentId::new(now, entropy());
                let decision = case.time_out(incident, &Origin::system("sweep"), now);
                opened.extend((!decision.entries.is_empty()).then_some(incident));
                tables.put(self.organization, decision, now);
            }
            Ok(opened)
        });
        opened
    }

    /// Orders an event's effect to be run again. The same order sent twice gives the same replay.
    ///
    /// # Errors
    /// [`MonitorError`] where there is no such event, or a rule refuses the order.
    pub fn reprocess(
        &self,
        event: EventId,
        key: &OrderKey,
        now: Timestamp,
    ) -> Result<ReplayId, MonitorError> {
        self.store.transaction(|tables| {
            let stored = tables.events.get(&event).ok_or(MonitorError::NoEvent)?.clone();
            let incident = stored.case.incident.as_ref().ok_or(Refusal::NoIncident)?.id;
            if let Some(placed) = tables.orders.get(key) {
                return Ok(placed.repeated_for(incident)?);
            }
            let replay = ReplayId::new(now, entropy());
            let order = ReprocessOrder {
                replay_id: replay,
                again: false,
                schedule: &self.schedule,
            };
            let decision = stored.case.reprocess(order, &Origin::system("operator"), now)?;
            tables
                .bodies
                .insert(replay, self.body(event, incident, replay, &stored.receipt));
            let placed = PlacedOrder {
                incident_id: incident,
                replay_id: replay,
            };
            tables.orders.insert(key.clone(), placed);
            tables.put(self.organization, decision, now);
            Ok(replay)
        })
    }

    fn body(&self, event: EventId, incident: IncidentId, replay: ReplayId, receipt: &Receipt) -> String {
        let body = CallbackBody {
            replay_id: replay,
            incident_id: incident,
            event_id: event,
            project_id: self.project,
            mode: Mode::Test,
            provider: receipt.provider,
            provider_event_id: &receipt.provider_event_id,
            event_type: &receipt.event_type,
            effect_type: receipt.effect_type,
            internal_reference: &receipt.internal_reference,
            occurred_at: receipt.occurred_at,
        };
        body.to_json()
    }

    /// Begins an attempt of a replay whose time has come, unless a call for the event is under way already. It is
    /// stored as under way before the call is made, so that a program which dies during the call knows of it
    /// afterwards: see [`Monitor::calls_under_way`].
    ///
    /// # Errors
    /// [`MonitorError::NoEvent`] where there is no such event.
    pub fn begin_call(
        &self,
        event: EventId,
        replay: ReplayId,
        now: Timestamp,
    ) -> Result<Option<Call>, MonitorError> {
        self.store.transaction(|tables| {
            let stored = tables.events.get_mut(&event).ok_or(MonitorError::NoEvent)?;
            let queued = stored
                .case
                .replay_under_way()
                .and_then(|replay| replay.next_attempt_at);
            if stored.calling.is_some() || queued.is_none_or(|due| due > now) {
                return Ok(None);
            }
            let Some(begun) = stored.case.clone().begin_attempt(replay) else {
                return Ok(None);
            };
            let attempt = begun.replay_under_way().map_or(0, |replay| replay.attempts);
            stored.case = begun;
            stored.calling = Some(replay);
            let body = tables.bodies.get(&replay).cloned().unwrap_or_default();
            let nonce = Nonce::from_entropy(entropy());
            let secrets = std::slice::from_ref(&self.secret);
            let headers = callback_headers(secrets, now, &nonce, attempt, body.as_bytes());
            Ok(Some(Call { headers, body }))
        })
    }

    /// The calls that were begun and have not ended. A program that starts again ends each with
    /// [`AttemptOutcome::CutOff`]; then its replay goes again.
    #[must_use]
    pub fn calls_under_way(&self) -> Vec<(EventId, ReplayId)> {
        let events = self.store.read().events.into_iter();
        events
            .filter_map(|(event, stored)| Some((event, stored.calling?)))
            .collect()
    }

    /// Takes note of how a call ended.
    ///
    /// # Errors
    /// [`MonitorError::NoEvent`] where there is no such event.
    pub fn end_call(
        &self,
        event: EventId,
        replay: ReplayId,
        outcome: AttemptOutcome,
        now: Timestamp,
    ) -> Result<(), MonitorError> {
        let retry = RetryContext {
            schedule: &self.schedule,
            jitter: Jitter::from_entropy(entropy()),
            ended_at: now,
            answer_minutes: TIMEOUT_MINUTES,
        };
        self.change(event, now, |stored| {
            stored.calling.take_if(|called| *called == replay);
            let case = stored.case.clone();
            Ok(case.end_attempt(replay, outcome, &retry, &Origin::system("deliver")))
        })
    }

    /// Takes the app's result.
    ///
    /// # Errors
    /// [`MonitorError`] where there is no such event, or the replay is another's.
    pub fn result(&self, event: EventId, report: EffectReport, now: Timestamp) -> Result<(), MonitorError> {
        let incident = IncidentId::new(now, entropy());
        self.change(event, now, |stored| {
            let case = stored.case.clone();
            Ok(case.receive_result(report, incident, &Origin::system("app"), now)?)
        })
    }

    fn change(
        &self,
        event: EventId,
        now: Timestamp,
        decide: impl FnOnce(&mut StoredEvent) -> Result<Decision, MonitorError>,
    ) -> Result<(), MonitorError> {
        self.store.transaction(|tables| {
            let stored = tables.events.get_mut(&event).ok_or(MonitorError::NoEvent)?;
            let decision = decide(stored)?;
            tables.put(self.organization, decision, now);
            Ok(())
        })
    }
}

fn accepted(tables: &Tables, event: EventId, duplicate: bool) -> Result<Accepted, MonitorError> {
    let stored = tables.events.get(&event).ok_or(MonitorError::NoEvent)?;
    Ok(Accepted {
        event,
        timeout_at: stored.case.event.timeout_at,
        duplicate,
    })
}
