//! How a user's account, and an organization's, are kept safe.

use askama::Template;

use super::access::{Seat, SignedIn};
use super::page::{self, Frame, Nav};
use super::when::When;
use super::{PageError, Visit};
use crate::http::Response;
use crate::store::second_factors::Requiring;

#[derive(Template)]
#[template(path = "account_security.html")]
struct AccountPage {
    frame: Frame,
    since: Option<When>,
    left: u32,
}

#[derive(Template)]
#[template(path = "organization_security.html")]
struct OrganizationPage {
    frame: Frame,
    path: String,
    required: bool,
    without: u32,
    has_one: bool,
}

/// `GET /account/security`: the state of the second factor, and the way to all that keeps the account safe.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn account(visit: Visit, who: SignedIn) -> Result<Response, PageError> {
    let factor = visit.store().second_factor(who.user).await?;
    let left = visit.store().recovery_codes_left(who.user).await?;
    let notice = (visit.query.text("done") == "second-factor")
        .then_some("Your second factor is on. Your other sessions were ended.");
    page::page(&AccountPage {
        frame: visit.frame_for(&who, "Security").telling(notice),
        since: factor.map(|factor| When::of(factor.confirmed_at)),
        left,
    })
}

/// `GET /orgs/{org}/settings/security`: what the organization requires of its members.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn organization(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let without = visit.store().members_without_second_factor(seat.scope).await?;
    let notice = match visit.query.text("done") {
        "required" => Some("A second factor is required from now on."),
        "optional" => Some("A second factor is no longer required."),
        _ => None,
    };
    page::page(&OrganizationPage {
        frame: visit.frame_of(&seat, "Security", Nav::Settings).telling(notice),
        path: seat.path("/settings/security"),
        required: seat.requires_second_factor,
        without,
        has_one: seat.who.shown.has_second_factor,
    })
}

/// `POST /orgs/{org}/settings/security`: requires a second factor of every member, or no longer.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn require(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let required = visit.form.text("second_factor") == "required";
    let (user, origin) = (seat.who.user, visit.origin(seat.who.user));
    let done = visit
        .store()
        .require_second_factor(seat.scope, user, required, &origin, visit.now);
    let page = seat.path("/settings/security");
    Ok(match done.await? {
        Requiring::Done if required => page::see_other(&format!("{page}?done=required")),
        Requiring::Done => page::see_other(&format!("{page}?done=optional")),
        Requiring::AlreadySo => page::see_other(&page),
        Requiring::NoFactor => page::see_other("/account/second-factor?needed=1"),
    })
}
