//! A project's API keys and signing secrets: made and shown once, revoked, rotated.

use askama::Template;
use hyper::StatusCode;
use sendpromptly_core::id::{KeyId, ProjectId};
use sendpromptly_core::project::Overlap;

use super::access::Seat;
use super::first_lines::FirstLines;
use super::page::{self, Frame, Nav};
use super::projects::office;
use super::when::When;
use super::{PageError, Visit};
use crate::http::Response;
use crate::projects::ProjectError;
use crate::store::projects::Project;

/// A credential, shown this once.
#[derive(Template)]
#[template(path = "credential_once.html")]
pub(super) struct OncePage<'a> {
    pub(super) frame: Frame,
    pub(super) path: String,
    pub(super) title: &'a str,
    pub(super) label: &'a str,
    /// What the button that copies it says.
    pub(super) copy: &'a str,
    pub(super) credential: &'a str,
    pub(super) advice: String,
    /// Lines that hold it, where it is a key.
    pub(super) lines: Option<FirstLines>,
}

/// `POST /orgs/{org}/projects/{project}/keys`: makes a key, and shows it this once.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn create_key(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let project: ProjectId = visit.param("project")?;
    let origin = visit.origin(seat.who.user);
    let created = office(&visit, &seat, &origin).create_key(project).await;
    let (_, key) = created?;
    page::page(&OncePage {
        frame: visit.frame_of(&seat, "Your new API key", Nav::Projects),
        path: project_path(&seat, project),
        title: "Your new API key",
        label: "API key",
        copy: "Copy the API key",
        credential: key.expose(),
        advice: "Give it to your app, then revoke the key that it replaces.".to_owned(),
        lines: Some(FirstLines::new(
            &visit.console.setting.base_url,
            key.expose(),
            visit.now,
        )),
    })
}

#[derive(Template)]
#[template(path = "key_revoke.html")]
struct RevokePage {
    frame: Frame,
    path: String,
    key: String,
    hint: String,
}

/// `GET /orgs/{org}/projects/{project}/keys/{key}/revoke`: asks once more.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn confirm_revocation(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let (project, key): (ProjectId, KeyId) = (visit.param("project")?, visit.param("key")?);
    let keys = visit.store().keys(seat.scope, project).await?;
    let live = |known: &&crate::store::api_keys::ListedKey| known.id == key && known.revoked_at.is_none();
    let found = keys.iter().find(live).ok_or(PageError::NotFound)?;
    page::page(&RevokePage {
        frame: visit.frame_of(&seat, "Revoke an API key", Nav::Projects),
        path: project_path(&seat, project),
        key: key.to_string(),
        hint: found.hint.clone(),
    })
}

/// `POST /orgs/{org}/projects/{project}/keys/{key}/revoke`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn revoke_key(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let (project, key): (ProjectId, KeyId) = (visit.param("project")?, visit.param("key")?);
    let origin = visit.origin(seat.who.user);
    office(&visit, &seat, &origin).revoke_key(project, key).await?;
    let path = project_path(&seat, project);
    Ok(page::see_other(&format!("{path}?done=revoked")))
}

#[derive(Template)]
#[template(path = "secret_rotate.html")]
struct RotatePage {
    frame: Frame,
    path: String,
    project: String,
    /// When the older of two live secrets ends.
    two_live_until: Option<When>,
    refusal: Option<&'static str>,
}

/// `GET /orgs/{org}/projects/{project}/secret`: how long the secret before is to sign.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn choose_overlap(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let project = find(&visit, &seat).await?;
    page::page(&rotate_page(&visit, &seat, project, None).await?)
}

/// `POST /orgs/{org}/projects/{project}/secret`: makes a new secret, and shows it this once.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn rotate_secret(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let project = find(&visit, &seat).await?;
    let Some(overlap) = overlap(visit.form.text("overlap")) else {
        let refusal = Some("Choose how long the secret before still signs.");
        let page = rotate_page(&visit, &seat, project, refusal).await?;
        return page::with_status(StatusCode::UNPROCESSABLE_ENTITY, &page);
    };
    let origin = visit.origin(seat.who.user);
    let vault = &visit.console.setting.vault;
    let rotated = office(&visit, &seat, &origin)
        .rotate_secret(vault, project.id, overlap)
        .await;
    let rotated = match rotated {
        Ok(rotated) => rotated,
        Err(ProjectError::TwoLive) => {
            let refusal = Some(
                "Two signing secrets are live already. Wait until the older one ends, or end it at once.",
            );
            let page = rotate_page(&visit, &seat, project, refusal).await?;
            return page::with_status(StatusCode::CONFLICT, &page);
        }
        Err(error) => return Err(error.into()),
    };
    let ends = When::of(rotated.previous_expires_at).text;
    let advice = if overlap == Overlap::NONE {
        "The secrets before it sign nothing any more. Give this one to your repair endpoint now.".to_owned()
    } else {
        format!(
            "Callbacks are signed with the secret before it as well until {ends}. Change over before then."
        )
    };
    page::page(&OncePage {
        frame: visit.frame_of(&seat, "Your new signing secret", Nav::Projects),
        path: project_path(&seat, project.id),
        title: "Your new signing secret",
        label: "Signing secret",
        copy: "Copy the signing secret",
        credential: rotated.signing_secret.expose(),
        advice,
        lines: None,
    })
}

/// The choice that what was live before ends at once.
pub(super) const AT_ONCE: &str = "at-once";

/// The overlaps to choose from.
pub(super) fn overlap(choice: &str) -> Option<Overlap> {
    let hours = match choice {
        AT_ONCE => return Some(Overlap::NONE),
        "1h" => 1,
        "24h" => 24,
        "7d" => 7 * 24,
        _ => return None,
    };
    Overlap::new(std::time::Duration::from_secs(hours * 3_600)).ok()
}

async fn rotate_page(
    visit: &Visit,
    seat: &Seat,
    project: Project,
    refusal: Option<&'static str>,
) -> Result<RotatePage, PageError> {
    let secrets = visit
        .store()
        .listed_secrets(seat.scope, project.id, visit.now)
        .await?;
    let ends = secrets.iter().filter_map(|secret| secret.expires_at).max();
    Ok(RotatePage {
        frame: visit.frame_of(seat, "Rotate the signing secret", Nav::Projects),
        path: project_path(seat, project.id),
        project: project.name,
        two_live_until: ends.map(When::of),
        refusal,
    })
}

async fn find(visit: &Visit, seat: &Seat) -> Result<Project, PageError> {
    let id: ProjectId = visit.param("project")?;
    let project = visit.store().project(seat.scope, id).await?;
    project.ok_or(PageError::NotFound)
}

fn project_path(seat: &Seat, project: ProjectId) -> String {
    seat.path(&format!("/projects/{project}"))
}
