//! Who comes: the session of a request, and the cookies that its answer sets.

use std::sync::Arc;

use hyper::header::{HeaderMap, HeaderValue, USER_AGENT};
use hyper::http::request::Parts;
use hyper::{Method, Uri};
use sendpromptly_core::id::RequestId;

use super::super::form::Form;
use super::super::routes::{self, Found};
use super::super::{Console, PageError, Visit, cookie, page};
use crate::http::Client;
use crate::platform::clock;
use crate::store::sessions::{Session, SessionToken};

/// Finds out who it is. Whoever has no session gets a visitor's cookie, to which forms are bound.
pub(super) async fn welcome(
    console: &Arc<Console>,
    found: Found,
    head: &Parts,
    client: Client,
    id: RequestId,
    cookies: &mut Vec<HeaderValue>,
) -> Result<Visit, PageError> {
    let now = clock::now();
    let is_asset = found.route.path.starts_with("/assets/");
    if !(client.secure || client.loopback || is_asset) {
        return Err(PageError::Insecure);
    }
    let mut session = None;
    let mut token = cookie::read(cookie::Kind::Session, &client, &head.headers);
    if let Some(shown) = token.take_if(|_| !is_asset) {
        session = look_up(console, &shown, &client).await?;
        token = session.as_ref().map(|_| shown);
    }
    // What a page's script does by itself is no sign that its user is there.
    let by_itself = head.headers.contains_key(page::LIVE) || found.route.path == routes::LIVE;
    match &session {
        _ if is_asset => {}
        Some(session) => console.rates.count_session(session.id)?,
        None => console.rates.count_visitor(client.address)?,
    }
    if let (Some(known), Some(held)) = (&session, &mut token) {
        let navigates = head.method == Method::GET && !by_itself;
        if !by_itself && known.life.is_to_be_noted(now) {
            console.setting.store.note_session(known.id, now).await?;
        }
        if navigates && known.rotate {
            rotate(console, known, held, &client, cookies).await?;
        }
    }
    let token = token.unwrap_or_else(|| {
        cookie::read(cookie::Kind::Visitor, &client, &head.headers).unwrap_or_else(|| {
            let new = SessionToken::generate();
            if !is_asset {
                cookies.push(cookie::set(cookie::Kind::Visitor, &client, &new));
            }
            new
        })
    });
    Ok(Visit {
        console: console.clone(),
        id,
        path: head.uri.path().to_owned(),
        target: target(&head.uri),
        query: Form::parse(head.uri.query().unwrap_or_default().as_bytes()),
        form: Form::default(),
        now,
        client,
        agent: agent(&head.headers),
        device: cookie::read_device(&client, &head.headers),
        session,
        token,
        form_token: None,
        params: found.params,
    })
}

/// Finds out once more whose session it is: it may have ended while the body was on its way.
pub(super) async fn look_again(visit: &mut Visit) -> Result<(), PageError> {
    visit.now = clock::now();
    if visit.session.is_some() {
        visit.session = visit.store().session(&visit.token, visit.now).await?;
    }
    Ok(())
}

/// The session of a token. So many unknown ones from a network, and no more are looked up for it.
async fn look_up(
    console: &Arc<Console>,
    token: &SessionToken,
    client: &Client,
) -> Result<Option<Session>, PageError> {
    let unknown = console.rates.count_unknown(client.address)?;
    let found = console.setting.store.session(token, clock::now()).await;
    if !matches!(found, Ok(None)) {
        unknown.take_back();
    }
    Ok(found?)
}

/// Gives a session another token, for its user's rights have changed. Only the answer to a navigation is the place for one:
/// a form was made under the token before, and a page's script fetches several at once with one cookie.
async fn rotate(
    console: &Arc<Console>,
    session: &Session,
    held: &mut SessionToken,
    client: &Client,
    cookies: &mut Vec<HeaderValue>,
) -> Result<(), PageError> {
    let new = SessionToken::generate();
    let store = &console.setting.store;
    if store.rotate_marked_session(session.id, &new).await? {
        cookies.push(cookie::set(cookie::Kind::Session, client, &new));
        *held = new;
    }
    Ok(())
}

fn target(uri: &Uri) -> String {
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    target.to_owned()
}

fn agent(headers: &HeaderMap) -> String {
    let agent = headers.get(USER_AGENT).and_then(|value| value.to_str().ok());
    agent.unwrap_or_default().to_owned()
}
