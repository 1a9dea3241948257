//! What incidents, replays and refusals are called on pages.

use sendpromptly_core::case::Refusal;
use sendpromptly_core::event::{EffectType, Provider};
use sendpromptly_core::incident::{Incident, IncidentReason, IncidentState};
use sendpromptly_core::replay::{Replay, ReplayState};
use sendpromptly_core::time::Timestamp;

use crate::operate::OperateError;
use crate::store::attempts::{CUT_OFF, PAYLOAD_GONE};
use crate::store::incident_history::AttemptRecord;
use crate::store::incidents::IncidentRecord;

/// A provider's name.
pub(in crate::console) const fn provider(provider: Provider) -> &'static str {
    match provider {
        Provider::Stripe => "Stripe",
        Provider::Shopify => "Shopify",
    }
}

/// A type of effect, as a filter or a column names it.
pub(in crate::console) const fn effect(effect: Option<EffectType>) -> &'static str {
    match effect {
        Some(EffectType::AccessUnlock) => "Access unlock",
        Some(EffectType::CreditGrant) => "Credit grant",
        Some(EffectType::SeatUpdate) => "Seat update",
        Some(EffectType::SubscriptionStateApply) => "Subscription state",
        Some(EffectType::AccessRevocation) => "Access revocation",
        Some(EffectType::CreditDeduction) => "Credit deduction",
        None => "Not known yet",
    }
}

/// What nobody has reported: "that …".
const fn done(effect: Option<EffectType>) -> &'static str {
    match effect {
        Some(EffectType::AccessUnlock) => "access was unlocked",
        Some(EffectType::CreditGrant) => "the credits were granted",
        Some(EffectType::SeatUpdate) => "the seats were updated",
        Some(EffectType::SubscriptionStateApply) => "the subscription's state was applied",
        Some(EffectType::AccessRevocation) => "access was revoked",
        Some(EffectType::CreditDeduction) => "the credits were deducted",
        None => "its work was done",
    }
}

/// A state, and the class of its badge.
pub(in crate::console) const fn state(state: IncidentState) -> (&'static str, &'static str) {
    match state {
        IncidentState::Open => ("Open", "bad"),
        IncidentState::Reprocessing => ("Being reprocessed", "busy"),
        IncidentState::Resolved => ("Resolved", "good"),
        IncidentState::Dismissed => ("Dismissed", ""),
    }
}

/// Why an incident was opened, in a few words.
pub(in crate::console) const fn reason(reason: IncidentReason) -> &'static str {
    match reason {
        IncidentReason::Failed => "Your app reported a failure",
        IncidentReason::Timeout => "No result came in time",
        IncidentReason::MissingReceipt => "No receipt came",
    }
}

/// What an incident means, in sentences.
pub(in crate::console) fn meaning(record: &IncidentRecord) -> String {
    let (who, event) = (provider(record.provider), &record.event_type);
    let done = done(record.effect_type);
    let opened = match record.incident.reason {
        IncidentReason::Timeout => {
            format!(
                "{who} sent {event}. Your app confirmed that it received it, but did not report in time that {done}."
            )
        }
        IncidentReason::Failed => {
            format!(
                "{who} sent {event}. Your app reported that its work failed, so it is not known that {done}."
            )
        }
        IncidentReason::MissingReceipt => {
            format!("{who} sent {event}. Your app did not confirm that it received it.")
        }
    };
    let now = match record.incident.state {
        IncidentState::Open => "Somebody should look at it.".to_owned(),
        IncidentState::Reprocessing => "It is being reprocessed.".to_owned(),
        IncidentState::Resolved => {
            format!("Since then your app has reported that {done}. Nothing is left to do.")
        }
        IncidentState::Dismissed => "Somebody has put it aside.".to_owned(),
    };
    format!("{opened} {now}")
}

/// How a replay stands.
pub(in crate::console) const fn replay(state: ReplayState) -> &'static str {
    match state {
        ReplayState::Queued => "waiting for its call",
        ReplayState::Delivered => "delivered, waiting for its result",
        ReplayState::Succeeded => "succeeded",
        ReplayState::Failed => "failed",
        ReplayState::Unanswered => "delivered, but no result came in time",
        ReplayState::Halted => "stopped: it was refused, or could not be sent",
        ReplayState::Exhausted => "given up after its last attempt",
    }
}

/// A list's column about an incident's replays.
pub(in crate::console) fn replays(replays: &[Replay]) -> String {
    let Some(last) = replays.last() else {
        return "None yet".to_owned();
    };
    let status = last
        .last_status
        .map_or(String::new(), |status| format!(" ({status})"));
    format!("{}: {}{status}", replays.len(), replay(last.state))
}

/// How a call ended, and the class of its mark.
pub(in crate::console) fn attempt(attempt: &AttemptRecord) -> (String, &'static str) {
    let Some(outcome) = attempt.outcome.as_deref() else {
        return ("Under way".to_owned(), "");
    };
    let why = match outcome {
        "answered" => {
            let status = attempt.status.unwrap_or(0);
            let class = if (200..300).contains(&status) {
                "good"
            } else {
                "bad"
            };
            return (format!("Answered {status}"), class);
        }
        "refused" => "Not made: this address may not be called",
        PAYLOAD_GONE => "Not made: the payload that was to go along is no longer kept",
        CUT_OFF => "Cut off: how it ended is not known",
        "resolve" => "No answer: the name does not resolve",
        "connect" => "No answer: no connection could be made",
        "tls" => "No answer: the TLS handshake failed",
        "certificate" => "No answer: the certificate is not trusted, not for this host, or not valid now",
        "timeout" => "No answer came in time",
        "reset" => "The connection ended before an answer came",
        _ => "The answer is not valid HTTP",
    };
    (why.to_owned(), "bad")
}

/// Why an order was not carried out, in a sentence for whoever gave it. `None` is no refusal, but a fault.
pub(in crate::console) fn refusal(error: &OperateError) -> Option<&'static str> {
    Some(match error {
        OperateError::NotFound | OperateError::Store(_) | OperateError::Key(_) => return None,
        OperateError::NoRepairUrl => {
            "The project has no repair URL, so there is nobody to call. An admin can set one in the project's settings."
        }
        OperateError::EffectUnknown => {
            "Whom to repair is not known: no receipt has come, and the provider's event bears no reference of yours. Have \
             your app send the receipt, or dismiss the incident."
        }
        OperateError::Reason(_) => "Give a reason of 1 to 1,024 characters, on one line.",
        OperateError::Refused(refusal) => match refusal {
            Refusal::UnderWay(_) => "A replay is under way already. Wait until it has ended.",
            Refusal::Resolved => "It is resolved: the effect has been applied. Nothing was sent.",
            Refusal::Dismissed => "It is dismissed. Reopen it first.",
            Refusal::NotDismissed => "It is not dismissed, so there is nothing to reopen.",
            Refusal::MayHaveBeenApplied(_) => {
                "The replay before ended without a result, so the effect may have been applied. Look at the customer's \
                 account first. If it is missing there, tick the box and order it again."
            }
            _ => "It cannot be done now. Reload the page and look again.",
        },
    })
}

/// A time for people: in UTC, to the second.
pub(in crate::console) fn time(at: Timestamp) -> String {
    let wire = at.to_string();
    let (date, rest) = wire.split_once('T').unwrap_or((&wire, ""));
    let time = rest.split('.').next().unwrap_or_default();
    format!("{date} {time} UTC")
}

/// How long ago, roughly.
pub(in crate::console) fn ago(at: Timestamp, now: Timestamp) -> String {
    let minutes = now.since(at).as_secs() / 60;
    match minutes {
        0 => "just now".to_owned(),
        1 => "a minute ago".to_owned(),
        2..=119 => format!("{minutes} minutes ago"),
        120..=2_879 => format!("{} hours ago", minutes / 60),
        _ => format!("{} days ago", minutes / 1_440),
    }
}

/// Since when an incident has been open, and how long it took where it is resolved.
pub(in crate::console) fn since(incident: &Incident, now: Timestamp) -> String {
    format!("{}, {}", time(incident.opened_at), ago(incident.opened_at, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_people_write_them() {
        let at = Timestamp::from_millis(1_800_000_000_123);
        assert_eq!(time(at), "2027-01-15 08:00:00 UTC");
        for (minutes, words) in [
            (0, "just now"),
            (1, "a minute ago"),
            (119, "119 minutes ago"),
            (120, "2 hours ago"),
            (2_880, "2 days ago"),
        ] {
            assert_eq!(ago(at, at.plus_minutes(minutes)), words);
        }
    }
}
