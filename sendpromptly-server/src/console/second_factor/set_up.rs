//! Setting an authenticator app up: a secret as a picture and as text, and the code that confirms it.

use askama::Template;
use sendpromptly_core::second_factor::TotpSecret;
use zeroize::Zeroizing;

use super::{Change, qr, show_codes};
use crate::account::second_factor::{CodeError, Typed};
use crate::console::access::SignedIn;
use crate::console::code::{self, Refusal, Wrong};
use crate::console::page::{self, Frame};
use crate::console::{PageError, Visit};
use crate::http::Response;

#[derive(Template)]
#[template(path = "second_factor_set_up.html")]
struct SetUpPage<'a> {
    frame: Frame,
    picture: qr::Picture,
    secret: Zeroizing<String>,
    email: &'a str,
    replaces: bool,
    refusal: Option<&'a str>,
}

/// `POST /account/second-factor/begin`: makes a secret to be confirmed.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn begin(visit: Visit, who: SignedIn) -> Result<Response, PageError> {
    let second_factors = &visit.console.second_factors;
    second_factors.propose(who.user, who.session, visit.now).await?;
    Ok(page::see_other("/account/second-factor/set-up"))
}

/// `GET /account/second-factor/set-up`: shows the secret until it is confirmed.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn form(visit: Visit, who: SignedIn) -> Result<Response, PageError> {
    let proposed = visit
        .console
        .second_factors
        .proposed(who.user, who.session, visit.now);
    match proposed.await? {
        Some(secret) => showing(&visit, &who, &secret, None),
        None => Ok(page::see_other("/account/second-factor")),
    }
}

/// `POST /account/second-factor/set-up`: takes the code that confirms the secret, and shows the recovery codes.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn confirm(mut visit: Visit, who: SignedIn) -> Result<Response, PageError> {
    let second_factors = &visit.console.second_factors;
    let change = Change::of(&visit, &who);
    let typed = Typed {
        user: who.user,
        code: visit.form.secret("code"),
        place: &visit.place(),
        origin: &change.origin,
        now: visit.now,
    };
    let changer = change.changer(&visit, &who);
    let refusal = match second_factors.confirm(&typed, &changer).await {
        Ok(codes) => return show_codes(&mut visit, &who, &codes, change.token),
        Err(CodeError::NotProposed) => return Ok(page::see_other("/account/second-factor?done=ended")),
        Err(error) => {
            let refusal = Refusal::of(error)?;
            code::note_failure(&visit, who.user, &who.email, Wrong::Code).await?;
            refusal
        }
    };
    match second_factors.proposed(who.user, who.session, visit.now).await? {
        Some(secret) => showing(&visit, &who, &secret, Some(&refusal)),
        None => Ok(page::see_other("/account/second-factor?done=ended")),
    }
}

fn showing(
    visit: &Visit,
    who: &SignedIn,
    secret: &TotpSecret,
    refusal: Option<&Refusal>,
) -> Result<Response, PageError> {
    let shown = SetUpPage {
        frame: visit.frame_for(who, "Set up your authenticator app"),
        picture: qr::Picture::of(&secret.uri(&who.email))?,
        secret: secret.grouped(),
        email: &who.email,
        replaces: who.shown.has_second_factor,
        refusal: refusal.map(|refusal| refusal.text.as_str()),
    };
    code::asking(&shown, refusal)
}
