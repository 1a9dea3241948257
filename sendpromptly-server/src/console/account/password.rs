//! Changing the own password.

use std::time::Duration;

use askama::Template;
use hyper::StatusCode;
use hyper::header::SET_COOKIE;

use crate::account::device::DeviceToken;
use crate::account::password::Password;
use crate::account::passwords::Checked;
use crate::console::access::SignedIn;
use crate::console::code::{self, Wrong};
use crate::console::page::{self, Frame};
use crate::console::{PageError, Visit, new_password, when};
use crate::http::Response;
use crate::mail::Letter;
use crate::store::own_password::PasswordChange;
use crate::store::sessions::SessionToken;

#[derive(Template)]
#[template(path = "password.html")]
struct PasswordPage<'a> {
    frame: Frame,
    refusal: Option<&'a str>,
}

/// `GET /account/password`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn form(visit: Visit, who: SignedIn) -> Result<Response, PageError> {
    page::page(&PasswordPage {
        frame: visit.frame_for(&who, "Change your password"),
        refusal: None,
    })
}

/// `POST /account/password`: the old password, and the new one twice.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn change(visit: Visit, who: SignedIn) -> Result<Response, PageError> {
    let new = match chosen(&visit, &who.email) {
        Ok(new) => new,
        Err(refusal) => return refused(&visit, &who, &refusal),
    };
    let (old, place) = (visit.form.secret("password"), visit.place());
    let passwords = &visit.console.passwords;
    let (user, right) = match passwords.check_again(who.user, old, &place, visit.now).await? {
        Checked::Right(user, right) => (user, right),
        Checked::Refused(refusal) => {
            code::note_failure(&visit, who.user, &who.email, Wrong::Password).await?;
            return refused(&visit, &who, &not_that(refusal.wait));
        }
    };
    let hash = visit.console.hasher.hash(new).await?;
    let token = SessionToken::generate();
    let device = visit.device.as_ref().map(DeviceToken::digest);
    let origin = visit.origin(who.user);
    let change = PasswordChange {
        user: &user,
        hash: &hash,
        session: who.session,
        token: &token,
        device: device.as_ref(),
        origin: &origin,
        now: visit.now,
    };
    let post = &visit.console.setting.post;
    let notice = Letter::password_changed(&user.email, post.base_url());
    let mut writes = right.succeeded();
    writes.push(post.seal(&notice, visit.now).await?);
    if !visit.store().change_password(&change, &writes).await? {
        return refused(&visit, &who, "The password was changed meanwhile.");
    }
    post.wake();
    let mut response = page::see_other("/account?done=password");
    let cookie = visit.session_cookie(&token);
    response.headers_mut().append(SET_COOKIE, cookie);
    Ok(response)
}

/// Told where the password that the user is said to have is refused.
fn not_that(wait: Duration) -> String {
    if wait.is_zero() {
        return "The password that you have now is another one.".to_owned();
    }
    let wait = when::words(wait);
    format!(
        "The password that you have now is another one, or there were too many tries. Try again in {wait}."
    )
}

/// The new password, or why it is none.
fn chosen(visit: &Visit, email: &str) -> Result<Password, String> {
    let new = new_password::chosen(visit, &[email])?;
    if *visit.form.secret("password") == *visit.form.secret(new_password::FIELD) {
        return Err("The new password is the one that you have.".to_owned());
    }
    Ok(new)
}

fn refused(visit: &Visit, who: &SignedIn, refusal: &str) -> Result<Response, PageError> {
    let shown = PasswordPage {
        frame: visit.frame_for(who, "Change your password"),
        refusal: Some(refusal),
    };
    page::with_status(StatusCode::UNPROCESSABLE_ENTITY, &shown)
}
