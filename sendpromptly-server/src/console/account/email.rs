//! Changing the own e-mail address: a link goes to the new one, and what it leads to makes the change.

use askama::Template;
use hyper::StatusCode;

use crate::account::email::Email;
use crate::account::link::LinkKind;
use crate::console::access::SignedIn;
use crate::console::page::{self, Frame};
use crate::console::unhurried::unhurried;
use crate::console::{PageError, Visit};
use crate::http::Response;
use crate::mail::Letter;
use crate::store::links;
use crate::store::mail_rates::Counted;

#[derive(Template)]
#[template(path = "email.html")]
struct EmailPage<'a> {
    frame: Frame,
    now: &'a str,
    new: &'a str,
    refusal: Option<String>,
}

/// `GET /account/email`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn form(visit: Visit, who: SignedIn) -> Result<Response, PageError> {
    page::page(&EmailPage {
        frame: visit.frame_for(&who, "Change your e-mail address"),
        now: &who.email,
        new: "",
        refusal: None,
    })
}

/// `POST /account/email`: sends the link. The answer does not tell whether somebody has the address.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn ask(visit: Visit, who: SignedIn) -> Result<Response, PageError> {
    let text = visit.form.text("email");
    let email = match Email::parse(text) {
        Ok(email) if email.as_str() == who.email => {
            return refused(&visit, &who, "This is the address that you have.".to_owned());
        }
        Ok(email) => email,
        Err(error) => return refused(&visit, &who, format!("The address {error}.")),
    };
    if !unhurried(send(&visit, &who, &email)).await? {
        let refusal = "Too many mails were asked for within this hour. Try again in an hour.";
        return refused(&visit, &who, refusal.to_owned());
    }
    Ok(page::see_other("/account?done=email-asked"))
}

/// One transaction, whether somebody has the address or not. Gives whether a mail may be sent yet.
async fn send(visit: &Visit, who: &SignedIn, email: &Email) -> Result<bool, PageError> {
    let (post, now, key) = (&visit.console.setting.post, visit.now, email.key());
    let subject = *who.user.as_bytes();
    let mut writes = vec![links::void(LinkKind::ChangeEmail, &subject, now)];
    // Made for an address that is taken too: what cannot be sealed must not tell which is.
    let link = post.link(LinkKind::ChangeEmail, subject, Some(email.as_str()), now);
    let letter = Letter::change_email(email.as_str(), &link.url);
    let letter = post.seal(&letter, now).await?;
    let holder = visit.store().addressee(&key).await?;
    // The own address in another case is free for its user.
    if holder.is_none_or(|holder| holder.id == who.user) {
        writes.extend([links::insert(&link.row), letter]);
    }
    let counted = [Counted::To(LinkKind::ChangeEmail, &key), Counted::By(who.user)];
    let sent = visit.store().commit_mail(&counted, writes, now).await?;
    if sent {
        post.wake();
    }
    Ok(sent)
}

fn refused(visit: &Visit, who: &SignedIn, refusal: String) -> Result<Response, PageError> {
    let shown = EmailPage {
        frame: visit.frame_for(who, "Change your e-mail address"),
        now: &who.email,
        new: visit.form.text("email"),
        refusal: Some(refusal),
    };
    page::with_status(StatusCode::UNPROCESSABLE_ENTITY, &shown)
}
