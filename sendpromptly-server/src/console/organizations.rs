//! Making another organization, and an organization's own settings.

use askama::Template;
use hyper::StatusCode;
use sendpromptly_core::id::OrganizationId;
use sendpromptly_core::project::Name;

use super::access::{Seat, SignedIn};
use super::page::{self, Frame, Nav};
use super::{PageError, Visit};
use crate::http::Response;
use crate::platform::entropy;

#[derive(Template)]
#[template(path = "organization_new.html")]
struct NewPage<'a> {
    frame: Frame,
    name: &'a str,
    refusal: Option<String>,
}

#[derive(Template)]
#[template(path = "organization_settings.html")]
struct SettingsPage<'a> {
    frame: Frame,
    path: String,
    id: String,
    name: &'a str,
    refusal: Option<String>,
}

/// `GET /orgs/new`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn form(visit: Visit, who: SignedIn) -> Result<Response, PageError> {
    page::page(&NewPage {
        frame: visit.frame_for(&who, "New organization"),
        name: "",
        refusal: None,
    })
}

/// `POST /orgs/new`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn create(visit: Visit, who: SignedIn) -> Result<Response, PageError> {
    let name = match visit.form.text("name").parse::<Name>() {
        Ok(name) => name,
        Err(error) => {
            let shown = NewPage {
                frame: visit.frame_for(&who, "New organization"),
                name: visit.form.text("name"),
                refusal: Some(format!("The name {error}.")),
            };
            return page::with_status(StatusCode::UNPROCESSABLE_ENTITY, &shown);
        }
    };
    let id = OrganizationId::new(visit.now, entropy::for_id());
    let origin = visit.origin(who.user);
    let added = visit
        .store()
        .add_organization(id, name.as_str(), who.user, &origin, visit.now);
    added.await?;
    Ok(page::see_other(&format!("/orgs/{id}")))
}

/// `GET /orgs/{org}/settings`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn settings(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let notice = visit.query.has("done").then_some("The settings are saved.");
    page::page(&SettingsPage {
        frame: visit.frame_of(&seat, "Settings", Nav::Settings).telling(notice),
        path: seat.path(""),
        id: seat.scope.id().to_string(),
        name: &seat.name,
        refusal: None,
    })
}

/// `POST /orgs/{org}/settings`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn rename(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    match visit.form.text("name").parse::<Name>() {
        Ok(name) if name.as_str() != seat.name => {
            let origin = visit.origin(seat.who.user);
            let renamed = visit
                .store()
                .rename_organization(seat.scope, name.as_str(), &origin, visit.now);
            renamed.await?;
        }
        Ok(_) => {}
        Err(error) => {
            let shown = SettingsPage {
                frame: visit.frame_of(&seat, "Settings", Nav::Settings),
                path: seat.path(""),
                id: seat.scope.id().to_string(),
                name: visit.form.text("name"),
                refusal: Some(format!("The name {error}.")),
            };
            return page::with_status(StatusCode::UNPROCESSABLE_ENTITY, &shown);
        }
    }
    Ok(page::see_other(&seat.path("/settings?done=1")))
}
