//! The one place that decides who may come in, by the table of [`routes`](super::routes).
//!
//! The order is: is the connection safe, is it no other site's, who is it, does the organization know them, have
//! they the second factor that it requires, may the role, is the organization's plan over, was enough shown lately, and is the form this browser's
//! and new. A stranger to an organization
//! learns nothing of it: whatever the path, the answer is that there is nothing.

use std::sync::Arc;

use hyper::Method;
use hyper::body::Incoming;
use hyper::header::{HeaderMap, SET_COOKIE};
use hyper::http::request::Parts;
use sendpromptly_core::access::{Role, Shown, StepUp};
use sendpromptly_core::billing::Plan;
use sendpromptly_core::id::{OrganizationId, RequestId, UserId};
use sendpromptly_core::time::Timestamp;

use super::form::Form;
use super::form_token::{self, FormToken};
use super::routes::{AfterEnd, Door, FormUse, Found, Route};
use super::step_up::{self, Verdict};
use super::{Console, PageError, Visit, error, origin, page};
use crate::http::{ApiError, Client, Response, body};
use crate::store::Store;
use crate::store::scope::OrganizationScope;
use crate::store::sessions::SessionId;

mod welcome;

use welcome::{look_again, welcome};

/// A user who has shown all that signing in takes.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// Who.
    pub user: UserId,
    /// The user's e-mail address.
    pub email: String,
    /// The session.
    pub session: SessionId,
    /// What the session has shown, and when.
    pub shown: Shown,
}

/// A member's place in an organization.
#[derive(Debug, Clone)]
pub struct Seat {
    /// Who.
    pub who: SignedIn,
    /// The organization, as queries take it.
    pub scope: OrganizationScope,
    /// The organization's name.
    pub name: String,
    /// What the member may do.
    pub role: Role,
    /// Whether the organization lets in only members with a second factor.
    pub requires_second_factor: bool,
    /// When the organization will be deleted, where an owner has ordered that.
    pub deletion_due_at: Option<Timestamp>,
    /// What the organization may do.
    pub plan: Plan,
}

impl Seat {
    /// The path of a page of the organization; `rest` is empty or begins with a slash.
    #[must_use]
    pub fn path(&self, rest: &str) -> String {
        format!("/orgs/{}{rest}", self.scope.id())
    }
}

/// Answers a request for a path of the table.
pub(super) async fn answer(
    console: &Arc<Console>,
    found: Found,
    head: &Parts,
    body: Incoming,
    client: Client,
    id: RequestId,
) -> Result<Response, ApiError> {
    let route = found.route;
    let mut cookies = Vec::new();
    let sends = *route.method != Method::GET;
    let answered = async {
        let welcomed = welcome(console, found, head, client, id, &mut cookies).await;
        let mut visit = welcomed.map_err(PageError::of_reading)?;
        if !sends {
            let entered = enter(route, visit, &head.headers).await;
            return entered.map_err(PageError::of_reading);
        }
        visit.form = read_form(&head.headers, body).await?;
        look_again(&mut visit).await.map_err(PageError::of_reading)?;
        enter(route, visit, &head.headers).await
    };
    let mut response = match answered.await {
        Ok(response) => response,
        Err(error) => error::page_of(&error, id),
    };
    for cookie in cookies {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Decides by the route, and lets its handler answer.
async fn enter(route: &'static Route, mut visit: Visit, headers: &HeaderMap) -> Result<Response, PageError> {
    let sends = *route.method != Method::GET;
    if sends && !origin::is_own(headers, &visit.client) {
        return Err(PageError::ForeignSite);
    }
    match route.door {
        Door::Anyone(handler) => {
            if sends {
                visit.console.rates.count_form(visit.client.address)?;
            }
            if route.form != FormUse::OfSession || visit.session.is_some() {
                take_form(route, &mut visit).await?;
            }
            finish(route, visit, handler).await
        }
        Door::SignedIn(step_up, handler) => {
            let Some(who) = signed_in(&visit) else {
                return Ok(to_sign_in(&visit, sends));
            };
            if let Some(asked) = shown_enough(route, &mut visit, &who, step_up).await? {
                return Ok(asked);
            }
            finish(route, visit, |visit| handler(visit, who)).await
        }
        Door::Member(least, step_up, handler) => {
            let Some(who) = signed_in(&visit) else {
                return Ok(to_sign_in(&visit, sends));
            };
            let seat = seat(&visit, who).await?;
            if seat.requires_second_factor && !seat.who.shown.has_second_factor {
                return Ok(page::see_other("/account/second-factor?required=1"));
            }
            if seat.role < least {
                return Err(PageError::Forbidden);
            }
            if sends && route.after_end == AfterEnd::Refused && !visit.may_change(&seat) {
                return Err(PageError::SubscriptionRequired);
            }
            if let Some(asked) = shown_enough(route, &mut visit, &seat.who, step_up).await? {
                return Ok(asked);
            }
            finish(route, visit, |visit| handler(visit, seat)).await
        }
    }
}

/// The user, where the session is complete.
fn signed_in(visit: &Visit) -> Option<SignedIn> {
    let session = visit.session.as_ref().filter(|session| session.complete)?;
    Some(SignedIn {
        user: session.user,
        email: session.email.clone(),
        session: session.id,
        shown: session.shown,
    })
}

async fn seat(visit: &Visit, who: SignedIn) -> Result<Seat, PageError> {
    let organization: OrganizationId = visit.param("org")?;
    let membership = visit.store().membership(who.user, organization).await?;
    let membership = membership.ok_or(PageError::NotFound)?;
    Ok(Seat {
        who,
        scope: membership.scope,
        name: membership.name,
        role: membership.role,
        requires_second_factor: membership.requires_second_factor,
        deletion_due_at: membership.deletion_due_at,
        plan: membership.plan,
    })
}

/// Gives the page that asks for what is missing, or takes the form that was sent.
async fn shown_enough(
    route: &Route,
    visit: &mut Visit,
    who: &SignedIn,
    step_up: StepUp,
) -> Result<Option<Response>, PageError> {
    check_form(route, visit)?;
    if let Some(missing) = step_up.missing(&who.shown, visit.now) {
        match step_up::ask(route, visit, who, missing).await? {
            Verdict::Enough => {}
            Verdict::Asked(page) => return Ok(Some(page)),
        }
    }
    take_form(route, visit).await?;
    Ok(None)
}

/// Whether the form was made for this browser.
fn check_form(route: &Route, visit: &mut Visit) -> Result<(), PageError> {
    if *route.method == Method::GET || visit.form_token.is_some() {
        return Ok(());
    }
    let token = FormToken::verify(visit.form.text(form_token::FIELD), &visit.token, visit.now);
    visit.form_token = Some(token.ok_or(PageError::Form)?);
    Ok(())
}

/// Takes a form once; one that may come again is told apart by its handler.
async fn take_form(route: &Route, visit: &mut Visit) -> Result<(), PageError> {
    check_form(route, visit)?;
    let Some(token) = visit.form_token.filter(|_| route.form.is_once()) else {
        return Ok(());
    };
    if visit.store().use_form(token.id()).await? {
        Ok(())
    } else {
        Err(PageError::SentAlready)
    }
}

/// Lets the handler answer. What failed on our side leaves the form good, so that it can be sent again; not where
/// it is unknown whether it failed, for a second time might do it twice. A handler that does not come to its end,
/// since its client hangs up or it panics, may have done it as well.
async fn finish<A>(
    route: &Route,
    visit: Visit,
    handler: impl FnOnce(Visit) -> A,
) -> Result<Response, PageError>
where
    A: Future<Output = Result<Response, PageError>>,
{
    let store = visit.store().clone();
    let taken = visit.form_token.filter(|_| route.form.is_once());
    end_of(&store, taken, handler(visit).await).await
}

/// The end of a handler that had taken this form.
async fn end_of(
    store: &Store,
    taken: Option<FormToken>,
    answered: Result<Response, PageError>,
) -> Result<Response, PageError> {
    let failed = answered
        .as_ref()
        .is_err_and(|error| error.status().is_server_error() && *error != PageError::OutcomeUnknown);
    if let Some(token) = taken.filter(|_| failed)
        && let Err(error) = store.release_form(token.id()).await
    {
        tracing::debug!(%error, "a form stays used though it failed");
    }
    answered
}

/// Leads to the sign-in, and from there back to the page that was asked for.
fn to_sign_in(visit: &Visit, sends: bool) -> Response {
    if visit.session.is_some() {
        return page::see_other("/sign-in/code");
    }
    if sends {
        let then = page::encoded(step_up::page_of(&visit.path));
        return page::see_other(&format!("/sign-in?done=not-done&then={then}"));
    }
    if visit.path == "/" {
        return page::see_other("/sign-in");
    }
    let then = page::encoded(&visit.target);
    page::see_other(&format!("/sign-in?then={then}"))
}

async fn read_form(headers: &HeaderMap, body: Incoming) -> Result<Form, PageError> {
    let content_type = headers.get(hyper::header::CONTENT_TYPE);
    let content_type = content_type
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media = content_type.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(PageError::Form);
    }
    let bytes = body::read(body).await?;
    Ok(Form::parse(&bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::clock;
    use crate::store::rows::Sql;
    use crate::store::sessions::SessionToken;
    use crate::testing::console::{Ask, House};

    async fn end(house: &House, token: FormToken, end: Result<Response, PageError>) -> bool {
        let store = &house.console.setting.store;
        assert!(store.use_form(token.id()).await.unwrap());
        let _ = end_of(store, Some(token), end).await;
        store.use_form(token.id()).await.unwrap()
    }

    /// The order to end all sessions.
    async fn end_sessions(house: &House) {
        house.world.write(Sql::new("DELETE FROM sessions")).await;
    }

    #[tokio::test]
    async fn a_session_that_ends_while_a_form_is_on_its_way_does_nothing_any_more() {
        let house = House::open().await;
        let ada = house.person("ada@example.com").await;
        let form = Ask::post("/orgs/new", &[("name", "Another")]).with_form_of(&ada);
        let answer = house.send_late(&ada, &form, end_sessions(&house)).await;
        assert!(answer.contains("/sign-in?done=not-done"), "{answer}");
        let others = Sql::new("SELECT count(*) AS n FROM organizations WHERE name = 'Another'");
        assert_eq!(house.world.number(others).await, 0);
    }

    #[tokio::test]
    async fn a_form_that_comes_after_the_session_is_told_to_be_not_done_and_leads_back() {
        let house = House::open().await;
        let ada = house.member("ada@example.com", Role::Operator).await;
        end_sessions(&house).await;
        let path = format!("/orgs/{}/incidents", house.world.organization);
        let answer = house.post(&ada, &format!("{path}/preview"), &[]).await;
        let then = page::encoded(&path);
        assert_eq!(answer.location(), format!("/sign-in?done=not-done&then={then}"));
        let page = house.get(&house.visitor(), answer.location()).await;
        assert!(page.body.contains("was not done"), "{}", page.body);
        assert!(
            page.body.contains(&format!(r#"name="then" value="{path}""#)),
            "{}",
            page.body
        );
        // Who signs out then is signed out.
        let answer = house.post(&ada, "/sign-out", &[]).await;
        assert_eq!(
            (answer.status.as_u16(), answer.location()),
            (303, "/sign-in?done=signed-out")
        );
    }

    #[tokio::test]
    async fn a_form_is_good_again_after_a_fault_unless_it_may_have_been_carried_out() {
        let house = House::open().await;
        let token = || FormToken::generate(&SessionToken::generate(), clock::now());
        assert!(end(&house, token(), Err(PageError::Unavailable)).await);
        assert!(!end(&house, token(), Err(PageError::OutcomeUnknown)).await);
        assert!(!end(&house, token(), Err(PageError::NotFound)).await);
        house.close().await;
    }
}
