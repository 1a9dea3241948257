//! Pages: their frame, and the answers they travel in.

use askama::Template;
use hyper::StatusCode;
use hyper::header::{CONTENT_SECURITY_POLICY, HeaderValue, LOCATION};
use sendpromptly_core::access::Role;
use url::form_urlencoded;

use super::access::{Seat, SignedIn};
use super::when::When;
use super::{PageError, assets};
use crate::http::Response;
use crate::http::response;

/// What a page may load and do: its own style, script and pictures, and forms to this console.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The header of a request that a live page's script makes by itself.
pub const LIVE: &str = "x-live";

/// The parts of an organization's pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nav {
    /// The overview.
    Overview,
    /// Incidents.
    Incidents,
    /// Projects.
    Projects,
    /// Members and invitations.
    Members,
    /// The audit log.
    Audit,
    /// The organization's settings.
    Settings,
    /// The organization's plan.
    Billing,
}

/// A link of the navigation.
#[derive(Debug, Clone)]
pub struct NavLink {
    /// Where it leads.
    pub href: String,
    /// What it is called.
    pub label: &'static str,
    /// Whether it leads to this page.
    pub current: bool,
}

/// That the organization will be deleted, as its pages tell.
#[derive(Debug, Clone)]
pub struct Deletion {
    /// When.
    pub due: When,
    /// Where an owner can take the order back; nothing for the others.
    pub href: Option<String>,
}

/// What stands around every page.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The page's title.
    pub title: String,
    /// The token of the page's forms.
    pub form_token: String,
    /// The user's e-mail address.
    pub email: Option<String>,
    /// The organization's name.
    pub organization: Option<String>,
    /// The organization's pages.
    pub nav: Vec<NavLink>,
    /// When the organization will be deleted, where that is ordered.
    pub deletion: Option<Deletion>,
    /// What was done just now, in words.
    pub notice: Option<String>,
    /// Whether anyone may make an account and an organization.
    pub sign_up_is_open: bool,
    /// Whether mail is written to files in place of being sent.
    pub mail_goes_to_files: bool,
}

impl Frame {
    /// A frame for a visitor.
    #[must_use]
    pub fn new(title: &str, form_token: String) -> Self {
        Self {
            title: title.to_owned(),
            form_token,
            email: None,
            organization: None,
            nav: Vec::new(),
            deletion: None,
            notice: None,
            sign_up_is_open: false,
            mail_goes_to_files: false,
        }
    }

    /// The same for a user.
    #[must_use]
    pub fn signed_in(mut self, who: &SignedIn) -> Self {
        self.email = Some(who.email.clone());
        self
    }

    /// The same for a member of an organization.
    #[must_use]
    pub fn of(mut self, seat: &Seat, here: Nav) -> Self {
        self.nav = links(seat, here);
        self.organization = Some(seat.name.clone());
        self.deletion = seat.deletion_due_at.map(|due| Deletion {
            due: When::of(due),
            href: (seat.role == Role::Owner).then(|| seat.path("/delete")),
        });
        self
    }

    /// The same with a notice of what was done.
    #[must_use]
    pub fn telling(mut self, notice: Option<&str>) -> Self {
        self.notice = notice.map(str::to_owned);
        self
    }

    /// The address of the style sheet.
    #[must_use]
    pub fn css(&self) -> &'static str {
        assets::css()
    }

    /// The address of the script.
    #[must_use]
    pub fn js(&self) -> &'static str {
        assets::js()
    }
}

fn links(seat: &Seat, here: Nav) -> Vec<NavLink> {
    const PARTS: &[(Nav, Role, &str, &str)] = &[
        (Nav::Overview, Role::Viewer, "", "Overview"),
        (Nav::Incidents, Role::Viewer, "/incidents", "Incidents"),
        (Nav::Projects, Role::Viewer, "/projects", "Projects"),
        (Nav::Members, Role::Viewer, "/members", "Members"),
        (Nav::Audit, Role::Admin, "/audit", "Audit log"),
        (Nav::Settings, Role::Admin, "/settings", "Settings"),
        (Nav::Billing, Role::Owner, "/billing", "Billing"),
    ];
    let allowed = PARTS.iter().filter(|(_, least, ..)| seat.role >= *least);
    let links = allowed.map(|(part, _, path, label)| NavLink {
        href: seat.path(path),
        label,
        current: *part == here,
    });
    links.collect()
}

/// A page.
///
/// # Errors
/// [`PageError::Internal`] where the template fails.
pub fn page(template: &impl Template) -> Result<Response, PageError> {
    with_status(StatusCode::OK, template)
}

/// A page with another status than 200.
///
/// # Errors
/// [`PageError::Internal`] where the template fails.
pub fn with_status(status: StatusCode, template: &impl Template) -> Result<Response, PageError> {
    let html = template
        .render()
        .map_err(|error| PageError::Internal(error.to_string()))?;
    Ok(html_response(status, html))
}

/// A page of no more than its status, for when all else fails.
#[must_use]
pub fn bare(status: StatusCode) -> Response {
    html_response(status, status.to_string())
}

fn html_response(status: StatusCode, html: String) -> Response {
    let mut response = response::with_type(status, "text/html; charset=utf-8", html);
    let policy = HeaderValue::from_static(POLICY);
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    response
}

/// Sends the browser to another page of the console, which it gets by `GET`.
#[must_use]
pub fn see_other(path: &str) -> Response {
    let mut response = response::text(StatusCode::SEE_OTHER, "");
    let location = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(LOCATION, location);
    response
}

/// A path as a `then` holds it in a query.
#[must_use]
pub fn encoded(path: &str) -> String {
    form_urlencoded::byte_serialize(path.as_bytes()).collect()
}

/// Where a `then` may lead: a path of this console, never another site.
#[must_use]
pub fn local_path(text: &str) -> &str {
    let plain = text.starts_with('/')
        && !text.starts_with("//")
        && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if plain { text } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_to_go_on_to_is_of_this_console() {
        assert_eq!(local_path("/orgs?x=1"), "/orgs?x=1");
        for other in [
            "https://example.com",
            "//example.com",
            "/\\example.com",
            "",
            "javascript:alert(1)",
            "/a\nb",
            "/é",
        ] {
            assert_eq!(local_path(other), "/", "{other}");
        }
    }
}
