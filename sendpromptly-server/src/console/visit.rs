//! What a handler knows of a request.

use std::str::FromStr;
use std::sync::Arc;

use sendpromptly_core::audit::{Actor, Origin};
use sendpromptly_core::id::{RequestId, UserId};
use sendpromptly_core::time::Timestamp;

use super::form::Form;
use super::form_token::FormToken;
use super::page::{Frame, Nav};
use super::{Console, PageError, cookie};
use crate::account::device::DeviceToken;
use crate::account::guesses::Place;
use crate::config::SignUp;
use crate::console::access::{Seat, SignedIn};
use crate::http::Client;
use crate::store::Store;
use crate::store::sessions::{Session, SessionToken};

/// A request, read and checked.
#[derive(Debug)]
pub struct Visit {
    /// The console.
    pub console: Arc<Console>,
    /// Its id, as the visitor is told it.
    pub id: RequestId,
    /// The path, without the query.
    pub path: String,
    /// The path with its query.
    pub target: String,
    /// The fields of the query.
    pub query: Form,
    /// The fields of the form that was sent; none for `GET`.
    pub form: Form,
    /// When it came.
    pub now: Timestamp,
    /// Who asks, and over what.
    pub client: Client,
    /// The browser, as it calls itself.
    pub agent: String,
    /// The visitor's session, which may still lack the second factor.
    pub session: Option<Session>,
    /// What the browser holds: the session's token, or a visitor's that signs nobody in.
    pub(super) token: SessionToken,
    /// The token by which the browser is known, if it has one.
    pub(super) device: Option<DeviceToken>,
    /// The form token that came with the form.
    pub(super) form_token: Option<FormToken>,
    pub(super) params: Vec<(String, String)>,
}

impl Visit {
    /// The store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.console.setting.store
    }

    /// Where a guess at a password or a code comes from, if this is one.
    #[must_use]
    pub const fn place(&self) -> Place {
        Place {
            address: self.client.address,
            device: self.device,
        }
    }

    /// The part of the path that the route calls so.
    ///
    /// # Errors
    /// [`PageError::NotFound`] where it has not the form of one.
    pub fn param<T: FromStr>(&self, name: &str) -> Result<T, PageError> {
        let found = self.params.iter().find(|(known, _)| known == name);
        let text = found.map(|(_, value)| value.as_str()).unwrap_or_default();
        text.parse().map_err(|_| PageError::NotFound)
    }

    /// Whether the organization's trial or subscription allows that something is changed.
    #[must_use]
    pub fn may_change(&self, seat: &Seat) -> bool {
        let billing = self.console.setting.billing.as_ref();
        billing.is_none_or(|billing| billing.access(&seat.plan, self.now).allows())
    }

    /// The key of the order that a form gives: the same for the same form, however often it is sent.
    #[must_use]
    pub fn order_key(&self) -> [u8; 16] {
        self.form_token.map_or([0; 16], |token| token.id())
    }

    /// Who asks, for the audit log.
    #[must_use]
    pub const fn origin(&self, user: UserId) -> Origin {
        Origin {
            actor: Actor::User(user),
            address: Some(self.client.address),
        }
    }

    /// A new token for the forms of a page.
    #[must_use]
    pub fn new_form_token(&self) -> String {
        FormToken::generate(&self.token, self.now).to_string()
    }

    /// The frame of a page for whoever it is.
    #[must_use]
    pub fn frame(&self, title: &str) -> Frame {
        let setting = &self.console.setting;
        Frame {
            sign_up_is_open: setting.sign_up == SignUp::Open,
            mail_goes_to_files: setting.mail_goes_to_files,
            ..Frame::new(title, self.new_form_token())
        }
    }

    /// The frame of a page for a user.
    #[must_use]
    pub fn frame_for(&self, who: &SignedIn, title: &str) -> Frame {
        self.frame(title).signed_in(who)
    }

    /// The frame of a page of an organization.
    #[must_use]
    pub fn frame_of(&self, seat: &Seat, title: &str, nav: Nav) -> Frame {
        self.frame_for(&seat.who, title).of(seat, nav)
    }

    /// The `Set-Cookie` that hands the browser this session.
    #[must_use]
    pub fn session_cookie(&self, token: &SessionToken) -> hyper::header::HeaderValue {
        cookie::set(cookie::Kind::Session, &self.client, token)
    }

    /// The session goes on under this token, and so do the forms of the page that is made. Gives the `Set-Cookie`
    /// that hands it to the browser.
    pub(super) fn go_on_with(&mut self, token: SessionToken) -> hyper::header::HeaderValue {
        let cookie = self.session_cookie(&token);
        self.token = token;
        cookie
    }
}
