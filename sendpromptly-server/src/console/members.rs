//! `/orgs/{org}/members`: who belongs to the organization, as what, and who is invited.

use askama::Template;
use hyper::StatusCode;
use sendpromptly_core::access::Role;
use sendpromptly_core::hex;
use sendpromptly_core::id::UserId;
use sendpromptly_core::membership::{self, Refusal};

use super::access::Seat;
use super::page::{self, Frame, Nav};
use super::when::When;
use super::{PageError, Visit};
use crate::account::email::Email;
use crate::account::link::LinkKind;
use crate::http::Response;
use crate::mail::Letter;
use crate::platform::entropy;
use crate::store::invitations::{Invite, Invited};
use crate::store::members::{Change, Deed, Member};

#[derive(Template)]
#[template(path = "members.html")]
struct MembersPage<'a> {
    frame: Frame,
    path: String,
    members: Vec<Row>,
    invitations: Vec<Open>,
    /// The roles that the visitor may give; none for whoever may not change members.
    roles: Vec<&'static str>,
    own_role: &'static str,
    refusal: Option<&'a str>,
    email: &'a str,
}

struct Row {
    id: String,
    email: String,
    role: &'static str,
    is_self: bool,
    may_change: bool,
    has_second_factor: bool,
    since: When,
    seen: Option<When>,
}

struct Open {
    id: String,
    email: String,
    role: &'static str,
    invited_by: String,
    expires: When,
    is_over: bool,
    may_change: bool,
}

/// `GET /orgs/{org}/members`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn list(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    show(&visit, &seat, None).await
}

/// `POST /orgs/{org}/members/invite`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn invite(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let email = match Email::parse(visit.form.text("email")) {
        Ok(email) => email,
        Err(error) => return show(&visit, &seat, Some(&format!("The address {error}."))).await,
    };
    let Some(role) = role(&visit) else {
        return show(&visit, &seat, Some("Choose a role.")).await;
    };
    let id = entropy::ordered_id(visit.now);
    let invited = send(&visit, &seat, id, (email.as_str(), &email.key()), role, false).await?;
    finish_invite(&visit, &seat, invited, "invited").await
}

/// `POST /orgs/{org}/invitations/{invitation}/resend`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn resend(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let id = invitation_id(&visit)?;
    let found = visit.store().invitation_of(seat.scope, &id).await?;
    let found = found.ok_or(PageError::NotFound)?;
    let address = (found.email.as_str(), found.email_key.as_str());
    let invited = send(&visit, &seat, id, address, found.role, true).await?;
    finish_invite(&visit, &seat, invited, "invited").await
}

/// `POST /orgs/{org}/invitations/{invitation}/revoke`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn revoke(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let id = invitation_id(&visit)?;
    let origin = visit.origin(seat.who.user);
    let revoked = visit
        .store()
        .revoke_invitation(seat.scope, seat.who.user, &id, &origin, visit.now);
    let revoked = revoked.await?;
    finish_invite(&visit, &seat, revoked, "revoked").await
}

/// `POST /orgs/{org}/members/{user}/role`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn change_role(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let member: UserId = visit.param("user")?;
    let Some(role) = role(&visit) else {
        return show(&visit, &seat, Some("Choose a role.")).await;
    };
    let origin = visit.origin(seat.who.user);
    let deed = deed(&visit, &seat, member, &origin);
    let change = visit.store().change_role(&deed, role).await?;
    finish_change(&visit, &seat, change, seat.path("/members?done=role")).await
}

/// `POST /orgs/{org}/members/{user}/remove`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn remove(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let member: UserId = visit.param("user")?;
    let origin = visit.origin(seat.who.user);
    let change = visit
        .store()
        .remove_member(&deed(&visit, &seat, member, &origin))
        .await?;
    finish_change(&visit, &seat, change, seat.path("/members?done=removed")).await
}

/// `POST /orgs/{org}/leave`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn leave(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let origin = visit.origin(seat.who.user);
    let change = visit
        .store()
        .leave(&deed(&visit, &seat, seat.who.user, &origin))
        .await?;
    finish_change(&visit, &seat, change, "/orgs?all=1".to_owned()).await
}

fn role(visit: &Visit) -> Option<Role> {
    visit.form.text("role").parse().ok()
}

fn invitation_id(visit: &Visit) -> Result<[u8; 16], PageError> {
    let text: String = visit.param("invitation")?;
    hex::decode(&text).ok_or(PageError::NotFound)
}

const fn deed<'a>(
    visit: &Visit,
    seat: &Seat,
    member: UserId,
    origin: &'a sendpromptly_core::audit::Origin,
) -> Deed<'a> {
    Deed {
        scope: seat.scope,
        by: seat.who.user,
        member,
        origin,
        now: visit.now,
    }
}

/// Mails an invitation, a new one or one that is there.
async fn send(
    visit: &Visit,
    seat: &Seat,
    id: [u8; 16],
    (email, email_key): (&str, &str),
    role: Role,
    again: bool,
) -> Result<Invited, PageError> {
    let (post, now) = (&visit.console.setting.post, visit.now);
    let link = post.link(LinkKind::Invitation, id, None, now);
    let letter = Letter::invitation(email, &seat.name, &seat.who.email, role, &link.url);
    let origin = visit.origin(seat.who.user);
    let invite = Invite {
        scope: seat.scope,
        by: seat.who.user,
        id,
        email,
        email_key,
        role,
        link: link.row,
        mail: post.seal(&letter, now).await?,
        origin: &origin,
        now,
    };
    let invited = if again {
        visit.store().invite_again(invite).await?
    } else {
        visit.store().invite(invite).await?
    };
    if invited == Invited::Done {
        post.wake();
    }
    Ok(invited)
}

async fn finish_invite(
    visit: &Visit,
    seat: &Seat,
    invited: Invited,
    done: &str,
) -> Result<Response, PageError> {
    let refusal = match invited {
        Invited::Done => return Ok(page::see_other(&seat.path(&format!("/members?done={done}")))),
        Invited::Refused(refusal) => refusal.to_string(),
        Invited::IsMember => "This address belongs to a member already.".to_owned(),
        Invited::IsInvited => {
            "This address is invited already. You can send the invitation again.".to_owned()
        }
        Invited::TooMany => "Too many mails were sent in this hour. Try again in an hour.".to_owned(),
        Invited::Gone => return Err(PageError::NotFound),
    };
    show(visit, seat, Some(&refusal)).await
}

async fn finish_change(
    visit: &Visit,
    seat: &Seat,
    change: Change,
    next: String,
) -> Result<Response, PageError> {
    match change {
        Change::Done => Ok(page::see_other(&next)),
        Change::NoMember => Err(PageError::NotFound),
        Change::Refused(Refusal::Rank) => Err(PageError::Forbidden),
        Change::Refused(refusal) => show(visit, seat, Some(&refusal.to_string())).await,
    }
}

async fn show(visit: &Visit, seat: &Seat, refusal: Option<&str>) -> Result<Response, PageError> {
    let members = visit.store().members(seat.scope).await?;
    let invitations = visit.store().invitations(seat.scope).await?;
    let may_change = |role| membership::invite(seat.role, role).is_ok();
    let open = invitations.into_iter().map(|invitation| Open {
        id: hex::encode(&invitation.id),
        email: invitation.email,
        role: invitation.role.as_str(),
        invited_by: invitation.invited_by,
        expires: When::of(invitation.expires_at),
        is_over: invitation.expires_at <= visit.now,
        may_change: may_change(invitation.role),
    });
    let notice = match visit.query.text("done") {
        "invited" => Some("The invitation is on its way."),
        "revoked" => Some("The invitation is taken back."),
        "role" => Some("The role is changed."),
        "removed" => Some("The member is removed."),
        _ => None,
    };
    let roles = Role::ALL.iter().filter(|role| may_change(**role));
    let shown = MembersPage {
        frame: visit.frame_of(seat, "Members", Nav::Members).telling(notice),
        path: seat.path(""),
        members: members.into_iter().map(|member| row(seat, member)).collect(),
        invitations: open.collect(),
        roles: roles.map(|role| role.as_str()).collect(),
        own_role: seat.role.as_str(),
        refusal,
        email: visit.form.text("email"),
    };
    let status = match refusal {
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        None => StatusCode::OK,
    };
    page::with_status(status, &shown)
}

fn row(seat: &Seat, member: Member) -> Row {
    Row {
        id: member.user.to_string(),
        email: member.email,
        role: member.role.as_str(),
        is_self: member.user == seat.who.user,
        may_change: membership::invite(seat.role, member.role).is_ok(),
        has_second_factor: member.has_second_factor,
        since: When::of(member.since),
        seen: member.seen_at.map(When::of),
    }
}
