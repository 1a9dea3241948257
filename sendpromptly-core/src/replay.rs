//! A replay: one `replay_id`, one fixed body, and as many attempts as the retry schedule has entries.

use std::time::Duration;

use crate::event::words;
use crate::id::ReplayId;
use crate::time::Timestamp;

pub mod pace;
mod schedule;

pub use schedule::{Jitter, MAX_RETRY_AFTER, RetrySchedule, ScheduleError};

words! {
    /// Where a replay stands.
    ReplayState {
        /// An attempt is due, or under way.
        Queued = "queued",
        /// The endpoint answered 2xx; its result has yet to come.
        Delivered = "delivered",
        /// A success came while it was under way. Final.
        Succeeded = "succeeded",
        /// Its own result says that the effect failed. Final.
        Failed = "failed",
        /// Delivered, and no result came in time. Final.
        Unanswered = "unanswered",
        /// The endpoint refused the callback (3xx, 4xx), its address is forbidden, or the payload that was to go
        /// along is no longer kept. Final.
        Halted = "halted",
        /// Every attempt of the schedule failed. Final.
        Exhausted = "exhausted",
    }
}

impl ReplayState {
    /// Whether the replay can still change.
    #[must_use]
    pub const fn is_under_way(self) -> bool {
        matches!(self, Self::Queued | Self::Delivered)
    }
}

/// What the app says of the business effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// It was applied.
    Success,
    /// It was not.
    Failed,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// A status line came.
    Answered {
        /// The HTTP status.
        status: u16,
        /// What `Retry-After` asked for, counted from the end of the attempt.
        retry_after: Option<Duration>,
        /// What `X-SendPromptly-Result` said; counts on a 2xx only.
        effect: Option<Effect>,
    },
    /// No status line came: no address, no connection, broken off, or too slow.
    NetworkError,
    /// The address is one that is never called.
    Refused,
    /// The payload that was to go along is no longer kept. Nothing was sent.
    PayloadGone,
    /// The caller was stopped during the call: nobody knows how it ended.
    CutOff,
}

/// What an outcome means for the replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutcomeClass {
    /// Taken: wait for the result, or use the one that came with the answer.
    Delivered,
    /// Try again by the schedule.
    Retry,
    /// Stop at once.
    Halt,
}

impl AttemptOutcome {
    /// 2xx is delivered; network errors and 5xx are retried; anything else halts.
    #[must_use]
    pub const fn class(self) -> OutcomeClass {
        match self {
            Self::Answered {
                status: 200..=299, ..
            } => OutcomeClass::Delivered,
            Self::Answered {
                status: 500..=599, ..
            }
            | Self::NetworkError
            | Self::CutOff => OutcomeClass::Retry,
            Self::Answered { .. } | Self::Refused | Self::PayloadGone => OutcomeClass::Halt,
        }
    }

    /// The HTTP status, where one came.
    #[must_use]
    pub const fn status(self) -> Option<u16> {
        match self {
            Self::Answered { status, .. } => Some(status),
            _ => None,
        }
    }

    /// The result that came with the answer; one beside another status than 2xx does not count.
    #[must_use]
    pub const fn reported_effect(self) -> Option<Effect> {
        match self {
            Self::Answered {
                status: 200..=299,
                effect,
                ..
            } => effect,
            _ => None,
        }
    }

    /// Whether the answer leaves open what became of the effect: an endpoint says 503 of one that is being applied or in
    /// doubt, and 502 and 504 are a gateway's words.
    #[must_use]
    pub const fn is_unclear(self) -> bool {
        matches!(
            self,
            Self::Answered {
                status: 502..=504,
                ..
            }
        )
    }

    /// Whether the endpoint may have applied the effect without our knowing.
    #[must_use]
    pub const fn is_doubtful(self) -> bool {
        matches!(self, Self::NetworkError | Self::CutOff)
    }
}

/// So many attempts cut off in a row go again at once and cost nothing. Each further one costs a step of the
/// schedule and waits for it, so that a callback which brings the caller down does not do so for ever.
const FREE_CUT_OFFS: u32 = 2;

/// A replay as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replay {
    /// Its id: what the endpoint deduplicates on.
    pub id: ReplayId,
    /// Where it stands.
    pub state: ReplayState,
    /// Attempts begun so far; the number of the latest one.
    pub attempts: u32,
    /// Entries of the schedule used up.
    pub steps: u32,
    /// Attempts cut off one after another, up to now.
    pub cut_offs: u32,
    /// Whether an attempt was cut off or lost to a network error, so that its effect may have been applied.
    pub doubtful: bool,
    /// Whether an attempt was answered in a way that [leaves open](AttemptOutcome::is_unclear) what became of it.
    pub unclear: bool,
    /// Whether the server ordered it without being asked, see [`StandingOrder`](crate::case::StandingOrder).
    pub unasked: bool,
    /// The status of the latest attempt whose end counted; `None` after a network error.
    pub last_status: Option<u16>,
    /// When the next attempt is due; set while queued, and only then.
    pub next_attempt_at: Option<Timestamp>,
    /// By when the result must come; set while delivered, and only then.
    pub answer_due_at: Option<Timestamp>,
}

impl Replay {
    /// A new replay, its first attempt due by the schedule's first entry.
    #[must_use]
    pub fn queue(id: ReplayId, schedule: &RetrySchedule, now: Timestamp) -> Self {
        Self {
            id,
            state: ReplayState::Queued,
            attempts: 0,
            steps: 0,
            cut_offs: 0,
            doubtful: false,
            unclear: false,
            unasked: false,
            last_status: None,
            next_attempt_at: Some(now.plus(schedule.first())),
            answer_due_at: None,
        }
    }

    /// Whether its effect may have been applied although it has ended without a result.
    #[must_use]
    pub const fn may_have_been_applied(&self) -> bool {
        match self.state {
            ReplayState::Unanswered => true,
            ReplayState::Halted | ReplayState::Exhausted => self.doubtful,
            _ => false,
        }
    }

    /// Whether it has ended, and the endpoint itself has said each time that its effect was not applied: no attempt was
    /// lost, and every one was answered with a 5xx of the endpoint's own. A later answer takes back no earlier one: not
    /// every endpoint remembers what it was in doubt about.
    #[must_use]
    pub const fn was_turned_away(&self) -> bool {
        matches!(self.state, ReplayState::Exhausted) && !self.doubtful && !self.unclear
    }

    /// Ends it in this state, which must be a final one.
    pub(crate) const fn end(&mut self, state: ReplayState) {
        debug_assert!(!state.is_under_way());
        self.state = state;
        self.next_attempt_at = None;
        self.answer_due_at = None;
    }

    /// Takes note of an attempt that ended.
    ///
    /// A result that came before the attempt's own 2xx has ended the replay: then only the status is kept.
    pub(crate) fn take_outcome(&mut self, outcome: AttemptOutcome, retry: &RetryContext<'_>) {
        match self.state {
            ReplayState::Queued => {}
            ReplayState::Succeeded | ReplayState::Failed => {
                self.last_status = outcome.status();
                return;
            }
            _ => return,
        }
        self.last_status = outcome.status();
        self.doubtful |= outcome.is_doubtful();
        self.unclear |= outcome.is_unclear();
        match outcome.class() {
            OutcomeClass::Delivered => {
                self.state = ReplayState::Delivered;
                self.next_attempt_at = None;
                self.answer_due_at = Some(retry.ended_at.plus_minutes(retry.answer_minutes));
            }
            OutcomeClass::Halt => self.end(ReplayState::Halted),
            OutcomeClass::Retry => self.go_again(outcome, retry),
        }
    }

    fn go_again(&mut self, outcome: AttemptOutcome, retry: &RetryContext<'_>) {
        let (cut_offs, asked) = match outcome {
            AttemptOutcome::CutOff => (self.cut_offs + 1, None),
            AttemptOutcome::Answered { retry_after, .. } => (0, retry_after),
            _ => (0, None),
        };
        self.cut_offs = cut_offs;
        if (1..=FREE_CUT_OFFS).contains(&cut_offs) {
            self.next_attempt_at = Some(retry.ended_at);
            return;
        }
        self.steps += 1;
        match retry.schedule.delay(self.steps, retry.jitter, asked) {
            Some(delay) => self.next_attempt_at = Some(retry.ended_at.plus(delay)),
            None => self.end(ReplayState::Exhausted),
        }
    }
}

/// What is needed to decide what follows an attempt.
#[derive(Debug, Clone, Copy)]
pub struct RetryContext<'a> {
    /// The schedule in force.
    pub schedule: &'a RetrySchedule,
    /// Random spread of the next delay.
    pub jitter: Jitter,
    /// When the attempt ended.
    pub ended_at: Timestamp,
    /// How long a delivered replay waits for its result, in minutes (the project's timeout).
    pub answer_minutes: u32,
}
