//! The second step of signing in: a code of the second factor.

use std::time::Duration;

use askama::Template;
use hyper::header::SET_COOKIE;

use super::arrival::Arrival;
use super::code::{self, Refusal, Wrong};
use super::page::{self, Frame};
use super::{PageError, Visit};
use crate::http::Response;
use crate::store::second_factors::Taken;
use crate::store::sessions::{self, Session, SessionToken};

/// How long after the password the code may come.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

#[derive(Template)]
#[template(path = "sign_in_code.html")]
struct CodePage<'a> {
    frame: Frame,
    email: &'a str,
    then: &'a str,
    refusal: Option<&'a str>,
}

/// `GET /sign-in/code`: asks for the code.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn form(visit: Visit) -> Result<Response, PageError> {
    let then = page::local_path(visit.query.text("then"));
    match begun(&visit) {
        Some(session) => asking(&visit, session, then, None),
        None => Ok(page::see_other(&to_begin(&visit, then))),
    }
}

/// `POST /sign-in/code`: completes the session, which goes on under another token.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn sign_in(visit: Visit) -> Result<Response, PageError> {
    let then = page::local_path(visit.form.text("then"));
    let Some(session) = begun(&visit) else {
        return Ok(page::see_other(&to_begin(&visit, then)));
    };
    let token = SessionToken::generate();
    let arrival = Arrival::of(&visit, session.user);
    let mut writes = vec![sessions::complete(session.id, &token, visit.now)];
    writes.extend(arrival.writes);
    let code = visit.form.secret("code");
    match code::take(&visit, session.user, code, writes, vec![arrival.draft]).await {
        Ok(taken) => {
            let mut response = page::see_other(&onward(taken, then));
            for cookie in [visit.session_cookie(&token), arrival.cookie] {
                response.headers_mut().append(SET_COOKIE, cookie);
            }
            Ok(response)
        }
        Err(error) => {
            let refusal = Refusal::of(error)?;
            code::note_failure(&visit, session.user, &session.email, Wrong::Code).await?;
            asking(&visit, session, then, Some(&refusal))
        }
    }
}

/// The session that lacks a code, while it is still waited for.
fn begun(visit: &Visit) -> Option<&Session> {
    let session = visit.session.as_ref()?;
    let waits = visit.now.since(session.life.created_at) <= PATIENCE;
    (waits && !session.complete).then_some(session)
}

/// Where to go without a session that lacks a code.
fn to_begin(visit: &Visit, then: &str) -> String {
    if visit.session.as_ref().is_some_and(|session| session.complete) {
        return then.to_owned();
    }
    format!("/sign-in?then={}", page::encoded(then))
}

/// Whoever has used a recovery code is told how many are left before going on.
fn onward(taken: Taken, then: &str) -> String {
    match taken {
        Taken::Code => then.to_owned(),
        Taken::Recovery { .. } => format!("/account/second-factor?recovered=1&then={}", page::encoded(then)),
    }
}

fn asking(
    visit: &Visit,
    session: &Session,
    then: &str,
    refusal: Option<&Refusal>,
) -> Result<Response, PageError> {
    let shown = CodePage {
        frame: visit.frame("Enter a code"),
        email: &session.email,
        then,
        refusal: refusal.map(|refusal| refusal.text.as_str()),
    };
    code::asking(&shown, refusal)
}
