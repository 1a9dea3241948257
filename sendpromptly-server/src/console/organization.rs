//! How a user makes another organization, and what its admins may change of one.

use askama::Template;
use hyper::StatusCode;
use sendpromptly_core::access::Role;
use sendpromptly_core::id::OrganizationId;
use sendpromptly_core::project::{MAX_NAME, Name};

use super::access::{Seat, SignedIn};
use super::page::{self, Frame, Nav};
use super::{PageError, Visit};
use crate::config::SignUp;
use crate::http::Response;
use crate::platform::entropy;
use crate::store::organizations::MOST_OWNED;
use crate::store::scope::Membership;

/// The field of a name: what it holds, and what is wrong with it.
struct NameField {
    name: String,
    wrong: Option<String>,
}

impl NameField {
    /// Holds this name.
    fn of(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            wrong: None,
        }
    }

    /// Reads the name that was sent.
    fn read(visit: &Visit) -> Result<Name, Self> {
        let text = visit.form.text("name");
        text.parse::<Name>().map_err(|error| Self {
            wrong: Some(format!("The name {error}.")),
            ..Self::of(text)
        })
    }

    const fn longest() -> usize {
        MAX_NAME
    }
}

#[derive(Template)]
#[template(path = "organization_new.html")]
struct NewPage {
    frame: Frame,
    field: NameField,
    may_make: bool,
}

/// Whether this user may make an organization: where anyone may sign up, and else whoever owns one already.
pub(super) fn may_make(visit: &Visit, memberships: &[Membership]) -> bool {
    let owns_one = || memberships.iter().any(|place| place.role == Role::Owner);
    visit.console.setting.sign_up == SignUp::Open || owns_one()
}

async fn asks_in_vain(visit: &Visit, who: &SignedIn) -> Result<bool, PageError> {
    let memberships = visit.store().memberships(who.user).await?;
    Ok(!may_make(visit, &memberships))
}

/// The page that tells whom to ask.
fn refused(visit: &Visit, who: &SignedIn) -> Result<Response, PageError> {
    let page = NewPage {
        may_make: false,
        ..new_page(visit, who, NameField::of(""))
    };
    page::with_status(StatusCode::FORBIDDEN, &page)
}

/// `GET /orgs/new`: the form.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn new(visit: Visit, who: SignedIn) -> Result<Response, PageError> {
    if asks_in_vain(&visit, &who).await? {
        return refused(&visit, &who);
    }
    page::page(&new_page(&visit, &who, NameField::of("")))
}

/// `POST /orgs/new`: makes an organization, which its maker owns.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn create(visit: Visit, who: SignedIn) -> Result<Response, PageError> {
    if asks_in_vain(&visit, &who).await? {
        return refused(&visit, &who);
    }
    let name = match NameField::read(&visit) {
        Ok(name) => name,
        Err(field) => {
            let page = new_page(&visit, &who, field);
            return page::with_status(StatusCode::UNPROCESSABLE_ENTITY, &page);
        }
    };
    let id = OrganizationId::new(visit.now, entropy::for_id());
    let origin = visit.origin(who.user);
    let made = visit
        .store()
        .add_organization(id, &name, who.user, &origin, visit.now);
    if !made.await? {
        let field = NameField {
            wrong: Some(format!(
                "You own {MOST_OWNED} organizations, which is the most. Delete one of them, which takes 7 days, or have somebody else make this one."
            )),
            ..NameField::of(name.as_str())
        };
        return page::with_status(StatusCode::CONFLICT, &new_page(&visit, &who, field));
    }
    Ok(page::see_other(&format!("/orgs/{id}")))
}

fn new_page(visit: &Visit, who: &SignedIn, field: NameField) -> NewPage {
    NewPage {
        frame: visit.frame_for(who, "New organization"),
        field,
        may_make: true,
    }
}

#[derive(Template)]
#[template(path = "organization_settings.html")]
struct SettingsPage {
    frame: Frame,
    path: String,
    is_owner: bool,
    field: NameField,
}

/// `GET /orgs/{org}/settings`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn settings(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let field = NameField::of(&seat.name);
    let mut page = settings_page(&visit, &seat, field);
    page.frame = page
        .frame
        .telling(visit.query.has("saved").then_some("The settings are saved."));
    page::page(&page)
}

/// `POST /orgs/{org}/settings`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn rename(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let name = match NameField::read(&visit) {
        Ok(name) => name,
        Err(field) => {
            let page = settings_page(&visit, &seat, field);
            return page::with_status(StatusCode::UNPROCESSABLE_ENTITY, &page);
        }
    };
    let origin = visit.origin(seat.who.user);
    let store = visit.store();
    store
        .rename_organization(seat.scope, &name, &origin, visit.now)
        .await?;
    Ok(page::see_other(&seat.path("/settings?saved=1")))
}

fn settings_page(visit: &Visit, seat: &Seat, field: NameField) -> SettingsPage {
    SettingsPage {
        frame: visit.frame_of(seat, "Settings", Nav::Settings),
        path: seat.path(""),
        is_owner: seat.role == Role::Owner,
        field,
    }
}
