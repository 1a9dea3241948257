//! The sessions of a user: where the account is signed in, and how to end that.

use askama::Template;
use hyper::header::SET_COOKIE;
use sendpromptly_core::hex;

use crate::console::access::SignedIn;
use crate::console::page::{self, Frame};
use crate::console::{PageError, Visit, browser_name, cookie, when};
use crate::http::Response;
use crate::store::own_sessions::{OwnSession, Which};

const PATH: &str = "/account/sessions";

#[derive(Template)]
#[template(path = "sessions.html")]
struct SessionsPage {
    frame: Frame,
    sessions: Vec<Row>,
}

struct Row {
    id: String,
    browser: String,
    agent: String,
    address: String,
    began: when::When,
    seen: when::When,
    is_this: bool,
}

/// `GET /account/sessions`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn list(visit: Visit, who: SignedIn) -> Result<Response, PageError> {
    let notice = match visit.query.text("done") {
        "ended" => Some("The session has ended."),
        "others" => Some("All other sessions have ended."),
        _ => None,
    };
    let row = |session: OwnSession| Row {
        id: hex::encode(&session.id),
        browser: browser_name::of_agent(&session.agent),
        agent: session.agent,
        address: session.address,
        began: when::When::of(session.life.created_at),
        seen: when::When::of(session.life.seen_at),
        is_this: session.id == who.session,
    };
    let sessions = visit.store().sessions_of(who.user, visit.now).await?;
    let mut sessions: Vec<_> = sessions.into_iter().map(row).collect();
    sessions.sort_by_key(|row| !row.is_this);
    page::page(&SessionsPage {
        frame: visit.frame_for(&who, "Sessions").telling(notice),
        sessions,
    })
}

/// `POST /account/sessions/{session}/end`: ends one; this one too, if it is that.
///
/// # Errors
/// [`PageError::NotFound`] where the user has no such session.
pub async fn end(visit: Visit, who: SignedIn) -> Result<Response, PageError> {
    let text: String = visit.param("session")?;
    let session = hex::decode(&text).ok_or(PageError::NotFound)?;
    let origin = visit.origin(who.user);
    let ended = visit
        .store()
        .end_sessions(who.user, Which::One(session), &origin, visit.now);
    if ended.await? == 0 {
        return Err(PageError::NotFound);
    }
    if session != who.session {
        return Ok(page::see_other(&format!("{PATH}?done=ended")));
    }
    let mut response = page::see_other("/sign-in?done=signed-out");
    let gone = cookie::remove(cookie::Kind::Session, &visit.client);
    response.headers_mut().append(SET_COOKIE, gone);
    Ok(response)
}

/// `POST /account/sessions/end-others`: ends all but this one.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn end_others(visit: Visit, who: SignedIn) -> Result<Response, PageError> {
    let origin = visit.origin(who.user);
    let others = Which::AllBut(who.session);
    visit
        .store()
        .end_sessions(who.user, others, &origin, visit.now)
        .await?;
    Ok(page::see_other(&format!("{PATH}?done=others")))
}
