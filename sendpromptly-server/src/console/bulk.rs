//! Reprocessing a selection of incidents: first what would be called for each, then the orders themselves.

use std::collections::{BTreeSet, HashMap};

use askama::Template;
use hyper::StatusCode;
use sendpromptly_core::id::{IncidentId, ProjectId};

use super::access::Seat;
use super::incident::actions::order;
use super::incident::{Prospect, prospect, words};
use super::page::{self, Frame, Nav};
use super::{PageError, Visit};
use crate::http::Response;
use crate::operate::OperateError;
use crate::store::incidents::IncidentRecord;
use crate::store::repair_targets::RepairTarget;

/// The most incidents of a selection.
const MOST: usize = 100;

#[derive(Template)]
#[template(path = "bulk.html")]
struct PreviewPage {
    frame: Frame,
    back: String,
    confirm: String,
    planned: Vec<Planned>,
    /// How many of them would be called, with those that need a look before.
    callable: usize,
    refusal: Option<String>,
}

/// What would be done for one incident.
struct Planned {
    id: String,
    path: String,
    effect: &'static str,
    reference: String,
    project: String,
    target: String,
    prospect: Prospect,
    /// Whether a call bears the payload that is kept of the event.
    with_payload: bool,
}

#[derive(Template)]
#[template(path = "bulk_done.html")]
struct DonePage {
    frame: Frame,
    back: String,
    ordered: usize,
    outcomes: Vec<Outcome>,
}

impl Planned {
    /// Whether the call would bear the payload that is kept of the event.
    const fn is_with_payload(&self) -> bool {
        self.with_payload && !matches!(self.prospect, Prospect::Refused(_))
    }
}

/// What was done for one incident.
struct Outcome {
    path: String,
    effect: &'static str,
    reference: String,
    /// Why it was not ordered.
    refused: Option<&'static str>,
}

/// `POST …/incidents/preview`: what would be called for each of the selected incidents. It changes nothing.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn preview(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let selected = match selection(&visit) {
        Ok(selected) => selected,
        Err(why) => return refuse(&visit, &seat, why),
    };
    let records = visit.store().incidents_of(seat.scope, &selected).await?;
    let projects: BTreeSet<_> = records.iter().map(|record| record.project).collect();
    let targets = visit.store().repair_targets(seat.scope, projects).await?;
    let events = records.iter().map(|record| (record.project, record.event));
    let sent = visit
        .store()
        .payloads_to_send(seat.scope, events, visit.now)
        .await?;
    let planned: Vec<_> = records
        .iter()
        .map(|record| plan(&visit, &seat, record, &targets, sent.contains(&record.event)))
        .collect();
    let callable = planned
        .iter()
        .filter(|planned| !matches!(planned.prospect, Prospect::Refused(_)))
        .count();
    page::page(&PreviewPage {
        frame: visit.frame_of(&seat, "Reprocess the selected", Nav::Incidents),
        back: back(&visit, &seat),
        confirm: seat.path("/incidents/reprocess"),
        planned,
        callable,
        refusal: None,
    })
}

/// `POST …/incidents/reprocess`: orders a replay of each. The same form is the same orders, however often it is
/// sent, so its answer can be the outcome itself.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn reprocess(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let selected = match selection(&visit) {
        Ok(selected) => selected,
        Err(why) => return refuse(&visit, &seat, why),
    };
    let again: BTreeSet<IncidentId> = visit.form.all("again").filter_map(|id| id.parse().ok()).collect();
    let records = visit.store().incidents_of(seat.scope, &selected).await?;
    let mut outcomes = Vec::new();
    for record in &records {
        let incident = record.incident.id;
        let ordered = order(
            &visit,
            &seat,
            (record.project, incident),
            again.contains(&incident),
        )
        .await;
        outcomes.push(outcome(&seat, record, ordered));
    }
    let ordered = outcomes
        .iter()
        .filter(|outcome| outcome.refused.is_none())
        .count();
    page::page(&DonePage {
        frame: visit.frame_of(&seat, "Reprocess the selected", Nav::Incidents),
        back: back(&visit, &seat),
        ordered,
        outcomes,
    })
}

/// The incidents that were selected, or why that is no selection.
fn selection(visit: &Visit) -> Result<Vec<IncidentId>, String> {
    let selected: BTreeSet<IncidentId> = visit
        .form
        .all("incident")
        .filter_map(|id| id.parse().ok())
        .collect();
    match selected.len() {
        0 => Err("Nothing is selected. Go back and tick the incidents to reprocess.".to_owned()),
        1..=MOST => Ok(selected.into_iter().collect()),
        _ => Err(format!("Select {MOST} incidents at most.")),
    }
}

fn refuse(visit: &Visit, seat: &Seat, why: String) -> Result<Response, PageError> {
    let shown = PreviewPage {
        frame: visit.frame_of(seat, "Reprocess the selected", Nav::Incidents),
        back: back(visit, seat),
        confirm: String::new(),
        planned: Vec::new(),
        callable: 0,
        refusal: Some(why),
    };
    page::with_status(StatusCode::UNPROCESSABLE_ENTITY, &shown)
}

/// The list as it was when the selection was made.
fn back(visit: &Visit, seat: &Seat) -> String {
    let (list, asked) = (seat.path("/incidents"), page::local_path(visit.form.text("back")));
    let of_the_list = asked.strip_prefix(&list);
    let known = of_the_list.is_some_and(|rest| rest.is_empty() || rest.starts_with('?'));
    if known { asked.to_owned() } else { list }
}

fn plan(
    visit: &Visit,
    seat: &Seat,
    record: &IncidentRecord,
    targets: &HashMap<ProjectId, RepairTarget>,
    with_payload: bool,
) -> Planned {
    let target = targets.get(&record.project);
    Planned {
        id: record.incident.id.to_string(),
        path: seat.path(&format!("/incidents/{}", record.incident.id)),
        effect: words::effect(record.effect_type),
        reference: record.internal_reference.clone().unwrap_or_default(),
        project: target.map(|target| target.project.clone()).unwrap_or_default(),
        target: target
            .and_then(|target| target.origin.clone())
            .unwrap_or_default(),
        prospect: prospect(record, target, visit, seat),
        with_payload,
    }
}

fn outcome(seat: &Seat, record: &IncidentRecord, ordered: Result<(), OperateError>) -> Outcome {
    let refused = ordered.err().map(|error| {
        words::refusal(&error).unwrap_or_else(|| {
            tracing::warn!(incident = %record.incident.id, %error, "an order of a selection failed");
            "It is not known whether it was ordered. Send the form again: what was ordered stays ordered once."
        })
    });
    Outcome {
        path: seat.path(&format!("/incidents/{}", record.incident.id)),
        effect: words::effect(record.effect_type),
        reference: record.internal_reference.clone().unwrap_or_default(),
        refused,
    }
}
