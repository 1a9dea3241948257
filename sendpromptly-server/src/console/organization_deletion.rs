//! `/orgs/{org}/delete` and `/keep`: an owner orders the deletion of the organization, and takes the order back.

use askama::Template;
use hyper::StatusCode;

use super::access::Seat;
use super::page::{self, Frame, Nav};
use super::when::When;
use super::{PageError, Visit};
use crate::http::Response;
use crate::store::billing::BillingRecord;

#[derive(Template)]
#[template(path = "organization_delete.html")]
struct DeletePage {
    frame: Frame,
    path: String,
    name: String,
    /// When it will be deleted, where that is ordered already.
    due: Option<When>,
    wrong: bool,
    /// There is a subscription, which goes on without the organization.
    pays: bool,
    /// Up to when somebody can pay for one.
    begun_until: Option<When>,
    /// That has to end first, for its owner can end it.
    must_end: bool,
}

/// `GET /orgs/{org}/delete`: says what is lost and asks for the name; where that is ordered, offers to keep it.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn confirm(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let notice = visit.query.has("kept").then_some("The organization stays.");
    let mut page = delete_page(&visit, &seat, false).await?;
    page.frame = page.frame.telling(notice);
    page::page(&page)
}

/// `POST /orgs/{org}/delete`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn order(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    if visit.form.text("name").trim() != seat.name {
        let page = delete_page(&visit, &seat, true).await?;
        return page::with_status(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    let page = delete_page(&visit, &seat, false).await?;
    if page.must_end {
        return page::with_status(StatusCode::CONFLICT, &page);
    }
    let origin = visit.origin(seat.who.user);
    let ordered = visit.store().order_deletion(seat.scope, &origin, visit.now);
    ordered.await?.ok_or(PageError::NotFound)?;
    Ok(page::see_other(&seat.path("/delete")))
}

/// `POST /orgs/{org}/keep`. An organization whose deletion nobody has ordered is kept anyway.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn keep(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let origin = visit.origin(seat.who.user);
    visit
        .store()
        .keep_organization(seat.scope, &origin, visit.now)
        .await?;
    Ok(page::see_other(&seat.path("/delete?kept=1")))
}

async fn delete_page(visit: &Visit, seat: &Seat, wrong: bool) -> Result<DeletePage, PageError> {
    let billing = visit.console.setting.billing.as_ref();
    let record = visit.store().billing(seat.scope).await?;
    let record = record.filter(|_| billing.is_some());
    let pays = record.as_ref().is_some_and(BillingRecord::is_subscribed);
    let begun = record.as_ref().and_then(|record| record.open_checkout(visit.now));
    let can_end = billing.is_some_and(|billing| billing.client.is_some());
    Ok(DeletePage {
        frame: visit.frame_of(seat, "Delete the organization", Nav::Settings),
        path: seat.path(""),
        name: seat.name.clone(),
        due: seat.deletion_due_at.map(When::of),
        wrong,
        pays,
        begun_until: begun.map(|open| When::of(open.expires_at)),
        must_end: can_end && (pays || begun.is_some()),
    })
}
