//! The members of an organization, and who is invited.

use askama::Template;
use hyper::StatusCode;
use sendpromptly_core::access::Role;
use sendpromptly_core::hex;
use sendpromptly_core::id::UserId;
use sendpromptly_core::membership;

use super::access::Seat;
use super::page::{self, Frame, Nav};
use super::when::When;
use super::{PageError, Visit};
use crate::http::Response;
use crate::store::invitations::Invitation;
use crate::store::members::Member;

/// Members on a page.
const PAGE: usize = 100;

#[derive(Template)]
#[template(path = "members.html")]
struct MembersPage<'a> {
    frame: Frame,
    path: String,
    rows: Vec<Row>,
    is_first: bool,
    next: Option<String>,
    invitations: Vec<Open>,
    /// The roles as which the visitor may invite; none for whoever may not.
    roles: Vec<RoleChoice>,
    refusal: Option<&'a str>,
    email: &'a str,
}

struct Row {
    id: String,
    email: String,
    role: &'static str,
    has_second_factor: bool,
    seen: Option<When>,
    is_you: bool,
    may_manage: bool,
}

/// An invitation that is open.
struct Open {
    id: String,
    email: String,
    role: &'static str,
    invited_by: String,
    expires: When,
    is_over: bool,
    may_manage: bool,
}

/// `GET /orgs/{org}/members`: the list.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn list(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    show(&visit, &seat, None).await
}

/// The page, with why an invitation was refused, if one was.
pub(super) async fn show(visit: &Visit, seat: &Seat, refusal: Option<&str>) -> Result<Response, PageError> {
    let after = match visit.query.text("after") {
        "" => None,
        after => Some(after.parse::<UserId>().map_err(|_| PageError::NotFound)?),
    };
    let found = visit.store().members(seat.scope, after, PAGE).await?;
    let invitations = visit.store().invitations(seat.scope).await?;
    let shown = MembersPage {
        frame: visit
            .frame_of(seat, "Members", Nav::Members)
            .telling(notice(visit.query.text("done"))),
        path: seat.path(""),
        rows: found.members.iter().map(|member| row(member, seat)).collect(),
        is_first: after.is_none(),
        next: found.more_after.map(|user| user.to_string()),
        invitations: invitations
            .into_iter()
            .map(|open| invitation(open, visit, seat))
            .collect(),
        roles: role_choices(
            seat.role,
            visit.form.text("role").parse().unwrap_or(Role::Operator),
        ),
        refusal,
        email: visit.form.text("email"),
    };
    let status = match refusal {
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        None => StatusCode::OK,
    };
    page::with_status(status, &shown)
}

fn notice(done: &str) -> Option<&'static str> {
    match done {
        "role" => Some("The role is changed. It counts at once."),
        "removed" => Some("The member is removed, and has no access from now on."),
        "invited" => Some("The invitation is on its way."),
        "revoked" => Some("The invitation is taken back."),
        _ => None,
    }
}

fn invitation(open: Invitation, visit: &Visit, seat: &Seat) -> Open {
    Open {
        id: hex::encode(&open.id),
        email: open.email,
        role: open.role.as_str(),
        invited_by: open.invited_by,
        expires: When::of(open.expires_at),
        is_over: open.expires_at <= visit.now,
        may_manage: membership::invite(seat.role, open.role).is_ok(),
    }
}

fn row(member: &Member, seat: &Seat) -> Row {
    Row {
        id: member.user.to_string(),
        email: member.email.clone(),
        role: member.role.as_str(),
        has_second_factor: member.has_second_factor,
        seen: member.seen_at.map(When::of),
        is_you: member.user == seat.who.user,
        may_manage: membership::manage(seat.role, member.role).is_ok(),
    }
}

/// A role to choose from.
pub(super) struct RoleChoice {
    /// The role's word.
    pub word: &'static str,
    /// What whoever has it may do.
    pub meaning: &'static str,
    /// Whether it is chosen.
    pub chosen: bool,
}

/// The roles that a member of this role may give, the lowest first.
pub(super) fn role_choices(giver: Role, chosen: Role) -> Vec<RoleChoice> {
    let choices = membership::to_give(giver).map(|role| RoleChoice {
        word: role.as_str(),
        meaning: meaning(role),
        chosen: role == chosen,
    });
    choices.collect()
}

const fn meaning(role: Role) -> &'static str {
    match role {
        Role::Viewer => "Viewer: sees everything, changes nothing",
        Role::Operator => "Operator: reprocesses incidents",
        Role::Admin => "Admin: also manages projects, keys and members",
        Role::Owner => "Owner: everything, with billing and other owners",
    }
}
