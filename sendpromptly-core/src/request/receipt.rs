//! A receipt: this payment event is verified, and its work durably accepted.

use std::fmt;

use super::fields::BodyError;
use super::object::{Object, TextRule};
use super::shop_domain::is_shop_domain;
use crate::event::{EffectType, Provider};
use crate::pairing::{Resource, is_resource_id};
use crate::time::{MINUTE_MS, Timestamp};

/// How far a sender's clock may be ahead of the server's.
const MAX_AHEAD_MS: i64 = 5 * MINUTE_MS;

/// The longest time that a project or a receipt may give its result, in minutes: 30 days.
pub const MAX_TIMEOUT_MINUTES: u32 = 43_200;

/// How deep a payload may be nested.
const MAX_PAYLOAD_DEPTH: usize = 128;

/// A receipt that keeps every rule which needs no store.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// Whose event it is.
    pub provider: Provider,
    /// The provider's id of the event.
    pub provider_event_id: String,
    /// The provider's type of the event.
    pub event_type: String,
    /// The business effect that must follow.
    pub effect_type: EffectType,
    /// The app's own reference, such as a customer id.
    pub internal_reference: String,
    /// When the event happened.
    pub occurred_at: Timestamp,
    /// The shop, for Shopify.
    pub shop_domain: Option<String>,
    /// What the event is about, for Shopify, where the app says so and that names it.
    pub resource: Option<Resource>,
    /// How long the result may take, in minutes; the project's time where it is left out.
    pub timeout_minutes: Option<u32>,
    /// The provider's payload, where the app sends it.
    pub payload: Option<Payload>,
}

/// A payload as it was sent. It may hold what must not reach a log, so it does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload(String);

impl Payload {
    /// The JSON text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.0.len())
    }
}

impl Receipt {
    /// Reads the body of a receipt.
    ///
    /// # Errors
    /// [`BodyError`], with every wrong field at once.
    pub fn parse(body: &[u8], now: Timestamp) -> Result<Self, BodyError> {
        let mut object = Object::parse(body)?;
        let provider = object.required("provider");
        let provider_event_id = provider_event_id(&mut object, provider);
        let event_type = event_type(&mut object);
        let effect_type = object.required("effect_type");
        let internal_reference = object.required_text("internal_reference", TextRule::line(255));
        let occurred_at = occurred_at(&mut object, now);
        let shop_domain = shop_domain(&mut object, provider);
        let resource_id = resource_id(&mut object, provider);
        let timeout_minutes = object.integer("timeout_minutes", 1, MAX_TIMEOUT_MINUTES);
        let payload = payload(&mut object);
        let receipt = || {
            Some(Self {
                provider: provider?,
                provider_event_id: provider_event_id?,
                resource: resource(
                    shop_domain.as_deref(),
                    event_type.as_deref(),
                    resource_id.as_deref(),
                ),
                event_type: event_type?,
                effect_type: effect_type?,
                internal_reference: internal_reference?,
                occurred_at: occurred_at?,
                shop_domain,
                timeout_minutes,
                payload,
            })
        };
        object.finish(receipt())
    }
}

/// `stripe_event_id` is another name of `provider_event_id`, for Stripe only.
fn provider_event_id(object: &mut Object<'_>, provider: Option<Provider>) -> Option<String> {
    const ID: TextRule = TextRule::line(255);
    let stripe_only = provider == Some(Provider::Stripe) && object.raw("stripe_event_id").is_some();
    if !stripe_only {
        return object.required_text("provider_event_id", ID);
    }
    let stripe_event_id = object.required_text("stripe_event_id", ID);
    if object.raw("provider_event_id").is_none() {
        return stripe_event_id;
    }
    let provider_event_id = object.required_text("provider_event_id", ID);
    if let (Some(one), Some(other)) = (&provider_event_id, &stripe_event_id)
        && one != other
    {
        object.wrong("stripe_event_id", "must be equal to provider_event_id");
    }
    provider_event_id
}

fn event_type(object: &mut Object<'_>) -> Option<String> {
    let text = object.required_text("event_type", TextRule::line(128))?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._/-".contains(&byte);
    if text.bytes().all(allowed) {
        return Some(text);
    }
    object.wrong(
        "event_type",
        "must be 1 to 128 of A-Z, a-z, 0-9, '.', '_', '/' and '-'",
    );
    None
}

fn occurred_at(object: &mut Object<'_>, now: Timestamp) -> Option<Timestamp> {
    let text = object.required_text("occurred_at", TextRule::line(64))?;
    match Timestamp::parse(&text) {
        Ok(time) if time <= now.plus_millis(MAX_AHEAD_MS) => return Some(time),
        Ok(_) => object.wrong(
            "occurred_at",
            "must not be more than 5 minutes ahead of the server's clock",
        ),
        Err(error) => object.wrong("occurred_at", error.to_string()),
    }
    None
}

fn shop_domain(object: &mut Object<'_>, provider: Option<Provider>) -> Option<String> {
    if provider != Some(Provider::Shopify) {
        return None;
    }
    let text = object.required_text("shopify_shop_domain", TextRule::line(253))?;
    if is_shop_domain(&text) {
        return Some(text);
    }
    object.wrong(
        "shopify_shop_domain",
        "must be a host name such as example.myshopify.com",
    );
    None
}

/// The digits of a whole number, as a text: not every program knows such large numbers.
fn resource_id(object: &mut Object<'_>, provider: Option<Provider>) -> Option<String> {
    const FIELD: &str = "shopify_resource_id";
    if provider != Some(Provider::Shopify) {
        return None;
    }
    let text = object.text(FIELD, TextRule::line(255))?;
    if is_resource_id(&text) {
        return Some(text);
    }
    object.wrong(FIELD, "must be the id of the resource: 1 to 20 digits");
    None
}

fn resource(shop: Option<&str>, topic: Option<&str>, id: Option<&str>) -> Option<Resource> {
    Resource::of(shop?, topic?, id?)
}

fn payload(object: &mut Object<'_>) -> Option<Payload> {
    let raw = object.raw("payload")?;
    if !raw.starts_with('{') {
        object.wrong("payload", "must be a JSON object");
        return None;
    }
    // A text nests no deeper than it has brackets that open, and these are counted much faster.
    if opening_brackets(raw) > MAX_PAYLOAD_DEPTH && depth(raw) > MAX_PAYLOAD_DEPTH {
        object.wrong(
            "payload",
            format!("must not be nested deeper than {MAX_PAYLOAD_DEPTH}"),
        );
        return None;
    }
    Some(Payload(raw.to_owned()))
}

/// How many brackets open in a text, those inside strings as well.
fn opening_brackets(text: &str) -> usize {
    let count = |few: &[u8]| few.iter().map(|byte| u8::from(b"{[".contains(byte))).sum::<u8>();
    text.as_bytes()
        .chunks(128)
        .map(|few| usize::from(count(few)))
        .sum()
}

/// How deep a JSON text is nested, without recursion.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

#[cfg(test)]
mod tests;
