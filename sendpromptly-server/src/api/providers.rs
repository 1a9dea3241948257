//! Events that providers send to us themselves: verified by the provider's own signature, and answered once they are
//! durable.
//!
//! Nothing of a body is looked at before its signature holds. Whether a project is not there, takes nothing from the
//! provider, or the signature is wrong, the answer is the same.

use std::net::IpAddr;

use hyper::body::{Body, Incoming};
use hyper::header::HeaderMap;
use hyper::{Request, StatusCode};
use sendpromptly_core::event::Provider;
use sendpromptly_core::id::{EventId, ProjectId};
use sendpromptly_core::intake::{Announcement, NotAnEvent, ShopifyHeaders};
use sendpromptly_core::request::FieldErrors;

use super::App;
use super::unverified::Target;
use crate::http::response::{self, Response};
use crate::http::{ApiError, subject};
use crate::platform::{clock, entropy};
use crate::provider_intake::signature::{self, ProviderSignature};
use crate::store::announcements::NewAnnouncement;

mod endpoints;

pub use endpoints::Providers;

/// The most bytes of an event: theirs are larger than receipts, for they bear whole orders and invoices.
const MAX: usize = 512 * 1_024;

impl App {
    /// Takes an event that a provider sends.
    pub(super) async fn announce(
        &self,
        provider: Provider,
        request: Request<Incoming>,
        client: IpAddr,
    ) -> Result<Response, ApiError> {
        let (head, body) = request.into_parts();
        let project = project_of(head.uri.path())?;
        let providers = &self.providers;
        let name = (project, provider);
        // Before all else, so that it says nothing of which endpoints there are.
        if body.size_hint().lower() > MAX as u64 {
            return Err(ApiError::EventTooLarge);
        }
        let signature = header(&head.headers, signature::header_of(provider));
        let signature = signature.and_then(|text| ProviderSignature::parse(provider, text));
        let signature = signature.ok_or(ApiError::NotBelieved)?;
        providers.find(name, client).await?;
        subject::is(project);
        let target = Target::Project(project, provider);
        let body = self
            .unverified
            .read(target, client, body, MAX)
            .await
            .map_err(too_large)?;
        // Again, for a body may take longer than a secret that was ended may count.
        let intake = providers.find(name, client).await?;
        let now = clock::now();
        if !signature.holds(&intake.live_keys(now), &body, now) {
            return Err(ApiError::NotBelieved);
        }
        providers.rate.count(project)?;
        let announcement = match provider {
            Provider::Stripe => Announcement::of_stripe(&body, &intake.mapping, now),
            Provider::Shopify => {
                Announcement::of_shopify(&body, shopify_headers(&head.headers), &intake.mapping, now)
            }
        };
        drop(body);
        let announcement = announcement.map_err(not_an_event)?;
        // Where receipts are refused, none will come. The provider need not send it again.
        let announcement = announcement.filter(|_| self.may_be_monitored(&intake.plan).is_ok());
        let watched = announcement.is_some();
        if let Some(announcement) = announcement {
            let new = NewAnnouncement {
                project,
                event: EventId::new(now, entropy::for_id()),
                announcement,
                timeout_at: now.plus_minutes(intake.timeout_minutes),
            };
            self.ingest.announce(new).await?;
        }
        let answer = format!(r#"{{"received":true,"watched":{watched}}}"#);
        Ok(response::json(StatusCode::OK, answer))
    }
}

/// The path of a project's endpoint for a provider.
#[must_use]
pub fn path(project: ProjectId, provider: Provider) -> String {
    format!("/v1/providers/{provider}/{project}")
}

/// The project that the path ends with.
fn project_of(path: &str) -> Result<ProjectId, ApiError> {
    let (_, part) = path.rsplit_once('/').ok_or(ApiError::NotFound)?;
    part.parse().map_err(|_| ApiError::NotFound)
}

/// The one value of a header.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

fn shopify_headers(headers: &HeaderMap) -> ShopifyHeaders<'_> {
    ShopifyHeaders {
        event_id: header(headers, "x-shopify-event-id"),
        topic: header(headers, "x-shopify-topic"),
        shop_domain: header(headers, "x-shopify-shop-domain"),
        triggered_at: header(headers, "x-shopify-triggered-at"),
    }
}

fn too_large(error: ApiError) -> ApiError {
    match error {
        ApiError::PayloadTooLarge => ApiError::EventTooLarge,
        error => error,
    }
}

fn not_an_event(error: NotAnEvent) -> ApiError {
    ApiError::Invalid(FieldErrors::one("body", error.to_string()))
}
