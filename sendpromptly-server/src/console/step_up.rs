//! Asks for a code or the password again before something sensitive is done.
//!
//! A page that needs it leads to `/step-up` and back. A form that was sent is not lost: the page that asks
//! carries its fields on and posts them, with the code, to the same path. Only a form with a password in it has
//! to be filled in again.

use askama::Template;
use hyper::Method;
use sendpromptly_core::access::{Missing, StepUp};

use super::access::SignedIn;
use super::code::{self, Refusal};
use super::page::{self, Frame};
use super::routes::{self, Route};
use super::{PageError, Visit};
use crate::http::Response;

/// Whether enough was shown.
pub(super) enum Verdict {
    /// It was, with this very form.
    Enough,
    /// It was not; this page asks.
    Asked(Response),
}

#[derive(Template)]
#[template(path = "step_up.html")]
struct StepUpPage<'a> {
    frame: Frame,
    action: &'a str,
    fields: Vec<(&'a str, &'a str)>,
    wants_password: bool,
    refusal: Option<&'a str>,
}

/// What a user is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Code,
    Password,
}

/// Takes what the form shows, or gives the page that asks for it.
pub(super) async fn ask(
    route: &Route,
    visit: &Visit,
    who: &SignedIn,
    missing: Missing,
) -> Result<Verdict, PageError> {
    let asked = match missing {
        Missing::SecondFactor => {
            return Ok(Verdict::Asked(page::see_other("/account/second-factor?needed=1")));
        }
        Missing::Code => Asked::Code,
        Missing::Password => Asked::Password,
    };
    if *route.method == Method::GET {
        return Ok(Verdict::Asked(elsewhere(&visit.target)));
    }
    let brought = visit.form.has(asked.field());
    if !brought && visit.form.holds_secret() {
        return Ok(Verdict::Asked(elsewhere(page_of(&visit.path))));
    }
    let refusal = if brought {
        asked.take(visit, who).await?
    } else {
        None
    };
    if brought && refusal.is_none() {
        return Ok(Verdict::Enough);
    }
    let carried = visit.form.to_carry_on();
    let fields = carried.map(|(name, value)| (name.as_str(), value.as_str()));
    let page = asking(
        visit,
        who,
        asked,
        &visit.target,
        fields.collect(),
        refusal.as_ref(),
    )?;
    Ok(Verdict::Asked(page))
}

/// `GET /step-up?then=…`: asks, and leads on to `then`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn form(visit: Visit, who: SignedIn) -> Result<Response, PageError> {
    let then = page::local_path(visit.query.text("then"));
    match wanted(&visit, &who) {
        Some(asked) => asking(&visit, &who, asked, "/step-up", vec![("then", then)], None),
        None => Ok(page::see_other(then)),
    }
}

/// `POST /step-up`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn show(visit: Visit, who: SignedIn) -> Result<Response, PageError> {
    let then = page::local_path(visit.form.text("then"));
    let Some(asked) = wanted(&visit, &who) else {
        return Ok(page::see_other(then));
    };
    match asked.take(&visit, &who).await? {
        None => Ok(page::see_other(then)),
        Some(refusal) => asking(
            &visit,
            &who,
            asked,
            "/step-up",
            vec![("then", then)],
            Some(&refusal),
        ),
    }
}

impl Asked {
    const fn field(self) -> &'static str {
        match self {
            Self::Code => code::STEP_UP_CODE,
            Self::Password => code::STEP_UP_PASSWORD,
        }
    }

    /// Takes it from the form. Gives why not, where it is refused.
    async fn take(self, visit: &Visit, who: &SignedIn) -> Result<Option<Refusal>, PageError> {
        match self {
            Self::Code => code::show_code(visit, who).await,
            Self::Password => code::show_password(visit, who).await,
        }
    }
}

/// What the user has not shown lately: a code, or without a second factor the password.
fn wanted(visit: &Visit, who: &SignedIn) -> Option<Asked> {
    match StepUp::Password.missing(&who.shown, visit.now)? {
        Missing::Code | Missing::SecondFactor => Some(Asked::Code),
        Missing::Password => Some(Asked::Password),
    }
}

fn asking(
    visit: &Visit,
    who: &SignedIn,
    asked: Asked,
    action: &str,
    fields: Vec<(&str, &str)>,
    refusal: Option<&Refusal>,
) -> Result<Response, PageError> {
    let shown = StepUpPage {
        frame: visit.frame_for(who, "Confirm that it is you"),
        action,
        fields,
        wants_password: asked == Asked::Password,
        refusal: refusal.map(|refusal| refusal.text.as_str()),
    };
    code::asking(&shown, refusal)
}

fn elsewhere(then: &str) -> Response {
    page::see_other(&format!("/step-up?then={}", page::encoded(then)))
}

/// The page on which the form of this path stands: the path itself, or the nearest one above it that is a page.
pub(super) fn page_of(path: &str) -> &str {
    let mut page = path;
    while routes::find(&Method::GET, page).is_err() {
        match page.rsplit_once('/') {
            Some((above, _)) if !above.is_empty() => page = above,
            _ => return "/",
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_with_a_password_is_filled_in_again_on_the_page_where_it_stands() {
        assert_eq!(
            page_of("/account/second-factor/set-up"),
            "/account/second-factor/set-up"
        );
        assert_eq!(
            page_of("/account/second-factor/turn-off"),
            "/account/second-factor"
        );
        assert_eq!(page_of("/no/such/page"), "/");
    }
}
