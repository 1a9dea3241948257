//! An organization's plan: its trial and its subscription, and the way to Stripe's pages, where it pays.

use std::time::Duration;

use askama::Template;
use hyper::StatusCode;
use sendpromptly_core::audit::Action;
use sendpromptly_core::billing::{Access, Fact, Status};

use super::access::Seat;
use super::page::{self, Frame, Nav};
use super::when::When;
use super::{PageError, Visit};
use crate::http::Response;
use crate::store::billing::BillingRecord;
use crate::store::billing::checkouts::OpenCheckout;
use crate::stripe::Billing;
use crate::stripe::client::{Checkout, CheckoutEnd, CheckoutPage, StripeClient, StripeError};

/// What the page says of the plan.
struct Told {
    badge: &'static str,
    good: bool,
    words: &'static str,
    until: Option<When>,
    paid_until: Option<When>,
    may_subscribe: bool,
    may_manage: bool,
    /// Up to when the page on which it may be subscribed can be gone on with.
    open_until: Option<When>,
    /// How many subscriptions are alive, where that is more than one.
    too_many: Option<u32>,
    /// Stripe has led back from a payment of which it has not told yet.
    awaits: bool,
}

#[derive(Template)]
#[template(path = "billing.html")]
struct BillingPage {
    frame: Frame,
    path: String,
    /// `None` where this server runs without billing.
    told: Option<Told>,
    /// Why Stripe gave no page.
    refusal: Option<String>,
}

#[derive(Template)]
#[template(path = "billing_go.html")]
struct GoPage {
    frame: Frame,
    path: String,
    url: String,
}

/// `GET /orgs/{org}/billing`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn show(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    page::page(&billing_page(&visit, &seat, None).await?)
}

/// `POST /orgs/{org}/billing/checkout`: leads to the page on which the organization subscribes.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn check_out(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let (client, record) = asked(&visit, &seat).await?;
    if seat.deletion_due_at.is_some() {
        let why = "The organization is to be deleted, and a subscription would go on without it. Keep the organization first, under “Settings”.".to_owned();
        return refuse(&visit, &seat, StatusCode::CONFLICT, why).await;
    }
    if record.is_subscribed() {
        let why = "There is a subscription already. Change it under “Manage the subscription”.".to_owned();
        return refuse(&visit, &seat, StatusCode::CONFLICT, why).await;
    }
    let known = match known_checkout(&visit, &client, &record).await {
        Ok(known) => known,
        Err(error) => return not_told(&visit, &seat, error).await,
    };
    if let Known::Paid(fact) = &known
        && let Some(answer) = take_over(&visit, &seat, fact).await?
    {
        return Ok(answer);
    }
    let checkout = match known {
        Known::Open(open) => open,
        Known::Paid(_) | Known::Over => match new_checkout(&visit, &seat, &client, &record).await {
            Ok(new) => new,
            Err(error) => return no_page(&visit, &seat, error).await,
        },
    };
    let (before, origin) = (record.checkout.as_ref(), visit.origin(seat.who.user));
    let begun = visit
        .store()
        .begin_checkout(seat.scope, before, &checkout, &origin, visit.now);
    if !begun.await? {
        let why = "Somebody else has just begun to subscribe. Nothing was paid by you. Look again below."
            .to_owned();
        return refuse(&visit, &seat, StatusCode::CONFLICT, why).await;
    }
    lead_to(&visit, &seat, checkout.url)
}

/// What became of the checkout that was begun last.
enum Known {
    /// It can be gone on with, so that it is paid once.
    Open(OpenCheckout),
    /// It was paid, and Stripe's webhook has not told of it.
    Paid(Fact),
    /// There is none that can be paid.
    Over,
}

/// Stripe is asked, for it may have been paid though no webhook came. While its page cannot be paid twice, nobody has to
/// wait for an answer.
async fn known_checkout(
    visit: &Visit,
    client: &StripeClient,
    record: &BillingRecord,
) -> Result<Known, StripeError> {
    let Some(known) = &record.checkout else {
        return Ok(Known::Over);
    };
    let open = record
        .open_checkout(visit.now)
        .map(|open| Known::Open(open.clone()));
    let Some(session) = &known.session else {
        return Ok(open.unwrap_or(Known::Over));
    };
    match client.checkout(session, visit.now).await {
        Ok(CheckoutEnd::Open(page)) => Ok(Known::Open(noted(page, visit))),
        Ok(CheckoutEnd::Complete(fact)) => Ok(Known::Paid(fact)),
        Ok(CheckoutEnd::Expired | CheckoutEnd::Unknown) => Ok(Known::Over),
        Err(error) => open.ok_or(error),
    }
}

/// Hears of a subscription that was paid for as though a webhook had told of it. `None` where it has ended since, so that
/// another one may begin.
async fn take_over(visit: &Visit, seat: &Seat, fact: &Fact) -> Result<Option<Response>, PageError> {
    if fact.organization != Some(seat.scope.id()) {
        return not_told(visit, seat, StripeError::Unreadable).await.map(Some);
    }
    let heard = visit.store().hear_stripe(fact, visit.now).await?;
    tracing::warn!(organization = %seat.scope.id(), ?heard, "a checkout was paid of which no webhook of Stripe's told");
    let record = visit.store().billing(seat.scope).await?;
    let record = record.ok_or(PageError::NotFound)?;
    if record.is_subscribed() {
        return Ok(Some(page::see_other(&seat.path("/billing"))));
    }
    if record.plan.status != Some(Status::Incomplete) {
        return Ok(None);
    }
    let why = "A payment is under way at Stripe. Nothing else was begun. Look again in a while.".to_owned();
    refuse(visit, seat, StatusCode::CONFLICT, why).await.map(Some)
}

async fn new_checkout(
    visit: &Visit,
    seat: &Seat,
    client: &StripeClient,
    record: &BillingRecord,
) -> Result<OpenCheckout, StripeError> {
    let back = back(visit, seat);
    let order = Checkout {
        organization: seat.scope.id(),
        customer: record.customer.as_deref(),
        email: &seat.who.email,
        back: &back,
        paid: &format!("{back}?paid=1"),
        order_key: visit.order_key(),
    };
    Ok(noted(client.check_out(&order).await?, visit))
}

/// What is kept of a checkout's page.
fn noted(page: CheckoutPage, visit: &Visit) -> OpenCheckout {
    OpenCheckout {
        session: page.session,
        url: page.url.into(),
        expires_at: page.expires_at.unwrap_or(visit.now.plus(OPEN)),
    }
}

/// How long a checkout can be paid where Stripe does not say so.
const OPEN: Duration = Duration::from_secs(24 * 60 * 60);

/// `POST /orgs/{org}/billing/portal`: leads to the page on which the subscription is changed.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn manage(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let (client, record) = asked(&visit, &seat).await?;
    let Some(customer) = &record.customer else {
        let why = "There is no subscription yet.".to_owned();
        return refuse(&visit, &seat, StatusCode::CONFLICT, why).await;
    };
    let page = client.manage(customer, &back(&visit, &seat)).await;
    let url = match page {
        Ok(url) => url,
        Err(error) => return no_page(&visit, &seat, error).await,
    };
    let origin = visit.origin(seat.who.user);
    let told = visit
        .store()
        .note_billing(seat.scope, Action::BillingPortalOpened, &origin, visit.now);
    told.await?;
    lead_to(&visit, &seat, url.into())
}

/// Where nobody can be asked there is nothing at these paths.
async fn asked(visit: &Visit, seat: &Seat) -> Result<(StripeClient, BillingRecord), PageError> {
    let billing = visit.console.setting.billing.as_ref();
    let client = billing.and_then(|billing| billing.client.clone());
    let client = client.ok_or(PageError::NotFound)?;
    let record = visit.store().billing(seat.scope).await?;
    Ok((client, record.ok_or(PageError::NotFound)?))
}

/// The audit log has told of it before anybody is led on. A link leads there, for a form's answer may lead to this
/// console only.
fn lead_to(visit: &Visit, seat: &Seat, url: String) -> Result<Response, PageError> {
    page::page(&GoPage {
        frame: visit.frame_of(seat, "Billing", Nav::Billing),
        path: seat.path("/billing"),
        url,
    })
}

async fn no_page(visit: &Visit, seat: &Seat, error: StripeError) -> Result<Response, PageError> {
    tracing::warn!(organization = %seat.scope.id(), %error, "Stripe gave no page");
    let why = format!("{error}, and nothing was paid. Try again in a while.");
    refuse(visit, seat, StatusCode::BAD_GATEWAY, why).await
}

/// A checkout may have been paid, and nobody knows: another one might be paid beside it.
async fn not_told(visit: &Visit, seat: &Seat, error: StripeError) -> Result<Response, PageError> {
    tracing::warn!(organization = %seat.scope.id(), %error, "Stripe did not tell of a checkout");
    let why = format!(
        "{error}, and has to tell first whether the checkout that was begun last was paid. Nothing was begun and nothing is \
         lost. Try again in a while."
    );
    refuse(visit, seat, StatusCode::BAD_GATEWAY, why).await
}

async fn refuse(visit: &Visit, seat: &Seat, status: StatusCode, why: String) -> Result<Response, PageError> {
    page::with_status(status, &billing_page(visit, seat, Some(why)).await?)
}

async fn billing_page(visit: &Visit, seat: &Seat, refusal: Option<String>) -> Result<BillingPage, PageError> {
    let record = visit.store().billing(seat.scope).await?;
    let record = record.ok_or(PageError::NotFound)?;
    let billing = visit.console.setting.billing.as_ref();
    Ok(BillingPage {
        frame: visit.frame_of(seat, "Billing", Nav::Billing),
        path: seat.path("/billing"),
        told: billing.map(|billing| tell(billing, &record, visit)),
        refusal,
    })
}

fn tell(billing: &Billing, record: &BillingRecord, visit: &Visit) -> Told {
    let (badge, good, words, until) = match billing.access(&record.plan, visit.now) {
        Access::Trial(until) => ("Trial", true, "Everything can be tried until", Some(until)),
        Access::Subscribed => ("Subscribed", true, "Payments are monitored.", None),
        Access::Grace(until) => (
            "A payment is missing",
            false,
            "Payments are still monitored. Make up for what is missing before",
            Some(until),
        ),
        Access::Ended => (
            "Ended",
            false,
            "Receipts are refused and nothing can be changed. Everything can still be read and exported.",
            None,
        ),
    };
    let asks = billing.client.is_some();
    let may_subscribe = asks && !record.is_subscribed();
    let awaits = may_subscribe && visit.query.has("paid");
    Told {
        badge,
        good,
        words,
        until: until.map(When::of),
        paid_until: record
            .paid_until
            .filter(|_| record.plan.status == Some(Status::Active))
            .map(When::of),
        may_subscribe: may_subscribe && !awaits,
        may_manage: asks && record.customer.is_some(),
        open_until: record
            .open_checkout(visit.now)
            .map(|open| When::of(open.expires_at)),
        too_many: (record.alive > 1).then_some(record.alive),
        awaits,
    }
}

fn back(visit: &Visit, seat: &Seat) -> String {
    format!("{}{}", visit.console.setting.base_url, seat.path("/billing"))
}
