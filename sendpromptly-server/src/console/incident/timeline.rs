//! The time line of an incident: the receipt, results, replays with each of their calls, what people did and noted,
//! and what they were told of it in alerts. A page shows the last fifty moments, with the beginnings of long texts; the
//! older ones and the whole of a text have pages of their own.

use std::collections::HashMap;

use sendpromptly_core::access::Role;
use sendpromptly_core::audit::Action;
use sendpromptly_core::hex;
use sendpromptly_core::id::UserId;
use sendpromptly_core::replay::{Effect, Replay, ReplayState};
use sendpromptly_core::time::Timestamp;

use super::place::Place;
use super::{excerpt, words};
use crate::console::access::Seat;
use crate::console::{PageError, Visit};
use crate::store::events::EventRecord;
use crate::store::incident_history::{ActionRecord, AttemptRecord, READ, ResultRecord};
use crate::store::incidents::IncidentRecord;
use crate::store::notes::Note;
use crate::vault::{Purpose, Vault};

mod alerts;

/// Moments on a page.
const PAGE: usize = 50;

/// Which part of the time line is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// The newest moments.
    Newest,
    /// Those before this one.
    Before(Place),
    /// This one alone, with the whole of its text.
    Whole(Place),
}

/// A part of the time line, oldest first.
pub(super) struct Timeline {
    pub(super) moments: Vec<Moment>,
    /// Before which moment the next older ones lie.
    pub(super) older: Option<Place>,
    /// Whether an alert is soon sent, and the page follows it.
    pub(super) busy: bool,
}

/// Something that happened.
pub(super) struct Moment {
    place: Place,
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
    /// Where the whole of its text is, if it is cut here.
    pub(super) whole: Option<Place>,
    /// The beginning of an endpoint's answer as it is kept, and the row that it is sealed for.
    sealed: Option<(Vec<u8>, [u8; 16])>,
}

/// An answer's first bytes, as text.
pub(super) struct Answer {
    /// What the page calls it, so that it stays open when the page is renewed.
    pub(super) id: String,
    pub(super) text: String,
}

impl Moment {
    fn new(at: Timestamp, key: impl Into<String>, class: &'static str, title: impl Into<String>) -> Self {
        Self {
            place: Place::new(at, key),
            class,
            title: title.into(),
            by: None,
            lines: Vec::new(),
            text: None,
            answer: None,
            whole: None,
            sealed: None,
        }
    }

    /// Leaves the beginnings of its texts.
    fn cut(&mut self) {
        let answer = self.answer.as_mut().map(|answer| &mut answer.text);
        let mut cut = false;
        for text in self.text.as_mut().into_iter().chain(answer) {
            cut |= excerpt::cut(text);
        }
        self.whole = cut.then(|| self.place.clone());
    }

    /// Opens what is kept of an endpoint's answer.
    async fn open_answer(&mut self, vault: &Vault, record: &IncidentRecord) {
        let Some((sealed, row)) = self.sealed.take() else {
            return;
        };
        let opened = vault.open_sealed(Purpose::Answer(record.project), &row, &sealed);
        match opened.await {
            Ok(head) if head.is_empty() => self.lines.push("The answer had no content".to_owned()),
            Ok(head) => {
                self.answer = Some(Answer {
                    id: format!("answer-{}", self.place),
                    text: readable(&head),
                });
            }
            // Its data key is destroyed with its day, a little before the row is emptied.
            Err(_) => self.lines.push("The answer is no longer kept".to_owned()),
        }
    }

    /// When, for people.
    pub(super) fn when(&self) -> String {
        words::time(self.place.at)
    }

    /// When, for machines.
    pub(super) fn wire(&self) -> String {
        self.place.at.to_string()
    }
}

/// Reads a part of what has happened.
pub(super) async fn read(
    visit: &Visit,
    seat: &Seat,
    (record, event): (&IncidentRecord, &EventRecord),
    part: &Part,
) -> Result<Timeline, PageError> {
    let store = visit.store();
    let incident = record.incident.id;
    // An answer is the customer's data, as a payload is: whoever works on incidents sees it, and who only reads does
    // not, nor is he told of it.
    let may_work = seat.role >= Role::Operator;
    let until = match part {
        Part::Newest => END_OF_TIME,
        Part::Before(place) | Part::Whole(place) => place.at,
    };
    let (results, attempts, actions, notes, told) = tokio::try_join!(
        store.results_of(record.project, record.event, until),
        store.attempts_of(record.project, record.event, until, may_work.then_some(visit.now)),
        store.actions_on(seat.scope, incident, until),
        store.notes_on(record.project, incident, until),
        store.alerts_on(record.project, incident, until),
    )?;
    let read = [
        results.len(),
        attempts.len(),
        actions.len(),
        notes.len(),
        told.len(),
    ];
    let is_all = read.iter().all(|read| *read < READ as usize);
    let people = people(&actions, &notes);
    let names = Names(store.names_of(seat.scope, people).await?);
    // Of what happened in the same millisecond, the cause comes first: so the letters of their keys are chosen.
    let mut moments: Vec<_> = receipt(event).into_iter().collect();
    moments.extend(results.iter().map(result));
    moments.push(opening(record));
    moments.extend(attempts.iter().map(call));
    let shown = actions
        .iter()
        .filter(|done| may_work || done.action != Action::SnapshotRead.as_str());
    moments.extend(shown.filter_map(|done| action(done, &names)));
    moments.extend(notes.iter().map(|written| note(written, &names)));
    moments.extend(told.iter().map(|alert| alerts::told(alert, may_work)));
    let mut timeline = choose(moments, is_all, part);
    for moment in &mut timeline.moments {
        moment.open_answer(&visit.console.setting.vault, record).await;
        if !matches!(part, Part::Whole(_)) {
            moment.cut();
        }
    }
    if *part == Part::Newest {
        let (waiting, is_telling) = tokio::try_join!(
            store.waiting_alerts_on(record.project, incident),
            store.is_telling(record.project, incident),
        )?;
        timeline.busy = is_telling || alerts::is_soon(&waiting, visit.now);
        let replay = record.replays.last();
        timeline
            .moments
            .extend(replay.and_then(|replay| outlook(replay, &attempts)));
        timeline
            .moments
            .extend(waiting.iter().map(|alert| alerts::waiting(alert, may_work)));
    }
    Ok(timeline)
}

/// After everything that has happened.
const END_OF_TIME: Timestamp = Timestamp::from_millis(i64::MAX);

/// Those moments that belong to the part. `is_all` is said of moments that are all there are up to the part's end.
fn choose(mut moments: Vec<Moment>, is_all: bool, part: &Part) -> Timeline {
    match part {
        Part::Newest => {}
        Part::Before(place) => moments.retain(|moment| moment.place < *place),
        Part::Whole(place) => {
            moments.retain(|moment| moment.place == *place);
            return Timeline {
                moments,
                older: None,
                busy: false,
            };
        }
    }
    moments.sort_by(|one, other| one.place.cmp(&other.place));
    let surplus = moments.len().saturating_sub(PAGE);
    moments.drain(..surplus);
    let oldest = moments.first().map(|moment| moment.place.clone());
    Timeline {
        moments,
        older: oldest.filter(|_| surplus > 0 || !is_all),
        busy: false,
    }
}

fn receipt(event: &EventRecord) -> Option<Moment> {
    let mut receipt = Moment::new(
        event.received_at?,
        "a",
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
    Moment::new(record.incident.opened_at, "c", "bad", opened)
}

fn result(result: &ResultRecord) -> Moment {
    let (class, title) = match result.effect {
        Effect::Success => ("good", "Your app reported success"),
        Effect::Failed => ("bad", "Your app reported a failure"),
    };
    let mut moment = Moment::new(
        result.received_at,
        format!("b{}", hex::encode(&result.id)),
        class,
        title,
    );
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

fn call(attempt: &AttemptRecord) -> Moment {
    let (how, class) = words::attempt(attempt);
    let mut moment = Moment::new(
        attempt.started_at,
        format!("d{}-{:05}", attempt.replay, attempt.number),
        class,
        format!("Call {}: {how}", attempt.number),
    );
    if let Some(millis) = attempt.duration_ms {
        moment.lines.push(format!("After {millis} ms"));
    }
    moment.lines.push(format!("Of replay {}", attempt.replay));
    moment.sealed.clone_from(&attempt.answer_head);
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
        Action::IncidentReprocessed => ("", "A replay was ordered"),
        Action::IncidentDismissed => ("", "The incident was dismissed"),
        Action::IncidentReopened => ("", "The incident is open again"),
        Action::IncidentResolved => ("good", "The incident was resolved"),
        Action::SnapshotRead => ("", "The payload was looked at"),
        _ => return None,
    };
    let mut moment = Moment::new(done.at, format!("e{:015}", done.seq), class, title);
    moment.by = Some(names.actor(&done.actor));
    let details: serde_json::Value = done
        .details
        .as_deref()
        .and_then(|details| serde_json::from_str(details).ok())
        .unwrap_or_default();
    if let Some(replay) = details["replay_id"].as_str() {
        moment.lines.push(format!("Replay {replay}"));
    }
    if details["unasked"].is_string() {
        let why = "The project has time-outs reprocessed without being asked";
        moment.lines.push(why.to_owned());
    }
    moment.text = details["reason"].as_str().map(str::to_owned);
    Some(moment)
}

fn note(note: &Note, names: &Names) -> Moment {
    let mut moment = Moment::new(note.created_at, format!("f{}", hex::encode(&note.id)), "", "Note");
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
        ReplayState::Queued => Some(Moment::new(
            replay.next_attempt_at?,
            "z",
            "",
            "The next call is due",
        )),
        ReplayState::Delivered => Some(Moment::new(
            replay.answer_due_at?,
            "z",
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

/// What members and deleted users are called.
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
mod tests;
