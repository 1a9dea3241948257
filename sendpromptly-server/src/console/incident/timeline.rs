//! The time line of an incident: the receipt, results, replays with each of their calls, what people did and noted.

use std::collections::HashMap;

use sendpromptly_core::access::Role;
use sendpromptly_core::audit::Action;
use sendpromptly_core::id::UserId;
use sendpromptly_core::replay::{Effect, Replay, ReplayState};
use sendpromptly_core::time::Timestamp;

use super::words;
use crate::console::access::Seat;
use crate::console::{PageError, Visit};
use crate::store::events::EventRecord;
use crate::store::incident_history::{ActionRecord, AttemptRecord, ResultRecord};
use crate::store::incidents::IncidentRecord;
use crate::store::notes::Note;
use crate::vault::{Purpose, Vault};

/// Something that happened.
pub(super) struct Moment {
    at: Timestamp,
    /// `good`, `bad` or nothing: how it is marked.
    pub(super) class: &'static str,
    pub(super) title: String,
    /// Who did it, where a person or the server did.
    pub(super) by: Option<String>,
    /// More about it, in lines.
    pub(super) lines: Vec<String>,
    /// A text that somebody wrote.
    pub(super) text: Option<String>,
    /// The beginning of an endpoint's answer.
    pub(super) answer: Option<Answer>,
}

/// An answer's first bytes, as text.
pub(super) struct Answer {
    /// What the page calls it, so that it stays open when the page is renewed.
    pub(super) id: String,
    pub(super) text: String,
}

impl Moment {
    fn new(at: Timestamp, class: &'static str, title: impl Into<String>) -> Self {
        Self {
            at,
            class,
            title: title.into(),
            by: None,
            lines: Vec::new(),
            text: None,
            answer: None,
        }
    }

    /// When, for people.
    pub(super) fn when(&self) -> String {
        words::time(self.at)
    }

    /// When, for machines.
    pub(super) fn wire(&self) -> String {
        self.at.to_string()
    }
}

/// Reads what has happened, oldest first.
pub(super) async fn read(
    visit: &Visit,
    seat: &Seat,
    record: &IncidentRecord,
    event: &EventRecord,
) -> Result<Vec<Moment>, PageError> {
    let store = visit.store();
    let incident = record.incident.id;
    // An answer is the customer's data: whoever works on incidents sees it, and who only reads does not.
    let with_heads = seat.role >= Role::Operator;
    let (results, attempts, actions, notes) = tokio::try_join!(
        store.results_of(record.project, record.event),
        store.attempts_of(record.project, record.event, with_heads),
        store.actions_on(seat.scope, incident),
        store.notes_on(record.project, incident),
    )?;
    let people = people(&actions, &notes);
    let names = Names(store.member_emails(seat.scope, people).await?);
    // Of what happened in the same millisecond, the cause comes first.
    let mut moments: Vec<_> = receipt(event).into_iter().collect();
    moments.extend(results.iter().map(result));
    moments.push(opening(record));
    for attempt in &attempts {
        moments.push(call(&visit.console.setting.vault, record, attempt).await);
    }
    moments.extend(actions.iter().filter_map(|done| action(done, &names)));
    moments.extend(notes.iter().map(|written| note(written, &names)));
    moments.sort_by_key(|moment| moment.at);
    moments.extend(
        record
            .replays
            .last()
            .and_then(|replay| outlook(replay, &attempts)),
    );
    Ok(moments)
}

fn receipt(event: &EventRecord) -> Option<Moment> {
    let mut receipt = Moment::new(
        event.received_at?,
        "good",
        "Your app confirmed that it received the event",
    );
    receipt
        .lines
        .push(format!("A result was due by {}", words::time(event.timeout_at)));
    Some(receipt)
}

fn opening(record: &IncidentRecord) -> Moment {
    let opened = format!(
        "The incident opened: {}",
        words::reason(record.incident.reason).to_lowercase()
    );
    Moment::new(record.incident.opened_at, "bad", opened)
}

fn result(result: &ResultRecord) -> Moment {
    let (class, title) = match result.effect {
        Effect::Success => ("good", "Your app reported success"),
        Effect::Failed => ("bad", "Your app reported a failure"),
    };
    let mut moment = Moment::new(result.received_at, class, title);
    let code = result.error_code.iter().map(|code| format!("Error code {code}"));
    moment.lines.extend(code);
    let replay = result
        .replay
        .iter()
        .map(|replay| format!("As the result of {replay}"));
    moment.lines.extend(replay);
    moment.text = result.error_message.clone();
    moment
}

async fn call(vault: &Vault, record: &IncidentRecord, attempt: &AttemptRecord) -> Moment {
    let (how, class) = words::attempt(attempt);
    let mut moment = Moment::new(
        attempt.started_at,
        class,
        format!("Call {}: {how}", attempt.number),
    );
    if let Some(millis) = attempt.duration_ms {
        moment.lines.push(format!("After {millis} ms"));
    }
    moment.lines.push(format!("Of replay {}", attempt.replay));
    if let Some((sealed, row)) = &attempt.answer_head {
        let opened = vault
            .open_sealed(Purpose::Answer(record.project), row, sealed)
            .await;
        match opened {
            Ok(head) if head.is_empty() => moment.lines.push("The answer had no content".to_owned()),
            Ok(head) => {
                moment.answer = Some(Answer {
                    id: format!("answer-{}-{}", attempt.replay, attempt.number),
                    text: readable(&head),
                });
            }
            // Its data key is destroyed with its day, a little before the row is emptied.
            Err(_) => moment.lines.push("The answer is no longer kept".to_owned()),
        }
    }
    moment
}

/// Bytes as text: what is no character, or would move the cursor, is shown as such.
fn readable(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let shown = |c: char| match c {
        '\n' | '\t' => c,
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.replace("\r\n", "\n").chars().map(shown).collect()
}

/// What people and the server did. What is told by other moments is left out.
fn action(done: &ActionRecord, names: &Names) -> Option<Moment> {
    let (class, title) = match done.action.parse().ok()? {
        Action::IncidentReprocessed => ("", "A repair was ordered"),
        Action::IncidentDismissed => ("", "The incident was dismissed"),
        Action::IncidentReopened => ("", "The incident is open again"),
        Action::IncidentResolved => ("good", "The incident was resolved"),
        _ => return None,
    };
    let mut moment = Moment::new(done.at, class, title);
    moment.by = Some(names.actor(&done.actor));
    let details: serde_json::Value = done
        .details
        .as_deref()
        .and_then(|details| serde_json::from_str(details).ok())
        .unwrap_or_default();
    if let Some(replay) = details["replay_id"].as_str() {
        moment.lines.push(format!("Replay {replay}"));
    }
    moment.text = details["reason"].as_str().map(str::to_owned);
    Some(moment)
}

fn note(note: &Note, names: &Names) -> Moment {
    let mut moment = Moment::new(note.created_at, "", "Note");
    moment.by = Some(names.user(note.author));
    moment.text = Some(note.text.clone());
    moment
}

/// What comes next for the replay under way.
fn outlook(replay: &Replay, attempts: &[AttemptRecord]) -> Option<Moment> {
    let running = attempts
        .iter()
        .any(|attempt| attempt.replay == replay.id && attempt.ended_at.is_none());
    match replay.state {
        ReplayState::Queued if running => None,
        ReplayState::Queued => Some(Moment::new(replay.next_attempt_at?, "", "The next call is due")),
        ReplayState::Delivered => Some(Moment::new(
            replay.answer_due_at?,
            "",
            "The result of the replay is due",
        )),
        _ => None,
    }
}

/// The users that the moments name.
fn people(actions: &[ActionRecord], notes: &[Note]) -> Vec<UserId> {
    let of_actions = actions.iter().filter_map(|done| done.actor.parse().ok());
    let mut people: Vec<_> = of_actions.chain(notes.iter().map(|note| note.author)).collect();
    people.sort_unstable();
    people.dedup();
    people
}

/// The members' e-mail addresses.
struct Names(HashMap<UserId, String>);

impl Names {
    fn user(&self, user: UserId) -> String {
        let email = self.0.get(&user).cloned();
        email.unwrap_or_else(|| format!("a former member ({user})"))
    }

    fn actor(&self, actor: &str) -> String {
        if let Ok(user) = actor.parse() {
            return self.user(user);
        }
        match actor.split_once(':') {
            Some(("cli", user)) => format!("{user}, at the command line"),
            Some(("system", _)) => "the server".to_owned(),
            _ => "your app".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_shown_as_text_whatever_its_bytes_are() {
        assert_eq!(readable(b"a\r\nb\tc"), "a\nb\tc");
        assert_eq!(readable(b"\xff\x1b[31m\x00"), "\u{fffd}\u{fffd}[31m\u{fffd}");
    }

    #[test]
    fn members_are_named_by_their_address_and_others_by_what_they_are() {
        let ada = UserId::from_bytes([1; 16]);
        let names = Names(HashMap::from([(ada, "ada@example.com".to_owned())]));
        assert_eq!(names.actor(&ada.to_string()), "ada@example.com");
        assert_eq!(names.actor("cli:root"), "root, at the command line");
        assert_eq!(names.actor("system:sweep"), "the server");
        let gone = UserId::from_bytes([2; 16]).to_string();
        assert_eq!(names.actor(&gone), format!("a former member ({gone})"));
    }
}
