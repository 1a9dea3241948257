//! Asks for a code or the password again before something sensitive is done.
//!
//! A page that needs it leads to `/step-up` and back. A form that was sent is not lost: the page that asks
//! carries its fields on and posts them, with the code, to the same path. Only a form with a password in it has
//! to be filled in again.

use askama::Template;
use hyper::Method;
use sendpromptly_core::access::Missing;
use url::form_urlencoded;

use super::access::SignedIn;
use super::page::{self, Frame};
use super::routes::Route;
use super::{PageError, Visit};
use crate::http::Response;

/// Whether enough was shown.
pub(super) enum Verdict {
    /// It was, with this very form.
    #[allow(dead_code)] // until codes are taken
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

/// Takes what the form shows, or gives the page that asks for it.
pub(super) async fn ask(
    route: &Route,
    visit: &Visit,
    who: &SignedIn,
    missing: Missing,
) -> Result<Verdict, PageError> {
    let then: String = form_urlencoded::byte_serialize(visit.target.as_bytes()).collect();
    if missing == Missing::SecondFactor {
        return Ok(Verdict::Asked(page::see_other("/account/second-factor?needed=1")));
    }
    if *route.method == Method::GET {
        return Ok(Verdict::Asked(page::see_other(&format!("/step-up?then={then}"))));
    }
    let carried = visit.form.to_carry_on();
    let fields = carried.map(|(name, value)| (name.as_str(), value.as_str()));
    let asked = StepUpPage {
        frame: visit.frame_for(who, "Confirm that it is you"),
        action: &visit.target,
        fields: fields.collect(),
        wants_password: missing == Missing::Password,
        refusal: None,
    };
    Ok(Verdict::Asked(page::page(&asked)?))
}
