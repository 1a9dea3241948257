//! What an invited person sees: a user signs in and accepts, somebody new chooses a password.

use askama::Template;
use hyper::StatusCode;
use sendpromptly_core::id::UserId;

use super::page::{self, Frame};
use super::{PageError, Visit, links, new_password};
use crate::account::email::Email;
use crate::account::link::Link;
use crate::http::Response;
use crate::platform::entropy;
use crate::store::invitations::{Accepted, Guest, Invitation};
use crate::store::links::Subject;
use crate::store::users::NewUser;

/// Who the browser is to the invitation.
enum Visitor {
    /// The user who is invited.
    Invited(UserId),
    /// Somebody else.
    Other(String),
    /// Nobody is signed in, and the address has an account.
    SignedOut,
    /// Nobody is signed in, and the address has no account yet.
    New,
}

#[derive(Template)]
#[template(path = "invitation.html")]
struct InvitationPage<'a> {
    frame: Frame,
    action: &'a str,
    invitation: &'a Invitation,
    visitor: Visitor,
    refusal: Option<String>,
}

/// Shows the invitation.
pub(super) async fn show(
    visit: &Visit,
    subject: &Subject,
    refusal: Option<String>,
) -> Result<Response, PageError> {
    let Some(invitation) = visit.store().invitation(&subject.id).await? else {
        return links::dead(visit);
    };
    let status = match refusal {
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        None => StatusCode::OK,
    };
    let shown = InvitationPage {
        frame: visit.frame("You are invited"),
        action: &visit.path,
        visitor: visitor(visit, &invitation).await?,
        invitation: &invitation,
        refusal,
    };
    page::with_status(status, &shown)
}

/// Accepts the invitation.
pub(super) async fn take(visit: &Visit, link: &Link, subject: &Subject) -> Result<Response, PageError> {
    let Some(invitation) = visit.store().invitation(&subject.id).await? else {
        return links::dead(visit);
    };
    match visitor(visit, &invitation).await? {
        Visitor::Invited(user) => {
            let guest = Guest::User(user, &invitation.email_key);
            match accept(visit, link, &invitation, guest, user).await? {
                Accepted::Done(organization) => Ok(page::see_other(&format!("/orgs/{organization}"))),
                _ => links::dead(visit),
            }
        }
        Visitor::New => join(visit, link, subject, &invitation).await,
        // The page says what to do first.
        Visitor::Other(_) | Visitor::SignedOut => show(visit, subject, None).await,
    }
}

async fn visitor(visit: &Visit, invitation: &Invitation) -> Result<Visitor, PageError> {
    let session = visit.session.as_ref().filter(|session| session.complete);
    if let Some(session) = session {
        let key = Email::parse(&session.email).map(|email| email.key());
        return Ok(if key.as_deref() == Ok(invitation.email_key.as_str()) {
            Visitor::Invited(session.user)
        } else {
            Visitor::Other(session.email.clone())
        });
    }
    let known = visit.store().addressee(&invitation.email_key).await?;
    Ok(known.map_or(Visitor::New, |_| Visitor::SignedOut))
}

/// Makes an account for somebody new. The link has shown that the address is theirs.
async fn join(
    visit: &Visit,
    link: &Link,
    subject: &Subject,
    invitation: &Invitation,
) -> Result<Response, PageError> {
    let own = [invitation.email.as_str(), invitation.organization_name.as_str()];
    let password = match new_password::chosen(visit, &own) {
        Ok(password) => password,
        Err(refusal) => return show(visit, subject, Some(refusal)).await,
    };
    let new = NewUser {
        id: UserId::new(visit.now, entropy::for_id()),
        email: invitation.email.clone(),
        email_key: invitation.email_key.clone(),
        password_hash: visit.console.hasher.hash(password).await?,
        created_at: visit.now,
    };
    match accept(visit, link, invitation, Guest::New(&new), new.id).await? {
        Accepted::Done(_) => Ok(page::see_other("/sign-in?done=joined")),
        Accepted::HasUser => show(visit, subject, None).await,
        Accepted::Gone | Accepted::OtherAddress => links::dead(visit),
    }
}

async fn accept(
    visit: &Visit,
    link: &Link,
    invitation: &Invitation,
    guest: Guest<'_>,
    user: UserId,
) -> Result<Accepted, PageError> {
    let origin = visit.origin(user);
    let accepted = visit
        .store()
        .accept_invitation(link, invitation, guest, &origin, visit.now);
    Ok(accepted.await?)
}
