//! The members of an organization.

use askama::Template;
use sendpromptly_core::access::Role;
use sendpromptly_core::id::UserId;
use sendpromptly_core::membership;

use super::access::Seat;
use super::page::{self, Frame, Nav};
use super::when::When;
use super::{PageError, Visit};
use crate::http::Response;
use crate::store::members::Member;

/// Members on a page.
const PAGE: usize = 100;

#[derive(Template)]
#[template(path = "members.html")]
struct MembersPage {
    frame: Frame,
    path: String,
    rows: Vec<Row>,
    next: Option<String>,
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

/// `GET /orgs/{org}/members`: the list.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn list(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let after = match visit.query.text("after") {
        "" => None,
        after => Some(after.parse::<UserId>().map_err(|_| PageError::NotFound)?),
    };
    let found = visit.store().members(seat.scope, after, PAGE).await?;
    let notice = match visit.query.text("done") {
        "role" => Some("The role is changed. It counts at once."),
        "removed" => Some("The member is removed, and has no access from now on."),
        _ => None,
    };
    page::page(&MembersPage {
        frame: visit.frame_of(&seat, "Members", Nav::Members).telling(notice),
        path: seat.path(""),
        rows: found.members.iter().map(|member| row(member, &seat)).collect(),
        next: found.more_after.map(|user| user.to_string()),
    })
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
        Role::Operator => "Operator: repairs incidents",
        Role::Admin => "Admin: also manages projects, keys and members",
        Role::Owner => "Owner: everything, with billing and other owners",
    }
}
