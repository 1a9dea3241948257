//! Whether organizations pay, and how.

use std::fmt;
use std::time::Duration;

use hyper::header::HeaderValue;
use sendpromptly_core::event::Mode;

use super::options::{self, ConfigOption};
use super::sources::{Reader, Source};
use super::value::{NotAllowed, duration};
use crate::callback::{AddressPolicy, RepairUrl};
use crate::stripe::signature::StripeSecret;

/// Whether organizations pay, and how. There is none where the operator has named no webhook secret: then everything
/// is allowed.
#[derive(Debug, Clone)]
pub struct BillingConfig {
    /// What Stripe's webhooks are signed with: one, or several while they rotate.
    pub webhook_secrets: Vec<StripeSecret>,
    /// How Stripe is asked for checkouts, where it may be.
    pub api: Option<StripeApi>,
    /// How long a missing payment may be made up for.
    pub grace: Duration,
}

/// How Stripe is asked.
#[derive(Debug, Clone)]
pub struct StripeApi {
    /// The account's key.
    pub key: StripeKey,
    /// What organizations subscribe to.
    pub price: String,
    /// Where checkout sessions are made.
    pub checkout: RepairUrl,
    /// Where sessions of the billing portal are made.
    pub portal: RepairUrl,
    /// What the address of all that is read begins with.
    origin: String,
    /// Where Stripe may stand: what the operator names may be a private address.
    pub policy: AddressPolicy,
}

/// A key to Stripe's API. It never prints.
#[derive(Clone)]
pub struct StripeKey(HeaderValue);

/// No rotation takes more.
const MAX_SECRETS: usize = 4;

impl BillingConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Option<Self>> {
        let secrets = read_secrets(reader);
        let key = kept_secret(reader, &options::STRIPE_API_KEY, StripeKey::parse);
        let price = reader.optional(&options::STRIPE_PRICE, word);
        let api_url = read_api_url(reader);
        let grace = reader.one(&options::BILLING_GRACE, grace);
        let (secrets, key, price) = (secrets?, key?, price?);
        let (api_url, grace) = (api_url?, grace?);
        let (alone, needs) = match (secrets.is_empty(), key, price) {
            (true, None, None) => return Some(None),
            (false, None, None) => {
                return Some(Some(Self {
                    webhook_secrets: secrets,
                    api: None,
                    grace,
                }));
            }
            (false, Some(key), Some(price)) => {
                let (paths, policy) = api_url;
                let api = StripeApi::new(key, price, paths, policy);
                return Some(Some(Self {
                    webhook_secrets: secrets,
                    api: Some(api),
                    grace,
                }));
            }
            (true, Some(_), _) => (&options::STRIPE_API_KEY, "--stripe-webhook-secret"),
            (true, None, Some(_)) => (&options::STRIPE_PRICE, "--stripe-webhook-secret"),
            (false, Some(_), None) => (&options::STRIPE_API_KEY, "--stripe-price"),
            (false, None, Some(_)) => (&options::STRIPE_PRICE, "--stripe-api-key"),
        };
        if let Some(source) = reader.source(alone) {
            reader.refuse(alone, source, format_args!("given together with {needs}"));
        }
        None
    }
}

/// On the command line a secret is refused even where it is well-formed: every user of the machine can read it.
fn refused_as_an_option(reader: &mut Reader<'_>, option: &ConfigOption) -> bool {
    let given = reader.source(option) == Some(Source::Option);
    if given {
        reader.refuse(option, Source::Option, option.allowed);
    }
    given
}

fn kept_secret<T>(
    reader: &mut Reader<'_>,
    option: &ConfigOption,
    parse: impl Fn(&str) -> Result<T, NotAllowed>,
) -> Option<Option<T>> {
    if refused_as_an_option(reader, option) {
        return None;
    }
    reader.optional(option, parse)
}

fn read_secrets(reader: &mut Reader<'_>) -> Option<Vec<StripeSecret>> {
    let option = &options::STRIPE_WEBHOOK_SECRET;
    if refused_as_an_option(reader, option) {
        return None;
    }
    let secrets = reader.many(option, |text| word(text).map(|text| StripeSecret::new(&text)))?;
    match reader.source(option) {
        Some(source) if secrets.len() > MAX_SECRETS => {
            reader.refuse(option, source, format_args!("at most {MAX_SECRETS} secrets"));
            None
        }
        _ => Some(secrets),
    }
}

/// Where things are at Stripe's API.
struct Paths {
    checkout: RepairUrl,
    portal: RepairUrl,
    origin: String,
}

fn read_api_url(reader: &mut Reader<'_>) -> Option<(Paths, AddressPolicy)> {
    let policy = AddressPolicy {
        allow_private: reader.source(&options::STRIPE_API_URL).is_some(),
        ..AddressPolicy::default()
    };
    let paths = reader.one(&options::STRIPE_API_URL, |text| paths(text, &policy))?;
    Some((paths, policy))
}

fn paths(base: &str, policy: &AddressPolicy) -> Result<Paths, NotAllowed> {
    let origin = RepairUrl::parse(base, policy).map_err(|_| NotAllowed)?.origin();
    if base.trim_end_matches('/') != origin {
        return Err(NotAllowed);
    }
    let at = |path| RepairUrl::parse(&format!("{origin}{path}"), policy).map_err(|_| NotAllowed);
    Ok(Paths {
        checkout: at("/v1/checkout/sessions")?,
        portal: at("/v1/billing_portal/sessions")?,
        origin,
    })
}

/// Visible ASCII characters, as all of Stripe's secrets and ids are.
fn word(text: &str) -> Result<String, NotAllowed> {
    let fits = (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then(|| text.to_owned()).ok_or(NotAllowed)
}

fn grace(text: &str) -> Result<Duration, NotAllowed> {
    let grace = duration(text)?;
    let longest = Duration::from_secs(60 * 24 * 60 * 60);
    (grace <= longest).then_some(grace).ok_or(NotAllowed)
}

impl StripeApi {
    fn new(key: StripeKey, price: String, paths: Paths, policy: AddressPolicy) -> Self {
        Self {
            key,
            price,
            checkout: paths.checkout,
            portal: paths.portal,
            origin: paths.origin,
            policy,
        }
    }

    /// Where the thing of this path is read.
    #[must_use]
    pub fn at(&self, path: &str) -> Option<RepairUrl> {
        RepairUrl::parse(&format!("{}{path}", self.origin), &self.policy).ok()
    }
}

impl StripeKey {
    fn parse(text: &str) -> Result<Self, NotAllowed> {
        let bearer = format!("Bearer {}", word(text)?);
        let mut value = HeaderValue::from_str(&bearer).map_err(|_| NotAllowed)?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    /// In which of Stripe's modes it is a key; in that of tests no money moves. `None` where its form does not tell.
    #[must_use]
    pub fn mode(&self) -> Option<Mode> {
        let key = self.0.as_bytes().strip_prefix(b"Bearer ").unwrap_or_default();
        let begins_with = |prefixes: [&[u8]; 2]| prefixes.iter().any(|prefix| key.starts_with(prefix));
        if begins_with([b"sk_test_", b"rk_test_"]) {
            return Some(Mode::Test);
        }
        begins_with([b"sk_live_", b"rk_live_"]).then_some(Mode::Live)
    }

    /// The header that bears it.
    #[must_use]
    pub fn bearer(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Debug for StripeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StripeKey(..)")
    }
}

#[cfg(test)]
impl StripeApi {
    /// A Stripe that stands at this address.
    pub(crate) fn for_tests(base: &str) -> Self {
        let policy = AddressPolicy {
            allow_private: true,
            ..AddressPolicy::default()
        };
        let paths = paths(base, &policy).unwrap();
        let key = StripeKey::parse("sk_test_1").unwrap();
        Self::new(key, "price_1".to_owned(), paths, policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_its_mode() {
        for (key, mode) in [
            ("sk_test_1", Some(Mode::Test)),
            ("rk_test_1", Some(Mode::Test)),
            ("sk_live_1", Some(Mode::Live)),
            ("rk_live_1", Some(Mode::Live)),
            ("sk_1", None),
            ("pk_live_1", None),
            ("a_sk_live_1", None),
        ] {
            assert_eq!(StripeKey::parse(key).unwrap().mode(), mode, "{key}");
        }
    }
}
