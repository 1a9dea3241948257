//! Alerts: what people are told of incidents, when, and how often a message is tried. See `docs/alerts.md`.

use std::time::Duration;

use crate::event::words;
use crate::incident::{Incident, IncidentState};
use crate::time::Timestamp;

/// After a message, further news wait this long, five minutes, and come as one.
pub const GROUPED_FOR: Duration = Duration::from_secs(5 * 60);

/// When a message that was not taken goes again, after its first try. Then it is given up.
const AGAIN_AFTER: [Duration; 6] = [
    Duration::from_secs(30),
    Duration::from_secs(2 * 60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(60 * 60),
    Duration::from_secs(3 * 60 * 60),
    Duration::from_secs(8 * 60 * 60),
];

/// How many of these times one is held to that was refused: what refuses for long will not take it.
const AGAIN_WHERE_REFUSED: usize = 3;

/// Two tries lie at least so far apart.
const LEAST_PAUSE: Duration = Duration::from_secs(10);

/// The longest pause that a receiver may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(6 * 60 * 60);

/// A message may be begun so often in a row without that anybody learns how that ended.
const BEGUN_AT_MOST: u32 = 6;

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

/// A destination's next message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Next {
    /// When it is due; `None` where nothing waits.
    pub due_at: Option<Timestamp>,
    /// Before when the receiver asked not to be called.
    pub not_before: Option<Timestamp>,
    /// When the last message ended.
    pub last_ended: Option<Timestamp>,
}

impl Next {
    /// When it is due once there is more to tell: at once, or five minutes after the last message. Where a message
    /// waits already, for hours perhaps, it waits no longer than that, but for the pause that its receiver asked for.
    #[must_use]
    pub fn with_news(&self, now: Timestamp) -> Timestamp {
        let due_at = match self.due_at {
            Some(due_at) => due_at.min(now.plus(GROUPED_FOR)),
            None => self
                .last_ended
                .map_or(now, |ended| now.max(ended.plus(GROUPED_FOR))),
        };
        self.not_before
            .map_or(due_at, |not_before| due_at.max(not_before))
    }
}

/// When a message goes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Again {
    /// Then.
    pub at: Timestamp,
    /// Before when its receiver asked not to be called, whatever else comes.
    pub not_before: Option<Timestamp>,
}

/// Why a message was not taken, as far as it matters for when it goes again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It was not answered, or the receiver could not take it. It may have asked for a pause.
    Passing(Option<Duration>),
    /// The receiver would not have it. Somebody may be putting that right.
    Refused,
}

/// When a message goes again whose first try was then: 30 seconds, 2 and 10 minutes, 1, 3 and 8 hours after that, or
/// later where its receiver asks for a pause, of 6 hours at the most. `None` where it is given up: after the last of these
/// times, and where it was [refused](Refusal::Refused) after the 10 minutes. That goes by its age and not by the number of
/// its tries, which news bring forward.
#[must_use]
pub fn next_try(first: Timestamp, why: Refusal, now: Timestamp) -> Option<Again> {
    let (times, asked) = match why {
        Refusal::Passing(asked) => (&AGAIN_AFTER[..], asked),
        Refusal::Refused => (&AGAIN_AFTER[..AGAIN_WHERE_REFUSED], None),
    };
    let mut times = times.iter().map(|after| first.plus(*after));
    let at = times.find(|at| *at >= now.plus(LEAST_PAUSE))?;
    let not_before = asked.map(|asked| now.plus(asked.min(LONGEST_PAUSE)));
    let at = not_before.map_or(at, |not_before| at.max(not_before));
    Some(Again { at, not_before })
}

/// Whether a message was begun so often in a row without an end, more than six times, that it is given up: it may itself
/// be what ends the program.
#[must_use]
pub const fn is_spent(begun: u32) -> bool {
    begun > BEGUN_AT_MOST
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
    /// What there is to tell now. Silence counts from `up_since` at the earliest: while a server is down no receipt can
    /// come.
    #[must_use]
    pub fn news(&self, up_since: Timestamp, now: Timestamp) -> Option<News> {
        let since = self.since.max(up_since);
        let last = self.last_receipt_at.map_or(since, |at| at.max(since));
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

    fn after(minutes: u64) -> Timestamp {
        NOW.plus(Duration::from_secs(minutes * 60))
    }

    #[test]
    fn the_first_message_goes_at_once_and_the_next_five_minutes_after_it() {
        let mut next = Next::default();
        assert_eq!(next.with_news(NOW), NOW);
        next.last_ended = Some(NOW);
        assert_eq!(next.with_news(after(1)), after(5));
        assert_eq!(next.with_news(after(7)), after(7));
    }

    #[test]
    fn news_need_not_wait_for_hours_behind_a_message_that_does_but_for_a_pause_that_was_asked_for() {
        let waits = |minutes| Next {
            due_at: Some(after(minutes)),
            ..Next::default()
        };
        assert_eq!(waits(2).with_news(after(1)), after(2));
        assert_eq!(waits(360).with_news(after(1)), after(6));
        let asked = Next {
            not_before: Some(after(60)),
            ..waits(60)
        };
        assert_eq!(asked.with_news(after(1)), after(60));
    }

    #[test]
    fn a_message_goes_again_for_hours_however_often_news_bring_it_forward() {
        let (mut now, mut tries) = (NOW, 1);
        while let Some(next) = next_try(NOW, Refusal::Passing(None), now) {
            now = next.at;
            tries += 1;
        }
        assert_eq!((now, tries), (after(8 * 60), 7));
        // A try each five minutes uses nothing up.
        let brought_forward = (0..95).map(|tries| after(5 * tries));
        for now in brought_forward {
            assert!(next_try(NOW, Refusal::Passing(None), now).is_some(), "{now}");
        }
        let late = after(1).plus(Duration::from_secs(55));
        assert_eq!(
            next_try(NOW, Refusal::Passing(None), late).map(|next| next.at),
            Some(after(10)),
            "two tries never touch"
        );
    }

    #[test]
    fn who_refuses_is_asked_for_ten_minutes_and_who_asks_for_a_pause_gets_it() {
        let (mut now, mut tries) = (NOW, 1);
        while let Some(next) = next_try(NOW, Refusal::Refused, now) {
            now = next.at;
            tries += 1;
        }
        assert_eq!((now, tries), (after(10), 4));
        let asked = |minutes: u64| {
            let pause = Duration::from_secs(minutes * 60);
            next_try(NOW, Refusal::Passing(Some(pause)), NOW).map(|next| (next.at, next.not_before))
        };
        assert_eq!(asked(60), Some((after(60), Some(after(60)))));
        assert_eq!(
            asked(0),
            Some((NOW.plus(AGAIN_AFTER[0]), Some(NOW))),
            "never shorter than without"
        );
        assert_eq!(asked(99 * 60), Some((after(360), Some(after(360)))));
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
        assert_eq!(silence.news(NOW, after(9)), None);
        assert_eq!(silence.news(NOW, after(10)), Some(News::Silent));
        assert_eq!(
            silence.news(after(5), after(14)),
            None,
            "while the server was down none could come"
        );
        assert_eq!(silence.news(after(5), after(15)), Some(News::Silent));
        let told = Silence {
            told_at: Some(after(10)),
            ..silence
        };
        assert_eq!(told.news(NOW, after(99)), None);
        let heard = Silence {
            last_receipt_at: Some(after(11)),
            ..told
        };
        assert_eq!(heard.news(NOW, after(12)), Some(News::Heard));
    }
}
