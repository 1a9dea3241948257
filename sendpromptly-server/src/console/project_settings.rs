//! A project's settings: name, timeout, what is kept, the repair URL; and its deletion.

use askama::Template;
use hyper::StatusCode;
use sendpromptly_core::id::ProjectId;
use sendpromptly_core::project::{EventsKept, Name, Timeout, UnaskedOrders};
use sendpromptly_core::request::MAX_TIMEOUT_MINUTES;

use super::access::Seat;
use super::page::{self, Frame, Nav};
use super::projects::{office, read_url};
use super::{PageError, Visit};
use crate::http::Response;
use crate::store::projects::{Project, ProjectChange, SnapshotChange, UrlChange};

#[derive(Template)]
#[template(path = "project_settings.html")]
struct SettingsPage {
    frame: Frame,
    path: String,
    project: String,
    fields: Fields,
    max_timeout: u32,
    most_unasked: u32,
    days: (u32, u32),
}

/// What the forms hold, and what is wrong with it.
struct Fields {
    name: String,
    timeout_minutes: String,
    reprocess_timeouts: String,
    keep_answers: bool,
    events_kept_days: String,
    repair_url: String,
    keep_snapshots: bool,
    send_payload: bool,
    wrong_name: Option<String>,
    wrong_timeout: Option<String>,
    wrong_unasked: Option<String>,
    wrong_days: Option<String>,
    wrong_url: Option<String>,
    wrong_deletion: bool,
}

impl From<&Project> for Fields {
    fn from(project: &Project) -> Self {
        Self {
            name: project.name.clone(),
            timeout_minutes: project.timeout_minutes.to_string(),
            reprocess_timeouts: project.reprocess_timeouts.to_string(),
            keep_answers: project.keep_answers,
            events_kept_days: project.events_kept_days.to_string(),
            repair_url: project.repair_url.clone().unwrap_or_default(),
            keep_snapshots: project.keep_snapshots,
            send_payload: project.send_payload,
            wrong_name: None,
            wrong_timeout: None,
            wrong_unasked: None,
            wrong_days: None,
            wrong_url: None,
            wrong_deletion: false,
        }
    }
}

/// `GET /orgs/{org}/projects/{project}/settings`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn show(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let project = find(&visit, &seat).await?;
    page::page(&settings_page(&visit, &seat, &project, Fields::from(&project)))
}

/// `POST /orgs/{org}/projects/{project}/settings`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn save(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let project = find(&visit, &seat).await?;
    let form = &visit.form;
    let name = form.text("name").parse::<Name>();
    let timeout = form.text("timeout_minutes").parse::<Timeout>();
    let unasked = form.text("reprocess_timeouts").parse::<UnaskedOrders>();
    let keep_answers = form.has("keep_answers");
    let (Ok(name), Ok(timeout), Ok(unasked)) = (&name, &timeout, &unasked) else {
        let fields = Fields {
            name: form.text("name").to_owned(),
            timeout_minutes: form.text("timeout_minutes").to_owned(),
            reprocess_timeouts: form.text("reprocess_timeouts").to_owned(),
            keep_answers,
            wrong_name: name.err().map(|error| format!("The name {error}.")),
            wrong_timeout: timeout.err().map(|error| format!("The timeout {error}.")),
            wrong_unasked: unasked.err().map(|error| format!("It {error}.")),
            ..Fields::from(&project)
        };
        let page = settings_page(&visit, &seat, &project, fields);
        return page::with_status(StatusCode::UNPROCESSABLE_ENTITY, &page);
    };
    let change = ProjectChange {
        name: Some(name.as_str().to_owned()),
        timeout_minutes: Some(timeout.minutes()),
        reprocess_timeouts: Some(unasked.number()),
        keep_answers: Some(keep_answers),
        ..ProjectChange::default()
    };
    change_it(&visit, &seat, project.id, &change).await?;
    Ok(back_to(&seat, project.id, "saved"))
}

/// `POST /orgs/{org}/projects/{project}/retention`: for how long events are kept. It has a form of its own, for a
/// lower number destroys, and a code is asked for.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn save_retention(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let project = find(&visit, &seat).await?;
    let typed = visit.form.text("events_kept_days");
    let days = match typed.parse::<EventsKept>() {
        Ok(days) => days,
        Err(error) => {
            let fields = Fields {
                events_kept_days: typed.to_owned(),
                wrong_days: Some(format!("It {error}.")),
                ..Fields::from(&project)
            };
            let page = settings_page(&visit, &seat, &project, fields);
            return page::with_status(StatusCode::UNPROCESSABLE_ENTITY, &page);
        }
    };
    let change = ProjectChange {
        events_kept_days: Some(days.days()),
        ..ProjectChange::default()
    };
    change_it(&visit, &seat, project.id, &change).await?;
    Ok(back_to(&seat, project.id, "saved"))
}

/// `POST /orgs/{org}/projects/{project}/repair-url`. An empty one means that nobody is called any more.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn save_url(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let project = find(&visit, &seat).await?;
    let checked = match read_url(&visit.form, &visit.console.setting.policy).await {
        Ok(checked) => checked,
        Err(wrong) => {
            let fields = Fields {
                repair_url: visit.form.text("repair_url").to_owned(),
                wrong_url: Some(wrong),
                ..Fields::from(&project)
            };
            let page = settings_page(&visit, &seat, &project, fields);
            return page::with_status(StatusCode::UNPROCESSABLE_ENTITY, &page);
        }
    };
    let unresolved = checked.as_ref().is_some_and(|url| url.warning.is_some());
    let change = ProjectChange {
        repair_url: checked.map_or(UrlChange::Remove, UrlChange::from),
        ..ProjectChange::default()
    };
    change_it(&visit, &seat, project.id, &change).await?;
    Ok(back_to(
        &seat,
        project.id,
        if unresolved { "unresolved" } else { "url" },
    ))
}

/// `POST /orgs/{org}/projects/{project}/snapshots`: whether payloads are kept, and whether they go along. With the end
/// of keeping them, those that are kept can be deleted.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn save_snapshots(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let project = find(&visit, &seat).await?;
    let form = &visit.form;
    let send_payload = form.has("send_payload");
    let (snapshots, done) = match (form.has("keep_snapshots"), form.has("delete_snapshots")) {
        (true, false) => (SnapshotChange::On, "payloads"),
        (false, false) => (SnapshotChange::Off, "payloads"),
        (false, true) => (SnapshotChange::OffAndDelete, "payloads-deleted"),
        (true, true) => {
            let fields = Fields {
                keep_snapshots: true,
                send_payload,
                wrong_deletion: true,
                ..Fields::from(&project)
            };
            let page = settings_page(&visit, &seat, &project, fields);
            return page::with_status(StatusCode::UNPROCESSABLE_ENTITY, &page);
        }
    };
    let turned_on =
        (form.has("keep_snapshots") && !project.keep_snapshots) || (send_payload && !project.send_payload);
    if turned_on && !visit.may_change(&seat) {
        return Err(PageError::SubscriptionRequired);
    }
    let change = ProjectChange {
        snapshots,
        send_payload: Some(send_payload),
        ..ProjectChange::default()
    };
    change_it(&visit, &seat, project.id, &change).await?;
    Ok(back_to(&seat, project.id, done))
}

#[derive(Template)]
#[template(path = "project_delete.html")]
struct DeletePage {
    frame: Frame,
    path: String,
    name: String,
    wrong: bool,
}

/// `GET /orgs/{org}/projects/{project}/delete`: says what is lost, and asks for the name.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn confirm_deletion(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let project = find(&visit, &seat).await?;
    page::page(&delete_page(&visit, &seat, project, false))
}

/// `POST /orgs/{org}/projects/{project}/delete`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn delete(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let project = find(&visit, &seat).await?;
    if visit.form.text("name") != project.name {
        let page = delete_page(&visit, &seat, project, true);
        return page::with_status(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    let origin = visit.origin(seat.who.user);
    let office = office(&visit, &seat, &origin);
    office.delete(project.id).await?;
    Ok(page::see_other(&seat.path("/projects?deleted=1")))
}

async fn find(visit: &Visit, seat: &Seat) -> Result<Project, PageError> {
    let id: ProjectId = visit.param("project")?;
    let project = visit.store().project(seat.scope, id).await?;
    project.ok_or(PageError::NotFound)
}

async fn change_it(
    visit: &Visit,
    seat: &Seat,
    project: ProjectId,
    change: &ProjectChange,
) -> Result<(), PageError> {
    let origin = visit.origin(seat.who.user);
    let office = office(visit, seat, &origin);
    office.change(project, change).await?;
    Ok(())
}

fn settings_page(visit: &Visit, seat: &Seat, project: &Project, fields: Fields) -> SettingsPage {
    SettingsPage {
        frame: visit.frame_of(seat, "Project settings", Nav::Projects),
        path: seat.path(&format!("/projects/{}", project.id)),
        project: project.name.clone(),
        fields,
        max_timeout: MAX_TIMEOUT_MINUTES,
        most_unasked: UnaskedOrders::MAX,
        days: (EventsKept::MIN, EventsKept::MAX),
    }
}

fn delete_page(visit: &Visit, seat: &Seat, project: Project, wrong: bool) -> DeletePage {
    DeletePage {
        frame: visit.frame_of(seat, "Delete a project", Nav::Projects),
        path: seat.path(&format!("/projects/{}", project.id)),
        name: project.name,
        wrong,
    }
}

fn back_to(seat: &Seat, project: ProjectId, done: &str) -> Response {
    page::see_other(&seat.path(&format!("/projects/{project}?done={done}")))
}
