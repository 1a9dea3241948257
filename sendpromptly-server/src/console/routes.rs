//! The table of the console's paths: for each its method, who may come in, what must have been shown lately,
//! and what answers.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::LazyLock;

use hyper::Method;
use matchit::Router;
use sendpromptly_core::access::{Role, StepUp};

use super::access::{Seat, SignedIn};
use super::incident::actions;
use super::{
    PageError, Visit, account, alerts, assets, audit, billing, bulk, credentials, home, incident, incidents,
    intake, inviting, links, live, member, members, organization, organization_deletion, overview, project,
    project_settings, projects, reset, second_factor, security, sign_in, sign_in_code, sign_up, step_up,
};
use crate::http::{ApiError, Response};

/// An answer on its way.
pub type Answering = Pin<Box<dyn Future<Output = Result<Response, PageError>> + Send>>;

/// Who may come in, and the handler that then answers.
#[derive(Debug, Clone, Copy)]
pub enum Door {
    /// Anyone, signed in or not.
    Anyone(fn(Visit) -> Answering),
    /// A user who is signed in.
    SignedIn(StepUp, fn(Visit, SignedIn) -> Answering),
    /// A member of the organization that the path names as `{org}`, of this role or a higher one.
    Member(Role, StepUp, fn(Visit, Seat) -> Answering),
}

/// What becomes of a form's token when the form is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormUse {
    /// It is good once.
    Once,
    /// It is good once; where the session has ended nothing is asked of it, for then nothing is done.
    OfSession,
    /// It may come again; the handler takes it as the key of the order, so that it is one order.
    Repeatable,
}

impl FormUse {
    /// Whether a form that was sent is not taken again.
    #[must_use]
    pub const fn is_once(self) -> bool {
        match self {
            Self::Once | Self::OfSession => true,
            Self::Repeatable => false,
        }
    }
}

/// What becomes of a form once the organization's trial or subscription is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterEnd {
    /// It is refused.
    Refused,
    /// It is taken: it pays, exports, takes access away or deletes.
    Taken,
}

/// A path, its method, and what answers.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// The method; `GET` answers `HEAD` as well.
    pub method: &'static Method,
    /// The path; `{name}` stands for one part of it.
    pub path: &'static str,
    /// Who may come in, and what answers.
    pub door: Door,
    /// What becomes of the form's token; of no meaning to `GET`.
    pub form: FormUse,
    /// What becomes of the form once the plan is over; of no meaning to `GET`.
    pub after_end: AfterEnd,
}

/// A route that fits a request, and the parts of the path that it names.
#[derive(Debug, Clone)]
pub struct Found {
    /// The route.
    pub route: &'static Route,
    /// The named parts.
    pub params: Vec<(String, String)>,
}

const fn get(path: &'static str, door: Door) -> Route {
    Route {
        method: &Method::GET,
        path,
        door,
        form: FormUse::Once,
        after_end: AfterEnd::Refused,
    }
}

const fn post(path: &'static str, door: Door) -> Route {
    Route {
        method: &Method::POST,
        path,
        door,
        form: FormUse::Once,
        after_end: AfterEnd::Refused,
    }
}

const fn repeatable(path: &'static str, door: Door) -> Route {
    Route {
        form: FormUse::Repeatable,
        ..post(path, door)
    }
}

const fn of_session(path: &'static str, door: Door) -> Route {
    Route {
        form: FormUse::OfSession,
        ..post(path, door)
    }
}

/// A form that is taken whatever became of the plan.
const fn always(route: Route) -> Route {
    Route {
        after_end: AfterEnd::Taken,
        ..route
    }
}

/// Makes a door: `anyone(handler)`, `signed_in(step_up, handler)`, `member(role, step_up, handler)`.
macro_rules! door {
    (anyone($($handler:ident)::+)) => {
        Door::Anyone(|visit| Box::pin($($handler)::+(visit)))
    };
    (signed_in($step_up:ident, $($handler:ident)::+)) => {
        Door::SignedIn(StepUp::$step_up, |visit, who| Box::pin($($handler)::+(visit, who)))
    };
    (member($role:ident, $step_up:ident, $($handler:ident)::+)) => {
        Door::Member(Role::$role, StepUp::$step_up, |visit, seat| Box::pin($($handler)::+(visit, seat)))
    };
}

/// Where pages listen to what changes.
pub const LIVE: &str = "/orgs/{org}/live";

/// Every path of the console.
#[rustfmt::skip] // a table is read by its rows
pub static ROUTES: &[Route] = &[
    get("/", door!(anyone(home::start))),
    get("/assets/{file}", door!(anyone(assets::serve))),
    get("/sign-in", door!(anyone(sign_in::form))),
    post("/sign-in", door!(anyone(sign_in::sign_in))),
    of_session("/sign-out", door!(anyone(sign_in::sign_out))),
    get("/sign-up", door!(anyone(sign_up::form))),
    post("/sign-up", door!(anyone(sign_up::sign_up))),
    get("/sign-up/sent", door!(anyone(sign_up::sent))),
    get("/reset", door!(anyone(reset::form))),
    post("/reset", door!(anyone(reset::ask))),
    get("/reset/sent", door!(anyone(reset::sent))),
    get("/links/{token}", door!(anyone(links::show))),
    post("/links/{token}", door!(anyone(links::take))),
    get("/account", door!(signed_in(No, account::show))),
    get("/account/password", door!(signed_in(Code, account::password::form))),
    post("/account/password", door!(signed_in(Code, account::password::change))),
    get("/account/email", door!(signed_in(Code, account::email::form))),
    post("/account/email", door!(signed_in(Code, account::email::ask))),
    get("/account/delete", door!(signed_in(Password, account::deletion::confirm))),
    post("/account/delete", door!(signed_in(Password, account::deletion::delete))),
    get("/account/sessions", door!(signed_in(No, account::sessions::list))),
    post("/account/sessions/end-others", door!(signed_in(No, account::sessions::end_others))),
    post("/account/sessions/{session}/end", door!(signed_in(No, account::sessions::end))),
    get("/sign-in/code", door!(anyone(sign_in_code::form))),
    post("/sign-in/code", door!(anyone(sign_in_code::sign_in))),
    get("/step-up", door!(signed_in(No, step_up::form))),
    post("/step-up", door!(signed_in(No, step_up::show))),
    get("/account/security", door!(signed_in(No, security::account))),
    get("/account/second-factor", door!(signed_in(No, second_factor::overview))),
    post("/account/second-factor/begin", door!(signed_in(Password, second_factor::set_up::begin))),
    get("/account/second-factor/set-up", door!(signed_in(Password, second_factor::set_up::form))),
    post("/account/second-factor/set-up", door!(signed_in(Password, second_factor::set_up::confirm))),
    post("/account/second-factor/recovery-codes", door!(signed_in(Code, second_factor::make_codes))),
    post("/account/second-factor/turn-off", door!(signed_in(Code, second_factor::turn_off))),
    get("/orgs", door!(signed_in(No, home::organizations))),
    get("/orgs/new", door!(signed_in(No, organization::new))),
    post("/orgs/new", door!(signed_in(No, organization::create))),
    get("/orgs/{org}", door!(member(Viewer, No, overview::show))),
    post("/orgs/{org}/members/invite", door!(member(Admin, Code, inviting::invite))),
    post("/orgs/{org}/invitations/{invitation}/resend", door!(member(Admin, Code, inviting::resend))),
    always(post("/orgs/{org}/invitations/{invitation}/revoke", door!(member(Admin, Code, inviting::revoke)))),
    get("/orgs/{org}/incidents", door!(member(Viewer, No, incidents::list))),
    always(repeatable("/orgs/{org}/incidents/preview", door!(member(Operator, No, bulk::preview)))),
    repeatable("/orgs/{org}/incidents/reprocess", door!(member(Operator, No, bulk::reprocess))),
    get("/orgs/{org}/incidents/{incident}", door!(member(Viewer, No, incident::show))),
    repeatable("/orgs/{org}/incidents/{incident}/reprocess", door!(member(Operator, No, actions::reprocess))),
    post("/orgs/{org}/incidents/{incident}/dismiss", door!(member(Operator, No, actions::dismiss))),
    post("/orgs/{org}/incidents/{incident}/reopen", door!(member(Operator, No, actions::reopen))),
    post("/orgs/{org}/incidents/{incident}/notes", door!(member(Operator, No, actions::add_note))),
    always(post("/orgs/{org}/incidents/{incident}/snapshot", door!(member(Operator, Code, incident::payload::show)))),
    get("/orgs/{org}/audit", door!(member(Admin, No, audit::show))),
    always(repeatable("/orgs/{org}/audit/export", door!(member(Admin, No, audit::export::send)))),
    always(repeatable("/orgs/{org}/audit/check", door!(member(Admin, No, audit::check::run)))),
    get("/orgs/{org}/members", door!(member(Viewer, No, members::list))),
    get("/orgs/{org}/members/{user}", door!(member(Admin, No, member::show))),
    post("/orgs/{org}/members/{user}/role", door!(member(Admin, Code, member::change_role))),
    always(post("/orgs/{org}/members/{user}/remove", door!(member(Admin, Code, member::remove)))),
    get("/orgs/{org}/leave", door!(member(Viewer, No, member::confirm_leaving))),
    always(post("/orgs/{org}/leave", door!(member(Viewer, Code, member::leave)))),
    get("/orgs/{org}/settings", door!(member(Admin, No, organization::settings))),
    post("/orgs/{org}/settings", door!(member(Admin, No, organization::rename))),
    get("/orgs/{org}/settings/security", door!(member(Admin, No, security::organization))),
    always(post("/orgs/{org}/settings/security", door!(member(Admin, Code, security::require)))),
    get("/orgs/{org}/delete", door!(member(Owner, No, organization_deletion::confirm))),
    always(post("/orgs/{org}/delete", door!(member(Owner, Code, organization_deletion::order)))),
    always(post("/orgs/{org}/keep", door!(member(Owner, Code, organization_deletion::keep)))),
    get("/orgs/{org}/billing", door!(member(Owner, No, billing::show))),
    always(post("/orgs/{org}/billing/checkout", door!(member(Owner, Password, billing::check_out)))),
    always(post("/orgs/{org}/billing/portal", door!(member(Owner, Password, billing::manage)))),
    get(LIVE, door!(member(Viewer, No, live::listen))),
    get("/orgs/{org}/projects", door!(member(Viewer, No, projects::list))),
    post("/orgs/{org}/projects", door!(member(Admin, Code, projects::create))),
    get("/orgs/{org}/projects/new", door!(member(Admin, No, projects::new))),
    get("/orgs/{org}/projects/{project}", door!(member(Viewer, No, project::show))),
    post("/orgs/{org}/projects/{project}/test", door!(member(Operator, No, project::test))),
    get("/orgs/{org}/projects/{project}/settings", door!(member(Admin, No, project_settings::show))),
    post("/orgs/{org}/projects/{project}/settings", door!(member(Admin, No, project_settings::save))),
    post("/orgs/{org}/projects/{project}/retention", door!(member(Admin, Code, project_settings::save_retention))),
    post("/orgs/{org}/projects/{project}/repair-url", door!(member(Admin, Code, project_settings::save_url))),
    always(post("/orgs/{org}/projects/{project}/snapshots", door!(member(Admin, Code, project_settings::save_snapshots)))),
    get("/orgs/{org}/projects/{project}/alerts", door!(member(Operator, No, alerts::show))),
    post("/orgs/{org}/projects/{project}/alerts", door!(member(Admin, Code, alerts::add))),
    post("/orgs/{org}/projects/{project}/alerts/minutes", door!(member(Admin, No, alerts::save_minutes))),
    post("/orgs/{org}/projects/{project}/alerts/{alert}/test", door!(member(Operator, No, alerts::test))),
    always(post("/orgs/{org}/projects/{project}/alerts/{alert}/remove", door!(member(Admin, Code, alerts::remove)))),
    get("/orgs/{org}/projects/{project}/delete", door!(member(Admin, No, project_settings::confirm_deletion))),
    always(post("/orgs/{org}/projects/{project}/delete", door!(member(Admin, Code, project_settings::delete)))),
    post("/orgs/{org}/projects/{project}/keys", door!(member(Admin, Code, credentials::create_key))),
    get("/orgs/{org}/projects/{project}/keys/{key}/revoke", door!(member(Admin, No, credentials::confirm_revocation))),
    always(post("/orgs/{org}/projects/{project}/keys/{key}/revoke", door!(member(Admin, Code, credentials::revoke_key)))),
    get("/orgs/{org}/projects/{project}/intake", door!(member(Admin, No, intake::show))),
    always(post("/orgs/{org}/projects/{project}/intake/secret", door!(member(Admin, Code, intake::set_secret)))),
    post("/orgs/{org}/projects/{project}/intake/mapping", door!(member(Admin, No, intake::map))),
    always(post("/orgs/{org}/projects/{project}/intake/stop", door!(member(Admin, Code, intake::stop)))),
    get("/orgs/{org}/projects/{project}/secret", door!(member(Admin, No, credentials::choose_overlap))),
    always(post("/orgs/{org}/projects/{project}/secret", door!(member(Admin, Code, credentials::rotate_secret)))),
];

static BY_PATH: LazyLock<Router<Vec<&'static Route>>> = LazyLock::new(|| {
    let mut by_path: HashMap<&str, Vec<&Route>> = HashMap::new();
    for route in ROUTES {
        by_path.entry(route.path).or_default().push(route);
    }
    let mut router = Router::new();
    for (path, routes) in by_path {
        if let Err(error) = router.insert(path, routes) {
            tracing::error!(path, %error, "a path of the console cannot be reached");
        }
    }
    router
});

/// The route for a method and a path.
///
/// # Errors
/// [`ApiError::NotFound`], or [`ApiError::MethodNotAllowed`] where the path has other methods.
pub fn find(method: &Method, path: &str) -> Result<Found, ApiError> {
    let matched = BY_PATH.at(path).map_err(|_| ApiError::NotFound)?;
    let wanted = if method == Method::HEAD {
        &Method::GET
    } else {
        method
    };
    let Some(route) = matched.value.iter().find(|route| route.method == wanted) else {
        let methods = matched.value.iter().map(|route| match *route.method {
            Method::GET => "GET, HEAD",
            _ => "POST",
        });
        let mut methods: Vec<_> = methods.collect();
        methods.sort_unstable();
        return Err(ApiError::MethodNotAllowed(methods.join(", ")));
    };
    let params = matched.params.iter();
    let params = params.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Ok(Found {
        route,
        params: params.collect(),
    })
}

#[cfg(test)]
mod tests;
