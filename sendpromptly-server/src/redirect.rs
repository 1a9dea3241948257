//! Plain HTTP beside HTTPS: every request is sent on, but for one that bears a credential. That one is told that
//! its credential has travelled in clear, and an API key that is in use is told to its organization.

mod target;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, COOKIE, HeaderMap, LOCATION};
use hyper::{Request, StatusCode};
use ipnet::IpNet;
use sendpromptly_core::audit::{Actor, Origin};
use sendpromptly_core::credential::ApiKey;
use sendpromptly_core::id::RequestId;

use crate::api::authenticate::Authenticator;
use crate::http::ApiError;
use crate::http::client_address::client_address;
use crate::http::host;
use crate::http::response::{self, Response};
use crate::platform::{clock, entropy};
use crate::store::Store;

pub use target::Target;

/// The cookies that hold a session: over HTTPS, and over plain HTTP on this machine.
const SESSION_COOKIES: [&str; 2] = ["__Host-session", "session"];

/// Keys of one request that are looked up. Nobody sends more than one, except to make work.
const KEYS_OF_A_REQUEST: usize = 2;

/// Answers what comes over plain HTTP.
#[derive(Debug)]
pub struct Redirect {
    target: Target,
    trusted_proxies: Vec<IpNet>,
    authenticator: Authenticator,
    store: Store,
}

impl Redirect {
    /// Sends on to this target, and looks exposed keys up in this store.
    #[must_use]
    pub fn new(target: Target, trusted_proxies: Vec<IpNet>, store: Store) -> Self {
        Self {
            target,
            trusted_proxies,
            authenticator: Authenticator::new(store.clone()),
            store,
        }
    }

    /// Answers a request. Its body is never read.
    pub async fn answer(self: Arc<Self>, mut request: Request<Incoming>, peer: SocketAddr) -> Response {
        let id = RequestId::new(clock::now(), entropy::for_id());
        let answered = if bears_credential(request.headers()) {
            let client = client_address(peer.ip(), request.headers(), &self.trusted_proxies);
            self.tell_of_exposure(request.headers(), client).await;
            Err(ApiError::HttpsRequired)
        } else {
            let location = host::settle(&mut request).and_then(|()| self.target.of(&request));
            location.map(|location| {
                let mut response = response::text(StatusCode::PERMANENT_REDIRECT, "use https\n");
                response.headers_mut().insert(LOCATION, location);
                response
            })
        };
        let mut response = answered.unwrap_or_else(|error| error.into_response(id));
        response::finish(&mut response, id, false);
        let status = response.status().as_u16();
        tracing::debug!(%id, path = "-", status, "answered over plain HTTP");
        response
    }

    /// What cannot be looked up is refused all the same, and told when it comes again.
    async fn tell_of_exposure(&self, headers: &HeaderMap, client: IpAddr) {
        for key in keys(headers) {
            if let Err(error) = self.note(&key, client).await {
                let (status, code) = error.status_and_code();
                tracing::debug!(
                    status = status.as_u16(),
                    code,
                    "a key sent in clear was not noted"
                );
            }
        }
    }

    async fn note(&self, key: &ApiKey, client: IpAddr) -> Result<(), ApiError> {
        let holder = self.authenticator.holder_of(key, client).await?;
        let origin = Origin {
            actor: Actor::System("redirect"),
            address: Some(client),
        };
        if self
            .store
            .note_exposed_key(&holder, &origin, clock::now())
            .await?
        {
            tracing::warn!(
                key = %holder.key_id,
                project = %holder.project,
                "an API key has travelled in clear, without https; it should be revoked"
            );
        }
        Ok(())
    }
}

fn bears_credential(headers: &HeaderMap) -> bool {
    headers.contains_key(AUTHORIZATION) || bears_session(headers)
}

fn bears_session(headers: &HeaderMap) -> bool {
    let cookies = headers.get_all(COOKIE).iter();
    cookies
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b';'))
        .filter_map(|pair| pair.split(|byte| *byte == b'=').next())
        .any(|name| {
            let name = name.trim_ascii();
            SESSION_COOKIES.iter().any(|known| known.as_bytes() == name)
        })
}

/// API keys that a request bears, whatever the scheme before them.
fn keys(headers: &HeaderMap) -> impl Iterator<Item = ApiKey> {
    let values = headers.get_all(AUTHORIZATION).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split([' ', '\t', ',']))
        .filter_map(|word| ApiKey::parse(word).ok())
        .take(KEYS_OF_A_REQUEST)
}
