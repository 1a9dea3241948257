//! The projects of an organization, and how a new one is made.

use askama::Template;
use hyper::StatusCode;
use sendpromptly_core::access::Role;
use sendpromptly_core::audit::Origin;
use sendpromptly_core::event::Mode;
use sendpromptly_core::id::ProjectId;
use sendpromptly_core::project::{Name, Timeout};
use sendpromptly_core::request::MAX_TIMEOUT_MINUTES;

use super::access::Seat;
use super::first_lines::FirstLines;
use super::form::Form;
use super::page::{self, Frame, Nav};
use super::when::When;
use super::{PageError, Visit};
use crate::callback::AddressPolicy;
use crate::http::Response;
use crate::projects::{CheckedUrl, NewProject, Office, ProjectError};
use crate::store::project_list::{ListedProject, MOST_COUNTED};

/// Projects on a page.
const PAGE: u32 = 50;

impl From<ProjectError> for PageError {
    fn from(error: ProjectError) -> Self {
        match error {
            ProjectError::NoOrganization | ProjectError::NoProject | ProjectError::NoKey => Self::NotFound,
            ProjectError::Store(error) => error.into(),
            ProjectError::Vault(error) => error.into(),
            error => Self::Internal(error.to_string()), // told by the handlers, each in its place
        }
    }
}

/// Where a member works on the organization's projects.
pub(super) fn office<'a>(visit: &'a Visit, seat: &Seat, origin: &'a Origin) -> Office<'a> {
    Office {
        store: visit.store(),
        scope: seat.scope,
        origin,
        now: visit.now,
    }
}

#[derive(Template)]
#[template(path = "projects.html")]
struct ProjectsPage {
    frame: Frame,
    path: String,
    rows: Vec<Row>,
    is_first: bool,
    next: Option<String>,
    may_create: bool,
}

struct Row {
    id: String,
    name: String,
    mode: &'static str,
    open_incidents: String,
    has_open: bool,
    last_receipt: Option<When>,
}

/// `GET /orgs/{org}/projects`: the list.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn list(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let after = match visit.query.text("after") {
        "" => None,
        after => Some(after.parse::<ProjectId>().map_err(|_| PageError::NotFound)?),
    };
    let found = visit.store().listed_projects(seat.scope, after, PAGE + 1).await?;
    let shown = found.get(..PAGE as usize).unwrap_or(&found);
    let next = (found.len() > shown.len()).then(|| shown.last().map(|last| last.project.id.to_string()));
    page::page(&ProjectsPage {
        frame: visit
            .frame_of(&seat, "Projects", Nav::Projects)
            .telling(visit.query.has("deleted").then_some(DELETED)),
        path: seat.path("/projects"),
        rows: shown.iter().map(Row::from).collect(),
        is_first: after.is_none(),
        next: next.flatten(),
        may_create: seat.role >= Role::Admin,
    })
}

const DELETED: &str =
    "The project is deleted. Its keys open nothing any more, and its data is being removed.";

impl From<&ListedProject> for Row {
    fn from(listed: &ListedProject) -> Self {
        Self {
            id: listed.project.id.to_string(),
            name: listed.project.name.clone(),
            mode: listed.project.mode.as_str(),
            open_incidents: count_of(listed.open_incidents),
            has_open: listed.open_incidents > 0,
            last_receipt: listed.last_receipt_at.map(When::of),
        }
    }
}

/// A count as it is shown: above what is counted it is only known to be more.
pub(super) fn count_of(open_incidents: u32) -> String {
    if open_incidents < MOST_COUNTED {
        open_incidents.to_string()
    } else {
        format!("{open_incidents} or more")
    }
}

#[derive(Template)]
#[template(path = "project_new.html")]
struct NewPage {
    frame: Frame,
    path: String,
    fields: Fields,
    max_timeout: u32,
}

/// What the form holds, and what is wrong with it.
#[derive(Default)]
struct Fields {
    name: String,
    live: bool,
    repair_url: String,
    timeout_minutes: String,
    wrong_name: Option<String>,
    wrong_url: Option<String>,
    wrong_timeout: Option<String>,
}

/// `GET /orgs/{org}/projects/new`: the form.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn new(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let fields = Fields {
        timeout_minutes: Timeout::default().to_string(),
        ..Fields::default()
    };
    page::page(&new_page(&visit, &seat, fields))
}

fn new_page(visit: &Visit, seat: &Seat, fields: Fields) -> NewPage {
    NewPage {
        frame: visit.frame_of(seat, "New project", Nav::Projects),
        path: seat.path("/projects"),
        fields,
        max_timeout: MAX_TIMEOUT_MINUTES,
    }
}

#[derive(Template)]
#[template(path = "project_created.html")]
struct CreatedPage<'a> {
    frame: Frame,
    path: String,
    live: String,
    name: &'a str,
    api_key: &'a str,
    signing_secret: &'a str,
    warning: Option<String>,
    lines: FirstLines,
}

/// `POST /orgs/{org}/projects`: makes a project, and shows its key and secret this once.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn create(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let new = match read(&visit.form, &visit.console.setting.policy).await {
        Ok(new) => new,
        Err(fields) => {
            let page = new_page(&visit, &seat, *fields);
            return page::with_status(StatusCode::UNPROCESSABLE_ENTITY, &page);
        }
    };
    let warning = new.repair_url.as_ref().and_then(|url| url.warning.clone());
    let origin = visit.origin(seat.who.user);
    let office = office(&visit, &seat, &origin);
    let setting = &visit.console.setting;
    let created = office.create(&setting.vault, new).await?;
    page::page(&CreatedPage {
        frame: visit.frame_of(&seat, "Your new project", Nav::Projects),
        path: seat.path(&format!("/projects/{}", created.project.id)),
        live: seat.path("/live"),
        name: &created.project.name,
        api_key: created.api_key.expose(),
        signing_secret: created.signing_secret.expose(),
        warning,
        lines: FirstLines::new(&setting.base_url, created.api_key.expose(), visit.now),
    })
}

/// Reads the form, or tells everything that is wrong with it.
async fn read(form: &Form, policy: &AddressPolicy) -> Result<NewProject, Box<Fields>> {
    let name = form.text("name").parse::<Name>();
    let timeout = form.text("timeout_minutes").parse::<Timeout>();
    let mode = form.text("mode").parse::<Mode>().unwrap_or(Mode::Test);
    let repair_url = read_url(form, policy).await;
    match (name, timeout, repair_url) {
        (Ok(name), Ok(timeout), Ok(repair_url)) => Ok(NewProject {
            name,
            mode,
            repair_url,
            timeout,
        }),
        (name, timeout, repair_url) => Err(Box::new(Fields {
            name: form.text("name").to_owned(),
            live: mode == Mode::Live,
            repair_url: form.text("repair_url").to_owned(),
            timeout_minutes: form.text("timeout_minutes").to_owned(),
            wrong_name: name.err().map(|error| format!("The name {error}.")),
            wrong_url: repair_url.err(),
            wrong_timeout: timeout.err().map(|error| format!("The timeout {error}.")),
        })),
    }
}

/// The repair URL of a form, if it has one, or what is wrong with it.
pub(super) async fn read_url(form: &Form, policy: &AddressPolicy) -> Result<Option<CheckedUrl>, String> {
    match form.text("repair_url") {
        "" => Ok(None),
        text => {
            let checked = CheckedUrl::check(text, policy).await;
            checked.map(Some).map_err(|error| sentence(&error.to_string()))
        }
    }
}

/// Begins with a capital and ends with a full stop.
pub(super) fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), chars.as_str())
}
