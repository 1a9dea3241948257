//! What a provider's webhook says of an event.

use serde_json::Value;

use super::mapping::{Mapping, Rule, is_event_type};
use crate::event::{EffectType, Provider};
use crate::pairing::Resource;
use crate::request::is_shop_domain;
use crate::time::Timestamp;

/// The most characters of a provider's id, as in receipts.
const MAX_ID: usize = 255;

/// An event of which its provider has told, and which counts for the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// Whose event it is.
    pub provider: Provider,
    /// The provider's id of the event, the same on every delivery.
    pub provider_event_id: String,
    /// The provider's type of the event.
    pub event_type: String,
    /// The business effect that must follow.
    pub effect_type: EffectType,
    /// The app's own reference, where the event bears it.
    pub internal_reference: Option<String>,
    /// When it happened; never later than now.
    pub occurred_at: Timestamp,
    /// The shop, for Shopify.
    pub shop_domain: Option<String>,
    /// What it is about, for Shopify, where that names it.
    pub resource: Option<Resource>,
}

/// A webhook that was signed, and is not what the provider sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAnEvent {
    /// The body is no JSON object.
    #[error("must be one JSON object")]
    Json,
    /// There is no id, or it is none.
    #[error(
        "bears no event id of 1 to {MAX_ID} characters: Stripe's is the field id, Shopify's X-Shopify-Event-Id"
    )]
    Id,
    /// There is no event type, or it is none.
    #[error("bears no event type: Stripe's is the field type, Shopify's X-Shopify-Topic")]
    EventType,
    /// There is no shop, or it is none.
    #[error("bears no shop's host name in X-Shopify-Shop-Domain")]
    Shop,
}

/// What Shopify says of an event beside its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ShopifyHeaders<'a> {
    /// `X-Shopify-Event-Id`.
    pub event_id: Option<&'a str>,
    /// `X-Shopify-Topic`.
    pub topic: Option<&'a str>,
    /// `X-Shopify-Shop-Domain`.
    pub shop_domain: Option<&'a str>,
    /// `X-Shopify-Triggered-At`.
    pub triggered_at: Option<&'a str>,
}

impl Announcement {
    /// Reads an event of Stripe; `None` where its type does not count.
    ///
    /// # Errors
    /// [`NotAnEvent`].
    pub fn of_stripe(body: &[u8], mapping: &Mapping, now: Timestamp) -> Result<Option<Self>, NotAnEvent> {
        let event = object(body)?;
        let text = |name: &str| event.get(name).and_then(Value::as_str);
        let id = text("id").filter(|id| is_id(id)).ok_or(NotAnEvent::Id)?;
        let event_type = text("type")
            .filter(|text| is_event_type(text))
            .ok_or(NotAnEvent::EventType)?;
        let created = event.get("created").and_then(Value::as_i64);
        let created = created.and_then(|seconds| seconds.checked_mul(1_000));
        let happened = past(created.map(Timestamp::from_millis), now);
        let rule = mapping.rule(event_type).filter(|_| pays(event_type, &event));
        Ok(rule.map(|rule| Self::by(rule, Provider::Stripe, id, &event, happened)))
    }

    /// Reads an event of Shopify; `None` where its topic does not count.
    ///
    /// # Errors
    /// [`NotAnEvent`].
    pub fn of_shopify(
        body: &[u8],
        headers: ShopifyHeaders<'_>,
        mapping: &Mapping,
        now: Timestamp,
    ) -> Result<Option<Self>, NotAnEvent> {
        let event = object(body)?;
        let id = headers.event_id.filter(|id| is_id(id)).ok_or(NotAnEvent::Id)?;
        let topic = headers.topic.filter(|topic| is_event_type(topic));
        let topic = topic.ok_or(NotAnEvent::EventType)?;
        let shop = headers
            .shop_domain
            .filter(|shop| is_shop_domain(shop))
            .ok_or(NotAnEvent::Shop)?;
        let triggered = headers.triggered_at.and_then(|text| Timestamp::parse(text).ok());
        let happened = past(triggered, now);
        Ok(mapping.rule(topic).map(|rule| Self {
            shop_domain: Some(shop.to_owned()),
            resource: resource(shop, topic, &event),
            ..Self::by(rule, Provider::Shopify, id, &event, happened)
        }))
    }

    fn by(rule: &Rule, provider: Provider, id: &str, event: &Value, happened: Timestamp) -> Self {
        let reference = rule.reference.as_ref();
        Self {
            provider,
            provider_event_id: id.to_owned(),
            event_type: rule.event_type.clone(),
            effect_type: rule.effect_type,
            internal_reference: reference.and_then(|pointer| pointer.reference(event)),
            occurred_at: happened,
            shop_domain: None,
            resource: None,
        }
    }
}

/// What an event of Shopify is about: its body is the resource.
fn resource(shop: &str, topic: &str, body: &Value) -> Option<Resource> {
    let id = body.get("id").and_then(Value::as_u64)?;
    Resource::of(shop, topic, &id.to_string())
}

/// Whether an event of Stripe stands for a payment where its type may: a session that is paid later completes unpaid,
/// and one that only keeps a card takes none.
fn pays(event_type: &str, event: &Value) -> bool {
    let session = &event["data"]["object"];
    event_type != "checkout.session.completed"
        || (session["payment_status"] != "unpaid" && session["mode"] != "setup")
}

fn object(body: &[u8]) -> Result<Value, NotAnEvent> {
    let value: Value = serde_json::from_slice(body).map_err(|_| NotAnEvent::Json)?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(NotAnEvent::Json)
    }
}

fn is_id(text: &str) -> bool {
    !text.trim().is_empty() && !text.chars().any(char::is_control) && text.chars().count() <= MAX_ID
}

/// A time between the epoch and now; now where none is told. A provider's clock is no reason to refuse its event.
fn past(told: Option<Timestamp>, now: Timestamp) -> Timestamp {
    told.filter(|told| *told >= Timestamp::from_millis(0))
        .map_or(now, |told| told.min(now))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn stripe(event: &Value) -> Result<Option<Announcement>, NotAnEvent> {
        let mapping = Mapping::default_of(Provider::Stripe);
        Announcement::of_stripe(event.to_string().as_bytes(), &mapping, NOW)
    }

    const SHOPIFY: ShopifyHeaders<'static> = ShopifyHeaders {
        event_id: Some("98880550-7158-44d4-b7cd-2c97c8a091b5"),
        topic: Some("orders/paid"),
        shop_domain: Some("example.myshopify.com"),
        triggered_at: Some("2026-01-31T10:30:00.123456+01:00"),
    };

    fn shopify(body: &str, headers: ShopifyHeaders<'_>) -> Result<Option<Announcement>, NotAnEvent> {
        let mapping = Mapping::default_of(Provider::Shopify);
        Announcement::of_shopify(body.as_bytes(), headers, &mapping, NOW)
    }

    #[test]
    fn an_event_of_stripe_is_read_by_the_mapping() {
        let event = json!({
            "id": "evt_1", "object": "event", "type": "charge.refunded", "created": 1_700_000_000,
            "data": {"object": {"customer": "cus_1"}},
        });
        let read = stripe(&event).unwrap().unwrap();
        assert_eq!(read.provider_event_id, "evt_1");
        assert_eq!(read.effect_type, EffectType::AccessRevocation);
        assert_eq!(read.internal_reference.as_deref(), Some("cus_1"));
        assert_eq!(read.occurred_at, Timestamp::from_millis(1_700_000_000_000));
        let other = json!({"id": "evt_1", "type": "invoice.created"});
        assert_eq!(stripe(&other), Ok(None));
    }

    #[test]
    fn a_checkout_counts_once_it_is_paid() {
        let counts = |kind: &str, session: Value| {
            let event = json!({"id": "evt_1", "type": kind, "data": {"object": session}});
            stripe(&event).unwrap().is_some()
        };
        const COMPLETED: &str = "checkout.session.completed";
        for status in ["paid", "no_payment_required"] {
            assert!(counts(
                COMPLETED,
                json!({"mode": "payment", "payment_status": status})
            ));
        }
        assert!(counts(COMPLETED, json!({})));
        assert!(!counts(
            COMPLETED,
            json!({"mode": "payment", "payment_status": "unpaid"})
        ));
        let kept = json!({"mode": "setup", "payment_status": "no_payment_required"});
        assert!(!counts(COMPLETED, kept));
        let later = json!({"mode": "payment", "payment_status": "paid"});
        assert!(counts("checkout.session.async_payment_succeeded", later));
    }

    #[test]
    fn one_payment_is_not_two_events_by_default() {
        let first_invoice = json!({"id": "evt_1", "type": "invoice.paid"});
        assert_eq!(stripe(&first_invoice), Ok(None));
    }

    #[test]
    fn a_time_that_is_none_or_ahead_is_now() {
        for created in [
            json!(null),
            json!("soon"),
            json!(-1),
            json!(i64::MAX),
            json!(1_900_000_000),
            json!(0.5),
        ] {
            let event = json!({"id": "evt_1", "type": "charge.refunded", "created": created});
            assert_eq!(stripe(&event).unwrap().unwrap().occurred_at, NOW, "{created}");
        }
    }

    #[test]
    fn what_is_no_event_is_told() {
        let long = "x".repeat(256);
        for (event, error) in [
            (json!([]), NotAnEvent::Json),
            (json!({"type": "invoice.paid"}), NotAnEvent::Id),
            (json!({"id": 7, "type": "invoice.paid"}), NotAnEvent::Id),
            (json!({"id": " ", "type": "invoice.paid"}), NotAnEvent::Id),
            (json!({"id": long, "type": "invoice.paid"}), NotAnEvent::Id),
            (json!({"id": "evt_1"}), NotAnEvent::EventType),
            (json!({"id": "evt_1", "type": "a b"}), NotAnEvent::EventType),
        ] {
            assert_eq!(stripe(&event), Err(error), "{event}");
        }
        let nothing = ShopifyHeaders::default();
        assert_eq!(shopify("{", SHOPIFY), Err(NotAnEvent::Json));
        assert_eq!(shopify("{}", nothing), Err(NotAnEvent::Id));
        let topicless = ShopifyHeaders {
            topic: None,
            ..SHOPIFY
        };
        assert_eq!(shopify("{}", topicless), Err(NotAnEvent::EventType));
        let elsewhere = ShopifyHeaders {
            shop_domain: Some("10.0.0.1"),
            ..SHOPIFY
        };
        assert_eq!(shopify("{}", elsewhere), Err(NotAnEvent::Shop));
    }

    #[test]
    fn an_event_of_shopify_is_named_by_its_headers() {
        let read = shopify(r#"{"id": 820982911946154508}"#, SHOPIFY)
            .unwrap()
            .unwrap();
        assert_eq!(read.provider_event_id, SHOPIFY.event_id.unwrap());
        assert_eq!(read.event_type, "orders/paid");
        assert_eq!(read.internal_reference.as_deref(), Some("820982911946154508"));
        assert_eq!(read.shop_domain.as_deref(), Some("example.myshopify.com"));
        assert_eq!(read.occurred_at.to_string(), "2026-01-31T09:30:00.123Z");
        let resource = Resource::of("example.myshopify.com", "orders/paid", "820982911946154508");
        assert!(resource.is_some());
        assert_eq!(read.resource, resource);
        assert_eq!(shopify("{}", SHOPIFY).unwrap().unwrap().resource, None);
        let other = ShopifyHeaders {
            topic: Some("products/update"),
            ..SHOPIFY
        };
        assert_eq!(shopify("{}", other), Ok(None));
    }
}
