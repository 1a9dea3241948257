//! Changing the own password.

use askama::Template;
use hyper::StatusCode;
use hyper::header::SET_COOKIE;
use zeroize::Zeroizing;

use crate::account::device::DeviceToken;
use crate::account::password::Password;
use crate::account::passwords::Checked;
use crate::console::access::SignedIn;
use crate::console::page::{self, Frame};
use crate::console::{PageError, Visit};
use crate::http::Response;
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
        Checked::Refused(refusal) if refusal.wait.is_zero() => {
            return refused(&visit, &who, "The password that you have now is another one.");
        }
        Checked::Refused(refusal) => {
            let again = format!(
                "The password that you have now is another one, or there were too many tries. Try again in {}.",
                crate::console::when::words(refusal.wait)
            );
            return refused(&visit, &who, &again);
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
    if !visit.store().change_password(&change, &right.succeeded()).await? {
        return refused(&visit, &who, "The password was changed meanwhile.");
    }
    let mut response = page::see_other("/account?done=password");
    let cookie = visit.session_cookie(&token);
    response.headers_mut().append(SET_COOKIE, cookie);
    Ok(response)
}

/// The new password, or why it is none.
fn chosen(visit: &Visit, email: &str) -> Result<Password, String> {
    let (new, repeated) = (
        visit.form.secret("new_password"),
        visit.form.secret("repeat_password"),
    );
    if *new != *repeated {
        return Err("The new password and its repetition differ.".to_owned());
    }
    if *new == *visit.form.secret("password") {
        return Err("The new password is the one that you have.".to_owned());
    }
    Password::new(Zeroizing::new(new.to_string()), &[email]).map_err(|error| sentence(&error.to_string()))
}

fn refused(visit: &Visit, who: &SignedIn, refusal: &str) -> Result<Response, PageError> {
    let shown = PasswordPage {
        frame: visit.frame_for(who, "Change your password"),
        refusal: Some(refusal),
    };
    page::with_status(StatusCode::UNPROCESSABLE_ENTITY, &shown)
}

/// An error's text as a sentence.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first: String = letters
        .next()
        .map(|c| c.to_uppercase().collect())
        .unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}
