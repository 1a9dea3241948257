//! One member: the role, and how a membership ends.

use askama::Template;
use hyper::StatusCode;
use sendpromptly_core::access::Role;
use sendpromptly_core::audit::Origin;
use sendpromptly_core::id::UserId;
use sendpromptly_core::membership::{self, Refusal};

use super::access::Seat;
use super::members::{RoleChoice, role_choices};
use super::page::{self, Frame, Nav};
use super::when::When;
use super::{PageError, Visit};
use crate::http::Response;
use crate::store::members::{Change, Deed, Member};

#[derive(Template)]
#[template(path = "member.html")]
struct MemberPage {
    frame: Frame,
    path: String,
    id: String,
    role: &'static str,
    has_second_factor: bool,
    since: When,
    seen: Option<When>,
    is_you: bool,
    may_manage: bool,
    roles: Vec<RoleChoice>,
    refusal: Option<Refusal>,
}

/// `GET /orgs/{org}/members/{user}`.
///
/// # Errors
/// [`PageError::NotFound`] where there is no such member.
pub async fn show(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let member = find(&visit, &seat).await?;
    page::page(&member_page(&visit, &seat, &member, None))
}

/// `POST /orgs/{org}/members/{user}/role`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn change_role(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let member = find(&visit, &seat).await?;
    let role: Role = visit.form.text("role").parse().map_err(|_| PageError::Form)?;
    let origin = visit.origin(seat.who.user);
    let deed = deed(&visit, &seat, &member, &origin);
    let change = visit.store().change_role(&deed, role).await?;
    answer(&visit, &seat, &member, change, "role")
}

/// `POST /orgs/{org}/members/{user}/remove`. Whoever would remove themselves is led to leave.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn remove(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let member = find(&visit, &seat).await?;
    if member.user == seat.who.user {
        return Ok(page::see_other(&seat.path("/leave")));
    }
    let origin = visit.origin(seat.who.user);
    let deed = deed(&visit, &seat, &member, &origin);
    let change = visit.store().remove_member(&deed).await?;
    answer(&visit, &seat, &member, change, "removed")
}

#[derive(Template)]
#[template(path = "leave.html")]
struct LeavePage {
    frame: Frame,
    path: String,
    name: String,
    refusal: Option<Refusal>,
}

/// `GET /orgs/{org}/leave`: says what it means, and asks.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn confirm_leaving(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    page::page(&leave_page(&visit, &seat, None))
}

/// `POST /orgs/{org}/leave`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn leave(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let user = seat.who.user;
    let origin = visit.origin(user);
    let deed = Deed {
        scope: seat.scope,
        by: user,
        member: user,
        origin: &origin,
        now: visit.now,
    };
    match visit.store().leave(&deed).await? {
        Change::Done | Change::NoMember => Ok(page::see_other("/orgs?all=1&done=left")),
        Change::Refused(refusal) => {
            let page = leave_page(&visit, &seat, Some(refusal));
            page::with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
    }
}

async fn find(visit: &Visit, seat: &Seat) -> Result<Member, PageError> {
    let user: UserId = visit.param("user")?;
    let found = visit.store().member(seat.scope, user).await?;
    found.ok_or(PageError::NotFound)
}

fn deed<'a>(visit: &Visit, seat: &Seat, member: &Member, origin: &'a Origin) -> Deed<'a> {
    Deed {
        scope: seat.scope,
        by: seat.who.user,
        member: member.user,
        origin,
        now: visit.now,
    }
}

fn answer(
    visit: &Visit,
    seat: &Seat,
    member: &Member,
    change: Change,
    done: &str,
) -> Result<Response, PageError> {
    match change {
        Change::Done => Ok(page::see_other(&seat.path(&format!("/members?done={done}")))),
        Change::NoMember => Err(PageError::NotFound),
        Change::Refused(refusal) => {
            let page = member_page(visit, seat, member, Some(refusal));
            page::with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
    }
}

fn member_page(visit: &Visit, seat: &Seat, member: &Member, refusal: Option<Refusal>) -> MemberPage {
    MemberPage {
        frame: visit.frame_of(seat, &member.email, Nav::Members),
        path: seat.path(""),
        id: member.user.to_string(),
        role: member.role.as_str(),
        has_second_factor: member.has_second_factor,
        since: When::of(member.since),
        seen: member.seen_at.map(When::of),
        is_you: member.user == seat.who.user,
        may_manage: membership::manage(seat.role, member.role).is_ok(),
        roles: role_choices(seat.role, member.role),
        refusal,
    }
}

fn leave_page(visit: &Visit, seat: &Seat, refusal: Option<Refusal>) -> LeavePage {
    LeavePage {
        frame: visit.frame_of(seat, "Leave the organization", Nav::Members),
        path: seat.path(""),
        name: seat.name.clone(),
        refusal,
    }
}
