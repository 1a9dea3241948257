//! Inviting people into an organization, sending an invitation again, and taking it back.

use sendpromptly_core::access::Role;
use sendpromptly_core::hex;

use super::access::Seat;
use super::members::show;
use super::{PageError, Visit, page};
use crate::account::email::Email;
use crate::account::link::LinkKind;
use crate::http::Response;
use crate::mail::Letter;
use crate::platform::entropy;
use crate::store::invitations::{Invite, Invited};

/// `POST /orgs/{org}/members/invite`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn invite(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let email = match Email::parse(visit.form.text("email")) {
        Ok(email) => email,
        Err(error) => return show(&visit, &seat, Some(&format!("The address {error}."))).await,
    };
    let Ok(role) = visit.form.text("role").parse() else {
        return show(&visit, &seat, Some("Choose a role.")).await;
    };
    let id = entropy::ordered_id(visit.now);
    let invited = send(&visit, &seat, id, (email.as_str(), &email.key()), role, false).await?;
    answer(&visit, &seat, invited, "invited").await
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
    answer(&visit, &seat, invited, "invited").await
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
    answer(&visit, &seat, revoked, "revoked").await
}

fn invitation_id(visit: &Visit) -> Result<[u8; 16], PageError> {
    let text: String = visit.param("invitation")?;
    hex::decode(&text).ok_or(PageError::NotFound)
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

async fn answer(visit: &Visit, seat: &Seat, invited: Invited, done: &str) -> Result<Response, PageError> {
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
