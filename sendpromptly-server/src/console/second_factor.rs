//! The pages on which a user sets up, changes and turns off the second factor.

use askama::Template;
use hyper::header::SET_COOKIE;
use sendpromptly_core::audit::Origin;
use sendpromptly_core::second_factor::RecoveryCode;
use zeroize::Zeroizing;

use super::access::SignedIn;
use super::page::{self, Frame};
use super::when::When;
use super::{PageError, Visit};
use crate::http::Response;
use crate::store::second_factors::{Changer, TurnedOff};
use crate::store::sessions::SessionToken;

mod qr;
pub mod set_up;

/// Whoever has this many recovery codes or fewer is advised to make new ones.
const FEW: u32 = 3;

#[derive(Template)]
#[template(path = "second_factor.html")]
struct SecondFactorPage<'a> {
    frame: Frame,
    since: Option<When>,
    left: u32,
    few: bool,
    reason: Option<&'a str>,
    then: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "recovery_codes.html")]
struct RecoveryCodesPage {
    frame: Frame,
    codes: Vec<Zeroizing<String>>,
    file: Zeroizing<String>,
}

/// `GET /account/second-factor`: how it is, and what can be done.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn overview(visit: Visit, who: SignedIn) -> Result<Response, PageError> {
    let factor = visit.store().second_factor(who.user).await?;
    let left = visit.store().recovery_codes_left(who.user).await?;
    let (notice, reason) = (told(&visit), reason(&visit, factor.is_some()));
    let recovered = visit.query.has("recovered");
    page::page(&SecondFactorPage {
        frame: visit.frame_for(&who, "Second factor").telling(notice),
        since: factor.map(|factor| When::of(factor.confirmed_at)),
        left,
        few: left <= FEW,
        reason,
        then: recovered.then(|| page::local_path(visit.query.text("then"))),
    })
}

fn told(visit: &Visit) -> Option<&'static str> {
    match visit.query.text("done") {
        "off" => Some("The second factor is off. Your other sessions were ended."),
        "required" => Some("An organization of yours requires a second factor, so it stays on."),
        "ended" => Some("The set-up has ended. Begin again."),
        _ => visit
            .query
            .has("recovered")
            .then_some("You have signed in with a recovery code. It is used up."),
    }
}

/// Why the user was led here.
fn reason(visit: &Visit, has_one: bool) -> Option<&'static str> {
    if has_one {
        return None;
    }
    if visit.query.has("required") {
        return Some(
            "The organization requires a second factor of all its members. Set one up to go on to its pages.",
        );
    }
    visit.query.has("needed").then_some(
        "What you were about to do takes a code of a second factor. Set one up, then go back and do it again.",
    )
}

/// `POST /account/second-factor/recovery-codes`: makes new recovery codes and shows them once.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn make_codes(mut visit: Visit, who: SignedIn) -> Result<Response, PageError> {
    let change = Change::of(&visit, &who);
    let codes = visit
        .console
        .second_factors
        .new_recovery_codes(&change.changer(&visit, &who))
        .await?;
    match codes {
        Some(codes) => show_codes(&mut visit, &who, &codes, change.token),
        None => Ok(page::see_other("/account/second-factor")),
    }
}

/// `POST /account/second-factor/turn-off`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn turn_off(visit: Visit, who: SignedIn) -> Result<Response, PageError> {
    let change = Change::of(&visit, &who);
    let changer = change.changer(&visit, &who);
    match visit.store().turn_second_factor_off(&changer).await? {
        TurnedOff::Required => Ok(page::see_other("/account/second-factor?done=required")),
        TurnedOff::NoFactor => Ok(page::see_other("/account/second-factor")),
        TurnedOff::Done => {
            let mut response = page::see_other("/account/second-factor?done=off");
            let cookie = visit.session_cookie(&change.token);
            response.headers_mut().append(SET_COOKIE, cookie);
            Ok(response)
        }
    }
}

/// A change of the second factor under way. The session goes on under another token.
struct Change {
    token: SessionToken,
    origin: Origin,
}

impl Change {
    fn of(visit: &Visit, who: &SignedIn) -> Self {
        Self {
            token: SessionToken::generate(),
            origin: visit.origin(who.user),
        }
    }

    const fn changer(&self, visit: &Visit, who: &SignedIn) -> Changer<'_> {
        Changer {
            user: who.user,
            session: who.session,
            token: &self.token,
            origin: &self.origin,
            now: visit.now,
        }
    }
}

/// Shows recovery codes, which are not to be had again, and hands the browser its new token.
fn show_codes(
    visit: &mut Visit,
    who: &SignedIn,
    codes: &[RecoveryCode],
    token: SessionToken,
) -> Result<Response, PageError> {
    let cookie = visit.go_on_with(token);
    let codes: Vec<_> = codes.iter().map(RecoveryCode::expose).collect();
    let mut response = page::page(&RecoveryCodesPage {
        frame: visit.frame_for(who, "Recovery codes"),
        file: file_of(&who.email, &codes),
        codes,
    })?;
    response.headers_mut().append(SET_COOKIE, cookie);
    Ok(response)
}

/// The address of a text file that lies in the page itself: nothing has to be stored or asked for to get it.
fn file_of(email: &str, codes: &[Zeroizing<String>]) -> Zeroizing<String> {
    let mut address = Zeroizing::new(String::with_capacity(1024));
    address.push_str("data:text/plain;charset=utf-8,");
    push_encoded(&mut address, "SendPromptly recovery codes for ");
    push_encoded(&mut address, email);
    push_encoded(&mut address, "\nEach code is good once.\n\n");
    for code in codes {
        push_encoded(&mut address, code);
        push_encoded(&mut address, "\n");
    }
    address
}

fn push_encoded(address: &mut String, text: &str) {
    use std::fmt::Write as _;

    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            address.push(char::from(byte));
        } else {
            let _ = write!(address, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_lies_in_its_address() {
        let codes = [Zeroizing::new("0000-1111-2222-3333".to_owned())];
        assert_eq!(
            file_of("ada@example.com", &codes).as_str(),
            "data:text/plain;charset=utf-8,SendPromptly%20recovery%20codes%20for%20ada%40example.com%0A\
             Each%20code%20is%20good%20once.%0A%0A0000-1111-2222-3333%0A"
        );
    }
}
