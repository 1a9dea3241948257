//! Mailed links. Mail scanners follow links, so opening one shows a page with a button and changes nothing; the
//! button takes the link, which is good once. A link that was used, has run out or never was is told by one page.

use askama::Template;
use hyper::StatusCode;
use hyper::header::SET_COOKIE;
use sendpromptly_core::id::{OrganizationId, UserId};

use super::page::{self, Frame};
use super::{PageError, Visit, arrival, code, invitations, new_password};
use crate::account::email::Email;
use crate::account::link::{Link, LinkKind};
use crate::account::passwords::Refusal as Refused;
use crate::http::Response;
use crate::mail::Letter;
use crate::platform::entropy;
use crate::store::links::Subject;
use crate::store::sign_ups::Confirmed;

/// Told where a sign-up is confirmed with another password.
const WRONG_PASSWORD: &str = "This is not the password of the sign-up. After several wrong tries the next ones are \
                              refused for a while, even with the right password.";

#[derive(Template)]
#[template(path = "link_dead.html")]
struct DeadPage {
    frame: Frame,
}

#[derive(Template)]
#[template(path = "link_confirm.html")]
struct ConfirmPage<'a> {
    frame: Frame,
    action: &'a str,
    email: &'a str,
}

#[derive(Template)]
#[template(path = "link_sign_up.html")]
struct SignUpPage<'a> {
    frame: Frame,
    action: &'a str,
    email: &'a str,
    organization: &'a str,
    refusal: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "link_password.html")]
struct PasswordPage<'a> {
    frame: Frame,
    action: &'a str,
    email: &'a str,
    refusal: Option<String>,
}

/// `GET /links/{token}`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn show(visit: Visit) -> Result<Response, PageError> {
    let Some((link, subject)) = live(&visit).await? else {
        return dead(&visit);
    };
    match link.kind {
        LinkKind::SignUp => show_sign_up(&visit, &subject, None).await,
        LinkKind::Reset => show_reset(&visit, &subject, None).await,
        LinkKind::Invitation => invitations::show(&visit, &subject, None).await,
        LinkKind::ChangeEmail => show_change_email(&visit, &subject),
    }
}

/// `POST /links/{token}`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn take(visit: Visit) -> Result<Response, PageError> {
    let Some((link, subject)) = live(&visit).await? else {
        return dead(&visit);
    };
    match link.kind {
        LinkKind::SignUp => take_sign_up(&visit, &link, &subject).await,
        LinkKind::Reset => take_reset(&visit, &link, &subject).await,
        LinkKind::Invitation => invitations::take(&visit, &link, &subject).await,
        LinkKind::ChangeEmail => take_change_email(&visit, &link, &subject).await,
    }
}

/// The link of the path, as long as it is good.
async fn live(visit: &Visit) -> Result<Option<(Link, Subject)>, PageError> {
    let token: String = visit.param("token")?;
    let Some(link) = visit.console.setting.post.read(&token, visit.now) else {
        return Ok(None);
    };
    let subject = visit.store().link_subject(&link).await?;
    Ok(subject.map(|subject| (link, subject)))
}

pub(super) fn dead(visit: &Visit) -> Result<Response, PageError> {
    let shown = DeadPage {
        frame: visit.frame("This link is no longer good"),
    };
    page::with_status(StatusCode::GONE, &shown)
}

async fn show_sign_up(
    visit: &Visit,
    subject: &Subject,
    refused: Option<Refused>,
) -> Result<Response, PageError> {
    let Some(sign_up) = visit.store().sign_up(&subject.id).await? else {
        return dead(visit);
    };
    let status = match refused {
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        None => StatusCode::OK,
    };
    let shown = SignUpPage {
        frame: visit.frame("Confirm your address"),
        action: &visit.path,
        email: &sign_up.email,
        organization: &sign_up.organization_name,
        refusal: refused.as_ref().map(|_| WRONG_PASSWORD),
    };
    let page = page::with_status(status, &shown)?;
    Ok(match refused {
        Some(refused) => code::retry_after(page, refused.wait),
        None => page,
    })
}

/// Whoever reads the mail may not be who signed up, and whoever signed up may not read the mail. So the password
/// is asked for: else somebody could sign up with a stranger's address, and the stranger's click would hand the
/// address over to an account whose password the other one knows.
///
/// Nobody is signed in by the link: whoever opens it for a stranger's sign-up would sit in the stranger's account.
async fn take_sign_up(visit: &Visit, link: &Link, subject: &Subject) -> Result<Response, PageError> {
    let Some(sign_up) = visit.store().sign_up(&subject.id).await? else {
        return dead(visit);
    };
    let (password, place) = (visit.form.secret("password"), visit.place());
    let passwords = &visit.console.passwords;
    let checked = passwords.check_sign_up(&sign_up, password, &place, visit.now);
    let right = match checked.await? {
        Ok(right) => right,
        Err(refused) => return show_sign_up(visit, subject, Some(refused)).await,
    };
    let ids = Confirmed {
        user: UserId::new(visit.now, entropy::for_id()),
        organization: OrganizationId::new(visit.now, entropy::for_id()),
    };
    let confirmed = visit
        .store()
        .confirm_sign_up(link, ids, right.succeeded(), visit.client.address, visit.now)
        .await?;
    match confirmed {
        Some(_) => Ok(page::see_other("/sign-in?done=confirmed")),
        None => dead(visit),
    }
}

async fn show_reset(
    visit: &Visit,
    subject: &Subject,
    refusal: Option<String>,
) -> Result<Response, PageError> {
    let user = visit
        .store()
        .addressee_by_id(UserId::from_bytes(subject.id))
        .await?;
    let Some(user) = user else { return dead(visit) };
    let status = match refusal {
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        None => StatusCode::OK,
    };
    let shown = PasswordPage {
        frame: visit.frame("Choose a new password"),
        action: &visit.path,
        email: &user.email,
        refusal,
    };
    page::with_status(status, &shown)
}

async fn take_reset(visit: &Visit, link: &Link, subject: &Subject) -> Result<Response, PageError> {
    let user = visit
        .store()
        .addressee_by_id(UserId::from_bytes(subject.id))
        .await?;
    let Some(user) = user else { return dead(visit) };
    let password = match new_password::chosen(visit, &[&user.email]) {
        Ok(password) => password,
        Err(refusal) => return show_reset(visit, subject, Some(refusal)).await,
    };
    let hash = visit.console.hasher.hash(password).await?;
    let post = &visit.console.setting.post;
    let notice = Letter::password_changed(&user.email, post.base_url());
    let notice = post.seal(&notice, visit.now).await?;
    let done = visit
        .store()
        .reset_password(link, &hash, notice, visit.client.address, visit.now);
    if !done.await? {
        return dead(visit);
    }
    post.wake();
    // Whoever reads the user's mail need not wait for what strangers guess.
    let (known, cookie) = arrival::make_known(visit, user.id);
    visit.store().commit_together(known).await?;
    let mut response = page::see_other("/sign-in?done=ended");
    response.headers_mut().append(SET_COOKIE, cookie);
    Ok(response)
}

fn show_change_email(visit: &Visit, subject: &Subject) -> Result<Response, PageError> {
    page::page(&ConfirmPage {
        frame: visit.frame("Confirm your new address"),
        action: &visit.path,
        email: subject.email.as_deref().unwrap_or_default(),
    })
}

async fn take_change_email(visit: &Visit, link: &Link, subject: &Subject) -> Result<Response, PageError> {
    let email = subject
        .email
        .as_deref()
        .and_then(|email| Email::parse(email).ok());
    let user = visit
        .store()
        .addressee_by_id(UserId::from_bytes(subject.id))
        .await?;
    let (Some(email), Some(user)) = (email, user) else {
        return dead(visit);
    };
    let post = &visit.console.setting.post;
    let notice = post
        .seal(&Letter::email_changed(&user.email, email.as_str()), visit.now)
        .await?;
    let key = email.key();
    let done = visit
        .store()
        .change_email(link, &key, notice, visit.client.address, visit.now);
    if !done.await? {
        return dead(visit);
    }
    post.wake();
    Ok(page::see_other("/sign-in?done=email"))
}
