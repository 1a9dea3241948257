//! The console's cookies. Their names begin with `__Host-`, which browsers take from a secure origin only and
//! bind to its host; the plain names are for plain HTTP on this machine.

use hyper::header::{COOKIE, HeaderMap, HeaderValue};

use crate::account::device::DeviceToken;
use crate::http::Client;
use crate::store::known_devices::KNOWN_FOR;
use crate::store::sessions::SessionToken;

/// What a cookie holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The token of a session.
    Session,
    /// The token by which a browser is known in which somebody has signed in; it outlasts sessions.
    Device,
    /// A visitor's token, to which the forms before the sign-in are bound.
    Visitor,
}

impl Kind {
    const fn name(self, secure: bool) -> &'static str {
        match (self, secure) {
            (Self::Session, true) => "__Host-session",
            (Self::Session, false) => "session",
            (Self::Device, true) => "__Host-device",
            (Self::Device, false) => "device",
            (Self::Visitor, true) => "__Host-visitor",
            (Self::Visitor, false) => "visitor",
        }
    }
}

/// The token that the browser has sent in this cookie. One that stands twice counts for nothing.
#[must_use]
pub fn read(kind: Kind, client: &Client, headers: &HeaderMap) -> Option<SessionToken> {
    let name = kind.name(client.secure);
    let mut values = headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(known, _)| *known == name);
    let first = values.next();
    if values.next().is_some() {
        return None;
    }
    SessionToken::parse(first?.1)
}

/// The header that hands the browser a token.
#[must_use]
pub fn set(kind: Kind, client: &Client, token: &SessionToken) -> HeaderValue {
    let text = format!(
        "{}={}; {}",
        kind.name(client.secure),
        *token.expose(),
        attributes(client)
    );
    header(&text)
}

/// The token of a browser in which somebody has signed in.
#[must_use]
pub fn read_device(client: &Client, headers: &HeaderMap) -> Option<DeviceToken> {
    let token = read(Kind::Device, client, headers)?;
    Some(DeviceToken::new(*token.as_bytes()))
}

/// The header by which a browser is known again.
#[must_use]
pub fn set_device(client: &Client, token: &DeviceToken) -> HeaderValue {
    header(&format!(
        "{}={}; Max-Age={}; {}",
        Kind::Device.name(client.secure),
        token.reveal(),
        KNOWN_FOR.as_secs(),
        attributes(client)
    ))
}

/// The header that takes the cookie from the browser.
#[must_use]
pub fn remove(kind: Kind, client: &Client) -> HeaderValue {
    header(&format!(
        "{}=; Max-Age=0; {}",
        kind.name(client.secure),
        attributes(client)
    ))
}

const fn attributes(client: &Client) -> &'static str {
    if client.secure {
        "Path=/; Secure; HttpOnly; SameSite=Lax"
    } else {
        "Path=/; HttpOnly; SameSite=Lax"
    }
}

fn header(text: &str) -> HeaderValue {
    let mut value = HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(secure: bool) -> Client {
        Client {
            address: [127, 0, 0, 1].into(),
            secure,
            loopback: !secure,
        }
    }

    #[test]
    fn a_session_is_bound_to_the_host_over_tls() {
        let token = SessionToken::generate();
        let set = |secure| {
            set(Kind::Session, &client(secure), &token)
                .to_str()
                .unwrap()
                .to_owned()
        };
        let value = token.expose();
        let secure = format!(
            "__Host-session={}; Path=/; Secure; HttpOnly; SameSite=Lax",
            *value
        );
        assert_eq!(set(true), secure);
        assert_eq!(
            set(false),
            format!("session={}; Path=/; HttpOnly; SameSite=Lax", *value)
        );
    }

    #[test]
    fn a_cookie_of_the_other_name_or_one_that_stands_twice_is_not_read() {
        let token = SessionToken::generate();
        let mut headers = HeaderMap::new();
        let pair = |name: &str| format!("{name}={}", *token.expose());
        headers.insert(COOKIE, format!("a=b; {}", pair("session")).parse().unwrap());
        assert!(read(Kind::Session, &client(false), &headers).is_some());
        assert!(read(Kind::Session, &client(true), &headers).is_none());
        assert!(read(Kind::Visitor, &client(false), &headers).is_none());
        headers.append(COOKIE, pair("session").parse().unwrap());
        assert!(read(Kind::Session, &client(false), &headers).is_none());
    }
}
