//! The page of one incident: what is missing, what has happened, and what can be done.

use askama::Template;
use hyper::StatusCode;
use sendpromptly_core::access::Role;
use sendpromptly_core::id::IncidentId;
use sendpromptly_core::incident::{IncidentState, NoteText};

use super::access::Seat;
use super::page::{self, Frame, Nav};
use super::{PageError, Visit};
use crate::http::Response;
use crate::store::events::EventRecord;
use crate::store::incidents::IncidentRecord;
use crate::store::repair_targets::RepairTarget;

pub mod actions;
mod excerpt;
pub mod payload;
mod place;
mod prospect;
mod timeline;
pub(super) mod words;

use payload::PayloadCard;
use place::Place;
pub(super) use prospect::{Prospect, prospect};
use timeline::{Moment, Part, Timeline};

#[derive(Template)]
#[template(path = "incident.html")]
struct IncidentPage {
    frame: Frame,
    path: String,
    /// The address of this page, to renew it from.
    here: String,
    list: String,
    live: String,
    busy: bool,
    title: String,
    meaning: String,
    state: (&'static str, &'static str),
    since: String,
    opened_at: String,
    resolved: Option<String>,
    facts: Vec<(&'static str, String)>,
    differs: Option<String>,
    moments: Vec<Moment>,
    older: Option<Place>,
    is_newest: bool,
    may_operate: bool,
    actions: Actions,
    payload: Option<PayloadCard>,
    note_form: String,
    note_max: usize,
    refusal: Option<String>,
    typed: Typed,
}

/// What can be done now.
enum Actions {
    Open(Box<Open>),
    /// A replay is under way.
    Wait,
    Reopen {
        form: String,
    },
    Nothing,
}

/// What can be done with an open incident.
struct Open {
    prospect: Prospect,
    target: Option<String>,
    body: Option<String>,
    /// Whether the payload that is kept of the event goes along.
    sends_payload: bool,
    reprocess_form: String,
    dismiss_form: String,
}

/// What the visitor typed into a form that was refused.
#[derive(Debug, Clone, Default)]
struct Typed {
    reason: String,
    read_reason: String,
    note: String,
}

/// An order that was refused, to be told on the page as it now is.
#[derive(Debug)]
struct Refused {
    status: StatusCode,
    why: String,
    typed: Typed,
}

#[derive(Template)]
#[template(path = "incident_moment.html")]
struct MomentPage {
    frame: Frame,
    path: String,
    title: String,
    moment: Moment,
}

/// `/orgs/{org}/incidents/{incident}`: the page of an incident. `before=PLACE` shows what happened before a moment,
/// `moment=PLACE` one moment with the whole of its text.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn show(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    match visit.query.text("moment").parse() {
        Ok(place) => show_moment(&visit, &seat, place).await,
        Err(_) => render(&visit, &seat, None).await,
    }
}

async fn show_moment(visit: &Visit, seat: &Seat, place: Place) -> Result<Response, PageError> {
    let record = asked_for(visit, seat).await?;
    let event = event_of(visit, &record).await?;
    let found = timeline::read(visit, seat, (&record, &event), &Part::Whole(place)).await?;
    let moment = found.moments.into_iter().next().ok_or(PageError::NotFound)?;
    page::page(&MomentPage {
        frame: visit.frame_of(seat, "Incident", Nav::Incidents),
        path: seat.path(&format!("/incidents/{}", record.incident.id)),
        title: title(&record),
        moment,
    })
}

async fn event_of(visit: &Visit, record: &IncidentRecord) -> Result<EventRecord, PageError> {
    let event = visit.store().event(record.project, record.event).await?;
    event.ok_or(PageError::NotFound)
}

async fn render(visit: &Visit, seat: &Seat, refused: Option<Refused>) -> Result<Response, PageError> {
    let store = visit.store();
    let seq = store.chain(seat.scope.id()).head().await?.seq;
    let record = asked_for(visit, seat).await?;
    let event = event_of(visit, &record).await?;
    let mut targets = store.repair_targets(seat.scope, [record.project]).await?;
    let target = targets.remove(&record.project).ok_or(PageError::NotFound)?;
    let (part, tail) = match visit.query.text("before").parse::<Place>() {
        Ok(place) => {
            let tail = format!("?before={place}");
            (Part::Before(place), tail)
        }
        Err(_) => (Part::Newest, String::new()),
    };
    let Timeline { moments, older, busy } = timeline::read(visit, seat, (&record, &event), &part).await?;
    let may_operate = seat.role >= Role::Operator;
    let payload = if may_operate {
        payload::card(visit, &record).await?
    } else {
        None
    };
    let sends_payload = payload.is_some() && target.sends_payload;
    let path = seat.path(&format!("/incidents/{}", record.incident.id));
    let notice = notice(visit.query.text("done"));
    let status = refused.as_ref().map_or(StatusCode::OK, |refused| refused.status);
    let (refusal, typed) =
        refused.map_or_else(Default::default, |refused| (Some(refused.why), refused.typed));
    let shown = IncidentPage {
        frame: visit.frame_of(seat, "Incident", Nav::Incidents).telling(notice),
        list: seat.path("/incidents"),
        live: format!("{}?since={seq}", seat.path("/live")),
        busy: busy || !record.incident.state.is_settled(),
        title: title(&record),
        meaning: words::meaning(&record),
        state: words::state(record.incident.state),
        since: words::since(&record.incident, visit.now),
        opened_at: record.incident.opened_at.to_string(),
        resolved: record.incident.resolved_at.map(words::time),
        facts: facts(&record, &event, &target),
        differs: (!event.differs.is_empty()).then(|| event.differs.join(", ")),
        moments,
        older,
        is_newest: part == Part::Newest,
        may_operate,
        actions: actions(visit, seat, (&record, &event), &target, sends_payload),
        payload,
        note_form: visit.new_form_token(),
        note_max: NoteText::MAX,
        refusal,
        typed,
        here: format!("{path}{tail}"),
        path,
    };
    page::with_status(status, &shown)
}

/// The incident that the path names, if it is the organization's.
async fn asked_for(visit: &Visit, seat: &Seat) -> Result<IncidentRecord, PageError> {
    let id: IncidentId = visit.param("incident")?;
    let found = visit.store().incident_of(seat.scope, id).await?;
    found.ok_or(PageError::NotFound)
}

fn title(record: &IncidentRecord) -> String {
    let effect = words::effect(record.effect_type);
    match &record.internal_reference {
        Some(reference) => format!("{effect} for {reference}"),
        None => format!("Event {}", record.provider_event_id),
    }
}

/// What was done just now. The address carries a word, never the text.
fn notice(done: &str) -> Option<&'static str> {
    Some(match done {
        "reprocessed" => "The incident is being reprocessed. The call goes out at once.",
        "dismissed" => "The incident is dismissed.",
        "reopened" => "The incident is open again.",
        "noted" => "The note is added.",
        _ => return None,
    })
}

fn facts(record: &IncidentRecord, event: &EventRecord, target: &RepairTarget) -> Vec<(&'static str, String)> {
    let mut facts = vec![
        ("Project", format!("{} ({})", target.project, target.mode)),
        ("Effect", words::effect(record.effect_type).to_owned()),
        (
            "Reference",
            record
                .internal_reference
                .clone()
                .unwrap_or_else(|| "Not known yet".to_owned()),
        ),
        ("Provider", words::provider(record.provider).to_owned()),
        ("Provider event", record.provider_event_id.clone()),
        ("Event type", record.event_type.clone()),
        ("Happened", words::time(event.occurred_at)),
        ("Event id", record.event.to_string()),
        ("Incident id", record.incident.id.to_string()),
    ];
    if let Some(shop) = &event.shop_domain {
        facts.insert(4, ("Shop", shop.clone()));
    }
    facts
}

fn actions(
    visit: &Visit,
    seat: &Seat,
    (record, event): (&IncidentRecord, &EventRecord),
    target: &RepairTarget,
    sends_payload: bool,
) -> Actions {
    match record.incident.state {
        IncidentState::Open => Actions::Open(Box::new(Open {
            prospect: prospect(record, Some(target), visit, seat),
            target: target.origin.clone(),
            body: prospect::body(record, event, target.mode),
            sends_payload,
            reprocess_form: visit.new_form_token(),
            dismiss_form: visit.new_form_token(),
        })),
        IncidentState::Reprocessing => Actions::Wait,
        IncidentState::Dismissed => Actions::Reopen {
            form: visit.new_form_token(),
        },
        IncidentState::Resolved => Actions::Nothing,
    }
}
