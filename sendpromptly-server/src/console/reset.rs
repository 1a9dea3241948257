//! Asking for a link by which a new password is chosen. The answer is the same for every address.

use askama::Template;
use hyper::StatusCode;

use super::page::{self, Frame};
use super::sign_up::MailSentPage;
use super::unhurried::unhurried;
use super::{PageError, Visit};
use crate::account::email::Email;
use crate::account::link::LinkKind;
use crate::http::Response;
use crate::mail::Letter;
use crate::store::links;
use crate::store::mail_rates::Counted;

#[derive(Template)]
#[template(path = "reset.html")]
struct ResetPage<'a> {
    frame: Frame,
    email: &'a str,
    refusal: Option<String>,
}

/// `GET /reset`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn form(visit: Visit) -> Result<Response, PageError> {
    page::page(&ResetPage {
        frame: visit.frame("Choose a new password"),
        email: "",
        refusal: None,
    })
}

/// `POST /reset`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn ask(visit: Visit) -> Result<Response, PageError> {
    match Email::parse(visit.form.text("email")) {
        Ok(email) => {
            unhurried(send(&visit, &email)).await?;
            Ok(page::see_other("/reset/sent"))
        }
        Err(error) => {
            let shown = ResetPage {
                frame: visit.frame("Choose a new password"),
                email: visit.form.text("email"),
                refusal: Some(format!("The address {error}.")),
            };
            page::with_status(StatusCode::UNPROCESSABLE_ENTITY, &shown)
        }
    }
}

/// `GET /reset/sent`: if there is an account, the mail is on its way.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn sent(visit: Visit) -> Result<Response, PageError> {
    page::page(&MailSentPage {
        frame: visit.frame("Look into your mail"),
        text: "If there is an account with this address, we have sent it a mail. The link in it is good for 30 minutes.",
        again: "/reset",
    })
}

/// One transaction, whether there is an account or not.
async fn send(visit: &Visit, email: &Email) -> Result<(), PageError> {
    let (post, now, key) = (&visit.console.setting.post, visit.now, email.key());
    let user = visit.store().addressee(&key).await?;
    // Made for nobody too: what cannot be sealed must not tell who has an account.
    let (subject, to) = user.as_ref().map_or_else(
        || ([0; 16], email.as_str()),
        |user| (*user.id.as_bytes(), user.email.as_str()),
    );
    let link = post.link(LinkKind::Reset, subject, None, now);
    let letter = post.seal(&Letter::reset(to, &link.url), now).await?;
    let void = links::void(LinkKind::Reset, &subject, now);
    let writes = match user {
        Some(_) => vec![void, links::insert(&link.row), letter],
        None => Vec::new(),
    };
    if visit
        .store()
        .commit_mail(&[Counted::To(LinkKind::Reset, &key)], writes, now)
        .await?
    {
        post.wake();
    }
    Ok(())
}
