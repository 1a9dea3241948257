//! What people were told of an incident, and what waits to be told, as moments. Where alerts go is for whoever works on
//! incidents; who only reads sees how and when.

use std::time::Duration;

use sendpromptly_core::alert::{Channel, News};
use sendpromptly_core::hex;
use sendpromptly_core::time::Timestamp;

use super::Moment;
use crate::store::alert_queue::NAMED;
use crate::store::told_alerts::{ToldAlert, WaitingAlert};

/// What is due by then is soon over, and the page follows it.
const SOON: Duration = Duration::from_secs(60);

/// A message that has ended.
pub(super) fn told(alert: &ToldAlert, may_work: bool) -> Moment {
    let (how, what) = (channel(alert.channel), news(alert.news));
    let (class, title) = match alert.failure {
        None => ("", format!("An alert by {how} told that {what}")),
        Some(_) => ("bad", format!("An alert by {how} that {what} was given up")),
    };
    let key = format!("g{}", hex::encode(&alert.id));
    let mut moment = Moment::new(alert.ended_at, key, class, title);
    let to = alert.shown.as_ref().map_or_else(
        || "To a destination that is removed by now".to_owned(),
        |shown| format!("To {shown}"),
    );
    moment.lines.extend(may_work.then_some(to));
    moment.lines.extend(company(alert));
    moment.lines.extend(match &alert.failure {
        Some(why) => Some(format!("After {}: {why}", tries(alert.tries))),
        None => (alert.tries > 1).then(|| format!("Taken after {}", tries(alert.tries))),
    });
    moment
}

/// What else a message told.
fn company(alert: &ToldAlert) -> Option<String> {
    match (alert.incidents, alert.named) {
        (0 | 1, _) => None,
        (2, true) => Some("In one message with another incident".to_owned()),
        (all, true) => Some(format!("In one message with {} other incidents", all - 1)),
        (all, false) => Some(format!(
            "Counted in one message of {all} incidents, which names the last {NAMED}"
        )),
    }
}

/// What waits to be told.
pub(super) fn waiting(alert: &WaitingAlert, may_work: bool) -> Moment {
    let (how, what) = (channel(alert.channel), news(alert.news));
    let (class, rest) = match (alert.under_way, &alert.failed) {
        (true, _) => ("", "is being sent"),
        (false, Some(_)) => ("bad", "was not taken, and is due again"),
        (false, None) => ("", "is due"),
    };
    let title = format!("An alert by {how} that {what} {rest}");
    let mut moment = Moment::new(alert.due_at, "z", class, title);
    moment
        .lines
        .extend(may_work.then(|| format!("To {}", alert.shown)));
    let failed = alert.failed.iter();
    moment
        .lines
        .extend(failed.map(|(number, why)| format!("After {}: {why}", tries(*number))));
    moment
}

/// Whether one of these will soon be sent.
pub(super) fn is_soon(waiting: &[WaitingAlert], now: Timestamp) -> bool {
    waiting.iter().any(|alert| alert.due_at <= now.plus(SOON))
}

fn tries(number: u32) -> String {
    match number {
        1 => "one try".to_owned(),
        _ => format!("{number} tries"),
    }
}

const fn channel(channel: Channel) -> &'static str {
    match channel {
        Channel::Email => "e-mail",
        Channel::Slack => "Slack",
        Channel::Webhook => "webhook",
    }
}

const fn news(news: News) -> &'static str {
    match news {
        News::Opened => "the incident opened",
        News::Reopened => "the incident is open again",
        News::Resolved => "the incident was resolved",
        News::Escalated => "the incident has been open for too long",
        // Of a project, never of an incident.
        News::Silent | News::Heard => "receipts stopped or came again",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn sent() -> ToldAlert {
        ToldAlert {
            id: [7; 16],
            channel: Channel::Slack,
            shown: Some("https://hooks.example.com".to_owned()),
            news: News::Opened,
            incidents: 1,
            named: true,
            tries: 1,
            ended_at: AT,
            failure: None,
        }
    }

    #[test]
    fn a_message_is_told_with_its_channel_its_news_and_where_it_went() {
        let moment = told(&sent(), true);
        assert_eq!(moment.title, "An alert by Slack told that the incident opened");
        assert_eq!(moment.lines, ["To https://hooks.example.com"]);
        assert!(
            told(&sent(), false).lines.is_empty(),
            "who reads is not told where"
        );
        let removed = ToldAlert {
            shown: None,
            ..sent()
        };
        assert_eq!(
            told(&removed, true).lines,
            ["To a destination that is removed by now"]
        );
    }

    #[test]
    fn one_that_was_given_up_says_why_and_after_how_many_tries() {
        let given_up = ToldAlert {
            tries: 6,
            news: News::Escalated,
            failure: Some("it answered 500".to_owned()),
            ..sent()
        };
        let moment = told(&given_up, false);
        let title = "An alert by Slack that the incident has been open for too long was given up";
        assert_eq!((moment.class, moment.title.as_str()), ("bad", title));
        assert_eq!(moment.lines, ["After 6 tries: it answered 500"]);
        let late = ToldAlert { tries: 2, ..sent() };
        assert_eq!(told(&late, false).lines, ["Taken after 2 tries"]);
    }

    #[test]
    fn a_digest_says_how_many_it_told_of_and_whether_it_named_this_one() {
        let lines = |incidents, named| {
            let digest = ToldAlert {
                incidents,
                named,
                ..sent()
            };
            told(&digest, false).lines
        };
        assert_eq!(lines(2, true), ["In one message with another incident"]);
        assert_eq!(lines(13, true), ["In one message with 12 other incidents"]);
        assert_eq!(
            lines(1_000, false),
            ["Counted in one message of 1000 incidents, which names the last 20"]
        );
    }

    #[test]
    fn what_waits_says_when_it_is_due_and_what_went_wrong_so_far() {
        let due = WaitingAlert {
            channel: Channel::Email,
            shown: "ops@example.com".to_owned(),
            news: News::Reopened,
            due_at: AT,
            under_way: false,
            failed: None,
        };
        let title = |alert: &WaitingAlert| waiting(alert, true).title;
        let begin = "An alert by e-mail that the incident is open again";
        assert_eq!(title(&due), format!("{begin} is due"));
        let failed = WaitingAlert {
            failed: Some((1, "it answered 503".to_owned())),
            ..due.clone()
        };
        assert_eq!(title(&failed), format!("{begin} was not taken, and is due again"));
        assert_eq!(
            waiting(&failed, true).lines,
            ["To ops@example.com", "After one try: it answered 503"]
        );
        let under_way = WaitingAlert {
            under_way: true,
            ..due.clone()
        };
        assert_eq!(title(&under_way), format!("{begin} is being sent"));
        let waiting = [due];
        assert!(is_soon(&waiting, AT.plus_millis(-1_000)));
        assert!(!is_soon(&waiting, AT.plus_millis(-120_000)));
        assert!(!is_soon(&[], AT));
    }
}
