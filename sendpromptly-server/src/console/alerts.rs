//! Whom a project's alerts go to: the list with how the last message to each ended, what is added and removed, a test.

use askama::Template;
use hyper::StatusCode;
use sendpromptly_core::access::Role;
use sendpromptly_core::alert::Channel;
use sendpromptly_core::id::{AlertId, ProjectId};
use sendpromptly_core::project::Timeout;
use sendpromptly_core::request::MAX_TIMEOUT_MINUTES;

use super::access::Seat;
use super::credentials::OncePage;
use super::page::{self, Frame, Nav};
use super::projects::{office, sentence};
use super::when::When;
use super::{PageError, Visit};
use crate::alerts::{AlertError, CheckedTarget};
use crate::http::Response;
use crate::store::alerts::{AlertMinutes, Destination};
use crate::store::projects::Project;

#[derive(Template)]
#[template(path = "alerts.html")]
struct AlertsPage {
    frame: Frame,
    path: String,
    project: String,
    destinations: Vec<Row>,
    may_admin: bool,
    verdict: Option<Verdict>,
    fields: Fields,
    max_minutes: u32,
}

/// A destination as the list shows it.
struct Row {
    id: String,
    channel: &'static str,
    to: String,
    escalation: bool,
    waits: bool,
    sent_at: Option<When>,
    failed_at: Option<When>,
    failure: String,
    given_up: u32,
}

/// What became of a test.
struct Verdict {
    good: bool,
    text: String,
}

/// What the forms hold, and what is wrong with it.
#[derive(Default)]
struct Fields {
    channel: String,
    to: String,
    escalation: bool,
    wrong_to: Option<String>,
    escalate_minutes: String,
    silence_minutes: String,
    wrong_minutes: Option<String>,
}

/// `GET /orgs/{org}/projects/{project}/alerts`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn show(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let project = find(&visit, &seat).await?;
    let fields = fields(&visit, &seat, &project).await?;
    page::page(&gather(&visit, &seat, project, fields, None).await?)
}

/// `POST /orgs/{org}/projects/{project}/alerts`: adds a destination.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn add(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let project = find(&visit, &seat).await?;
    let form = &visit.form;
    let channel: Channel = form.text("channel").parse().map_err(|_| PageError::Form)?; // the page offers no other
    let checked = CheckedTarget::check(channel, form.text("to"), &visit.console.setting.policy).await;
    let refused = match checked {
        Ok(checked) => {
            let unresolved = checked.warning.is_some();
            let origin = visit.origin(seat.who.user);
            let (vault, escalation) = (&visit.console.setting.vault, form.has("escalation"));
            let office = office(&visit, &seat, &origin);
            match office.add_alert(vault, project.id, checked, escalation).await {
                Ok(added) => {
                    let path = path_of(&seat, project.id);
                    return match &added.secret {
                        Some(secret) => once(&visit, &seat, path, secret.expose()),
                        None if unresolved => Ok(page::see_other(&format!("{path}?done=unresolved"))),
                        None => Ok(page::see_other(&format!("{path}?done=added"))),
                    };
                }
                Err(error @ AlertError::TooMany) => error.to_string(),
                Err(error) => return Err(error.into()),
            }
        }
        Err(refused) => refused.to_string(),
    };
    let fields = Fields {
        channel: channel.as_str().to_owned(),
        to: shown_again(channel, form.text("to")),
        escalation: form.has("escalation"),
        wrong_to: Some(sentence(&refused)),
        ..fields(&visit, &seat, &project).await?
    };
    let page = gather(&visit, &seat, project, fields, None).await?;
    page::with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

/// `POST /orgs/{org}/projects/{project}/alerts/minutes`: after how long is told of what does not happen.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn save_minutes(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let project = find(&visit, &seat).await?;
    let form = &visit.form;
    let read = |name: &str| match form.text(name) {
        "" => Ok(None),
        text => text.parse::<Timeout>().map(|minutes| Some(minutes.minutes())),
    };
    let (Ok(escalate), Ok(silence)) = (read("escalate_minutes"), read("silence_minutes")) else {
        let fields = Fields {
            escalate_minutes: form.text("escalate_minutes").to_owned(),
            silence_minutes: form.text("silence_minutes").to_owned(),
            wrong_minutes: Some(format!(
                "Both must be a whole number of minutes from 1 to {MAX_TIMEOUT_MINUTES}, or empty."
            )),
            ..Fields::default()
        };
        let page = gather(&visit, &seat, project, fields, None).await?;
        return page::with_status(StatusCode::UNPROCESSABLE_ENTITY, &page);
    };
    let origin = visit.origin(seat.who.user);
    let after = AlertMinutes { escalate, silence };
    office(&visit, &seat, &origin)
        .set_alert_minutes(project.id, after)
        .await?;
    let path = path_of(&seat, project.id);
    Ok(page::see_other(&format!("{path}?done=minutes")))
}

/// `POST /orgs/{org}/projects/{project}/alerts/{alert}/test`: sends a test alert and shows what became of it.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn test(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let (project, alert) = (find(&visit, &seat).await?, visit.param::<AlertId>("alert")?);
    let setting = &visit.console.setting;
    let found = visit.store().sealed_alert(seat.scope, project.id, alert).await?;
    let shown = found.ok_or(PageError::NotFound)?.shown;
    let _permit = visit.console.trials.begin(project.id)?;
    let origin = visit.origin(seat.who.user);
    let office = office(&visit, &seat, &origin);
    let sent = office
        .try_alert(&setting.vault, &setting.alerts, project.id, alert)
        .await?;
    let verdict = match sent {
        Ok(()) => Verdict {
            good: true,
            text: format!("The test alert was taken by {shown}. Look whether it arrived."),
        },
        Err(failure) => Verdict {
            good: false,
            text: format!(
                "The test alert was not taken by {shown}. {}",
                sentence(failure.words())
            ),
        },
    };
    let fields = fields(&visit, &seat, &project).await?;
    page::page(&gather(&visit, &seat, project, fields, Some(verdict)).await?)
}

/// `POST /orgs/{org}/projects/{project}/alerts/{alert}/remove`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn remove(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let (project, alert): (ProjectId, AlertId) = (visit.param("project")?, visit.param("alert")?);
    let origin = visit.origin(seat.who.user);
    office(&visit, &seat, &origin)
        .remove_alert(project, alert)
        .await?;
    let path = path_of(&seat, project);
    Ok(page::see_other(&format!("{path}?done=removed")))
}

async fn find(visit: &Visit, seat: &Seat) -> Result<Project, PageError> {
    let id: ProjectId = visit.param("project")?;
    let project = visit.store().project(seat.scope, id).await?;
    project.ok_or(PageError::NotFound)
}

/// The forms as they are before anybody types.
async fn fields(visit: &Visit, seat: &Seat, project: &Project) -> Result<Fields, PageError> {
    let minutes = visit.store().alert_minutes(seat.scope, project.id).await?;
    let minutes = minutes.ok_or(PageError::NotFound)?;
    let text = |minutes: Option<u32>| minutes.map_or_else(String::new, |minutes| minutes.to_string());
    Ok(Fields {
        channel: Channel::Email.as_str().to_owned(),
        escalate_minutes: text(minutes.escalate),
        silence_minutes: text(minutes.silence),
        ..Fields::default()
    })
}

async fn gather(
    visit: &Visit,
    seat: &Seat,
    project: Project,
    fields: Fields,
    verdict: Option<Verdict>,
) -> Result<AlertsPage, PageError> {
    let destinations = visit.store().alerts(seat.scope, project.id).await?;
    Ok(AlertsPage {
        frame: visit
            .frame_of(seat, "Alerts", Nav::Projects)
            .telling(done(visit.query.text("done"))),
        path: seat.path(&format!("/projects/{}", project.id)),
        project: project.name,
        destinations: destinations.into_iter().map(Row::from).collect(),
        may_admin: seat.role >= Role::Admin,
        verdict,
        fields,
        max_minutes: MAX_TIMEOUT_MINUTES,
    })
}

/// Shows what a webhook's alerts are signed with.
fn once(visit: &Visit, seat: &Seat, path: String, secret: &str) -> Result<Response, PageError> {
    page::page(&OncePage {
        frame: visit.frame_of(seat, "The secret of your alerts", Nav::Projects),
        path,
        title: "The secret of your alerts",
        label: "Signing secret",
        copy: "Copy the signing secret",
        credential: secret,
        advice:
            "Alerts to this webhook are signed with it, in the same way as repair callbacks. Give it to the \
                 program that takes them."
                .to_owned(),
        lines: None,
    })
}

/// What a form that is refused shows of an address again: of a URL nothing, for it may be a secret.
fn shown_again(channel: Channel, to: &str) -> String {
    match channel {
        Channel::Email => to.to_owned(),
        Channel::Slack | Channel::Webhook => String::new(),
    }
}

/// What was done just before, in words.
fn done(word: &str) -> Option<&'static str> {
    Some(match word {
        "added" => "The destination is added. Send it a test alert.",
        "unresolved" => {
            "The destination is added. Its host does not resolve now; it is looked up again at each alert."
        }
        "removed" => "The destination is removed. It is told nothing more.",
        "minutes" => "The settings are saved.",
        _ => return None,
    })
}

fn path_of(seat: &Seat, project: ProjectId) -> String {
    seat.path(&format!("/projects/{project}/alerts"))
}

impl From<AlertError> for PageError {
    fn from(error: AlertError) -> Self {
        match error {
            AlertError::NoProject | AlertError::NoDestination => Self::NotFound,
            AlertError::Store(error) => error.into(),
            AlertError::Vault(error) => error.into(),
            AlertError::TooMany => Self::Internal(error.to_string()), // told by the handler
        }
    }
}

impl From<Destination> for Row {
    fn from(destination: Destination) -> Self {
        let (failed_at, failure) = destination.failure.unzip();
        Self {
            id: destination.id.to_string(),
            channel: match destination.channel {
                Channel::Email => "E-mail",
                Channel::Slack => "Slack",
                Channel::Webhook => "Webhook",
            },
            to: destination.shown,
            escalation: destination.escalation,
            waits: destination.waits,
            sent_at: destination.sent_at.map(When::of),
            failed_at: failed_at.map(When::of),
            failure: failure.map(|words| sentence(&words)).unwrap_or_default(),
            given_up: destination.given_up,
        }
    }
}

#[cfg(test)]
mod tests;
