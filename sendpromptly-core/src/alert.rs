//! Alerts: what people are told of incidents, when, and how often a message is tried.

use std::time::Duration;

use crate::event::words;
use crate::incident::{Incident, IncidentState};
use crate::time::Timestamp;

/// After a message, further news wait this long and come as one.
pub const GROUPED_FOR: Duration = Duration::from_secs(5 * 60);

/// Pauses after each try of a message that failed. Then it is given up.
const PAUSES: [Duration; 5] = [
    Duration::from_secs(30),
    Duration::from_secs(2 * 60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(60 * 60),
    Duration::from_secs(6 * 60 * 60),
];

/// The longest pause that a receiver may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 60 * 60);

words! {
    /// What people are told.
    News {
        /// An incident was opened.
        Opened = "opened",
        /// It is open again.
        Reopened = "reopened",
        /// It was resolved.
        Resolved = "resolved",
        /// It has been open for longer than the project allows.
        Escalated = "escalated",
        /// No receipt has come for longer than the project allows.
        Silent = "silent",
        /// Receipts come again.
        Heard = "heard",
    }

    /// How people are told.
    Channel {
        /// By e-mail.
        Email = "email",
        /// By an incoming webhook of Slack, or of a program that takes the same.
        Slack = "slack",
        /// By a signed webhook.
        Webhook = "webhook",
    }
}

/// What a change of an incident is news of. Beginning a reprocess and dismissing are a person's own doing, and none. One
/// that the server began in the same step as the incident opened is: nobody has seen that yet.
#[must_use]
pub fn news_of(before: Option<&Incident>, after: Option<&Incident>) -> Option<News> {
    let (was, is) = (before.map(|incident| incident.state), after?.state);
    match (was, is) {
        (Some(was), is) if was == is => None,
        (None, IncidentState::Open | IncidentState::Reprocessing) => Some(News::Opened),
        (Some(_), IncidentState::Open) => Some(News::Reopened),
        (_, IncidentState::Resolved) => Some(News::Resolved),
        (_, IncidentState::Reprocessing | IncidentState::Dismissed) => None,
    }
}

/// When news are told to whom the last message ended at this time: at once, or with what else comes until then. Where a
/// message waits already they go with it, and it waits no longer for them than others would.
#[must_use]
pub fn due(waits_until: Option<Timestamp>, last_ended: Option<Timestamp>, now: Timestamp) -> Timestamp {
    match waits_until {
        Some(due_at) => due_at.min(now.plus(GROUPED_FOR)),
        None => last_ended.map_or(now, |ended| now.max(ended.plus(GROUPED_FOR))),
    }
}

/// When a message goes again after so many tries, the last of which failed; `None` where it is given up. Whom it goes
/// to may ask for a longer pause.
#[must_use]
pub fn next_try(tries: u32, asked: Option<Duration>, now: Timestamp) -> Option<Timestamp> {
    let pause = PAUSES.get(tries.max(1) as usize - 1)?;
    let asked = asked.unwrap_or_default().min(LONGEST_PAUSE);
    Some(now.plus((*pause).max(asked)))
}

/// Whether a message was begun more often than it is ever tried: each time something has ended the program.
#[must_use]
pub const fn is_spent(tries: u32) -> bool {
    tries > PAUSES.len() as u32 + 1
}

/// How long it is quiet in a project, and what was told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence {
    /// How many minutes without a receipt are too many.
    pub minutes: u32,
    /// Since when they count, where no receipt has come.
    pub since: Timestamp,
    /// When the last receipt came.
    pub last_receipt_at: Option<Timestamp>,
    /// When it was told that none comes.
    pub told_at: Option<Timestamp>,
}

impl Silence {
    /// What there is to tell now.
    #[must_use]
    pub fn news(&self, now: Timestamp) -> Option<News> {
        let last = self.last_receipt_at.map_or(self.since, |at| at.max(self.since));
        let most = Duration::from_secs(u64::from(self.minutes) * 60);
        match self.told_at {
            None => (now.since(last) >= most).then_some(News::Silent),
            Some(told) => self
                .last_receipt_at
                .is_some_and(|at| at > told)
                .then_some(News::Heard),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::IncidentId;
    use crate::incident::IncidentReason;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn incident(state: IncidentState) -> Incident {
        let opened = Incident::open(IncidentId::from_bytes([1; 16]), IncidentReason::Failed, NOW);
        Incident { state, ..opened }
    }

    #[test]
    fn news_is_what_opens_reopens_or_resolves_an_incident() {
        use IncidentState::{Dismissed, Open, Reprocessing, Resolved};
        let news = |before: Option<IncidentState>, after| {
            news_of(before.map(incident).as_ref(), Some(&incident(after)))
        };
        assert_eq!(news(None, Open), Some(News::Opened));
        assert_eq!(
            news(None, Reprocessing),
            Some(News::Opened),
            "and reprocessed unasked"
        );
        assert_eq!(news(None, Resolved), Some(News::Resolved));
        for was in [Open, Reprocessing, Dismissed] {
            assert_eq!(news(Some(was), Resolved), Some(News::Resolved));
            assert_eq!(news(Some(was), was), None);
        }
        assert_eq!(news(Some(Reprocessing), Open), Some(News::Reopened));
        assert_eq!(news(Some(Dismissed), Open), Some(News::Reopened));
        assert_eq!(news(Some(Open), Reprocessing), None);
        assert_eq!(news(Some(Open), Dismissed), None);
        assert_eq!(news_of(None, None), None);
    }

    #[test]
    fn the_first_message_goes_at_once_and_the_next_five_minutes_after_it() {
        assert_eq!(due(None, None, NOW), NOW);
        let after = |minutes: u64| NOW.plus(Duration::from_secs(minutes * 60));
        assert_eq!(due(None, Some(NOW), after(1)), after(5));
        assert_eq!(due(None, Some(NOW), after(7)), after(7));
    }

    #[test]
    fn news_go_with_the_message_that_waits_and_need_not_wait_for_hours() {
        let after = |minutes: u64| NOW.plus(Duration::from_secs(minutes * 60));
        assert_eq!(due(Some(after(2)), Some(NOW), after(1)), after(2));
        assert_eq!(due(Some(after(360)), None, after(1)), after(6));
    }

    #[test]
    fn tries_grow_apart_and_end_and_who_is_told_may_ask_for_a_longer_pause() {
        let pauses: Vec<_> = (1..10).map_while(|tries| next_try(tries, None, NOW)).collect();
        assert_eq!(pauses.len(), PAUSES.len());
        assert!(pauses.is_sorted());
        let hour = Duration::from_secs(3_600);
        assert_eq!(next_try(1, Some(hour), NOW), Some(NOW.plus(hour)));
        assert_eq!(next_try(4, Some(Duration::ZERO), NOW), Some(NOW.plus(hour)));
        assert_eq!(next_try(1, Some(hour * 99), NOW), Some(NOW.plus(LONGEST_PAUSE)));
        assert!(!is_spent(6) && is_spent(7));
    }

    #[test]
    fn silence_is_told_once_and_so_is_its_end() {
        let after = |minutes: i64| NOW.plus_millis(minutes * 60_000);
        let silence = Silence {
            minutes: 10,
            since: NOW,
            last_receipt_at: Some(after(-60)),
            told_at: None,
        };
        assert_eq!(silence.news(after(9)), None);
        assert_eq!(silence.news(after(10)), Some(News::Silent));
        let told = Silence {
            told_at: Some(after(10)),
            ..silence
        };
        assert_eq!(told.news(after(99)), None);
        let heard = Silence {
            last_receipt_at: Some(after(11)),
            ..told
        };
        assert_eq!(heard.news(after(12)), Some(News::Heard));
    }
}
