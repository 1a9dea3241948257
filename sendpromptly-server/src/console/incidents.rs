//! The list of incidents, with its filters.

use std::collections::{BTreeSet, HashMap};

use askama::Template;
use sendpromptly_core::access::Role;
use sendpromptly_core::event::{EffectType, Provider};
use sendpromptly_core::id::ProjectId;
use sendpromptly_core::incident::{IncidentReason, IncidentState};

use super::access::Seat;
use super::incident::words;
use super::page::{self, Frame, Nav};
use super::{PageError, Visit};
use crate::http::Response;
use crate::store::incident_list::{Count, IncidentFilter, IncidentPage, PageStart};
use crate::store::incidents::IncidentRecord;

mod filter;
#[cfg(test)]
mod tests;

/// Incidents on a page.
const PAGE: u32 = 50;

#[derive(Template)]
#[template(path = "incidents.html")]
struct ListPage {
    frame: Frame,
    path: String,
    live: String,
    busy: bool,
    page: String,
    /// The address of the list without its page.
    here: String,
    projects_path: String,
    filtered: bool,
    states: Vec<Choice>,
    projects: Vec<Choice>,
    effects: Vec<Choice>,
    providers: Vec<Choice>,
    reference: String,
    search: String,
    open: Count,
    reprocessing: Count,
    rows: Vec<Row>,
    may_operate: bool,
    newer: Option<String>,
    older: Option<String>,
}

/// One of the values of a filter.
struct Choice {
    value: String,
    label: String,
    chosen: bool,
}

struct Row {
    id: String,
    path: String,
    state: (&'static str, &'static str),
    effect: &'static str,
    reason: &'static str,
    reference: String,
    provider_event: String,
    project: String,
    opened: String,
    opened_at: String,
    replays: String,
}

/// `/orgs/{org}/incidents`: the list.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn list(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let (filter, start) = (filter::of(&visit.query), filter::start(&visit.query));
    let store = visit.store();
    // The place in the log comes first: what changes after it is told to the page.
    let seq = store.chain(seat.scope.id()).head().await?.seq;
    let (found, mut projects, open, reprocessing) = tokio::try_join!(
        store.list_incidents(seat.scope, &filter, start, PAGE),
        store.project_names(seat.scope),
        store.count_incidents(seat.scope, IncidentState::Open),
        store.count_incidents(seat.scope, IncidentState::Reprocessing),
    )?;
    let missing = beyond(&projects, &filter, &found);
    projects.extend(store.names_of_projects(seat.scope, &missing).await?);
    let path = seat.path("/incidents");
    let here = format!("{path}{}", filter::query(&filter, PageStart::Newest));
    let (newer, older) = neighbours(&path, &filter, &found);
    let names: HashMap<_, _> = projects.iter().cloned().collect();
    page::page(&ListPage {
        frame: visit.frame_of(&seat, "Incidents", Nav::Incidents),
        live: format!("{}?since={seq}", seat.path("/live")),
        busy: found.incidents.iter().any(awaits_its_receipt),
        page: visit.target.clone(),
        here,
        projects_path: seat.path("/projects"),
        filtered: filter != IncidentFilter::default(),
        states: choices(IncidentState::ALL, filter.state, |state| words::state(state).0),
        projects: projects_to_choose(projects, filter.project),
        effects: choices(EffectType::ALL, filter.effect_type, |effect| {
            words::effect(Some(effect))
        }),
        providers: choices(Provider::ALL, filter.provider, words::provider),
        reference: filter.reference.unwrap_or_default(),
        search: filter.search.unwrap_or_default(),
        open,
        reprocessing,
        rows: found
            .incidents
            .iter()
            .map(|record| row(record, &path, &names, visit.now))
            .collect(),
        may_operate: seat.role >= Role::Operator,
        path,
        newer,
        older,
    })
}

/// Whether a receipt may yet say what the effect and the reference are: it comes without an entry in the audit log.
fn awaits_its_receipt(record: &IncidentRecord) -> bool {
    let incident = &record.incident;
    let is_missed = incident.reason == IncidentReason::MissingReceipt && !incident.state.is_settled();
    is_missed || record.effect_type.is_none() || record.internal_reference.is_none()
}

/// The projects that the page names and that are not among these.
fn beyond(
    projects: &[(ProjectId, String)],
    filter: &IncidentFilter,
    page: &IncidentPage,
) -> BTreeSet<ProjectId> {
    let known: BTreeSet<_> = projects.iter().map(|(id, _)| *id).collect();
    let shown = page.incidents.iter().map(|record| record.project);
    let named: BTreeSet<_> = shown.chain(filter.project).collect();
    &named - &known
}

/// The pages above and below.
fn neighbours(path: &str, filter: &IncidentFilter, page: &IncidentPage) -> (Option<String>, Option<String>) {
    let link = |start| format!("{path}{}", filter::query(filter, start));
    let (first, last) = (page.incidents.first(), page.incidents.last());
    let newer = match first {
        Some(first) if page.newer => Some(link(PageStart::NewerThan(first.incident.id))),
        None if page.newer => Some(link(PageStart::Newest)),
        _ => None,
    };
    let older = last
        .filter(|_| page.older)
        .map(|last| link(PageStart::OlderThan(last.incident.id)));
    (newer, older)
}

fn choices<T: Copy + PartialEq + std::fmt::Display>(
    all: &[T],
    chosen: Option<T>,
    label: impl Fn(T) -> &'static str,
) -> Vec<Choice> {
    let choice = |value: &T| Choice {
        value: value.to_string(),
        label: label(*value).to_owned(),
        chosen: chosen == Some(*value),
    };
    all.iter().map(choice).collect()
}

fn projects_to_choose(projects: Vec<(ProjectId, String)>, chosen: Option<ProjectId>) -> Vec<Choice> {
    let choice = |(id, name): (ProjectId, String)| Choice {
        value: id.to_string(),
        label: name,
        chosen: chosen == Some(id),
    };
    projects.into_iter().map(choice).collect()
}

fn row(
    record: &IncidentRecord,
    path: &str,
    projects: &HashMap<ProjectId, String>,
    now: sendpromptly_core::time::Timestamp,
) -> Row {
    let incident = &record.incident;
    let project = projects.get(&record.project).cloned();
    Row {
        id: incident.id.to_string(),
        path: format!("{path}/{}", incident.id),
        state: words::state(incident.state),
        effect: words::effect(record.effect_type),
        reason: words::reason(incident.reason),
        reference: record.internal_reference.clone().unwrap_or_default(),
        provider_event: record.provider_event_id.clone(),
        project: project.unwrap_or_else(|| record.project.to_string()),
        opened: words::ago(incident.opened_at, now),
        opened_at: incident.opened_at.to_string(),
        replays: words::replays(&record.replays),
    }
}
