//! The signatures of providers: Stripe's, and Shopify's `X-Shopify-Hmac-Sha256`, which is HMAC-SHA256 over the raw body in
//! base64 (<https://shopify.dev/docs/apps/build/webhooks/verify-deliveries>).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sendpromptly_core::event::Provider;
use sendpromptly_core::time::Timestamp;
use sha2::Sha256;

use crate::stripe::signature::{StripeSecret, StripeSignature};

/// A secret, ready to check signatures. It never prints.
#[derive(Clone)]
pub enum ProviderKey {
    /// Of an endpoint at Stripe.
    Stripe(StripeSecret),
    /// Of an app at Shopify.
    Shopify(Hmac<Sha256>),
}

impl ProviderKey {
    /// The key made of the whole secret.
    #[must_use]
    pub fn new(provider: Provider, secret: &[u8]) -> Self {
        match provider {
            Provider::Stripe => Self::Stripe(StripeSecret::new(&String::from_utf8_lossy(secret))),
            Provider::Shopify => match Hmac::new_from_slice(secret) {
                Ok(mac) => Self::Shopify(mac),
                Err(_) => unreachable!("HMAC takes a key of any length (RFC 2104, section 3)"),
            },
        }
    }
}

impl std::fmt::Debug for ProviderKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProviderKey(..)")
    }
}

/// The header that bears a provider's signature.
#[must_use]
pub const fn header_of(provider: Provider) -> &'static str {
    match provider {
        Provider::Stripe => "stripe-signature",
        Provider::Shopify => "x-shopify-hmac-sha256",
    }
}

/// A signature that is formed as a provider's is. It is told from others before there is a body.
#[derive(Debug)]
pub enum ProviderSignature<'a> {
    /// Stripe's.
    Stripe(StripeSignature<'a>),
    /// Shopify's.
    Shopify(Vec<u8>),
}

impl<'a> ProviderSignature<'a> {
    /// Reads the header's value; `None` where it is none of this provider's.
    #[must_use]
    pub fn parse(provider: Provider, text: &'a str) -> Option<Self> {
        match provider {
            Provider::Stripe => StripeSignature::parse(text).ok().map(Self::Stripe),
            Provider::Shopify => STANDARD
                .decode(text)
                .ok()
                .filter(|mac| mac.len() == 32)
                .map(Self::Shopify),
        }
    }

    /// Whether it is one of these keys' over this body. Stripe's must be of these minutes; Shopify's bears no time.
    #[must_use]
    pub fn holds(&self, keys: &[&ProviderKey], body: &[u8], now: Timestamp) -> bool {
        // Every key is tried, each in constant time: how long this takes tells nothing.
        keys.iter()
            .fold(false, |found, key| found | self.is_of(key, body, now))
    }

    fn is_of(&self, key: &ProviderKey, body: &[u8], now: Timestamp) -> bool {
        match (self, key) {
            (Self::Stripe(signature), ProviderKey::Stripe(secret)) => {
                let now = u64::try_from(now.as_secs()).unwrap_or(0);
                signature.verify(std::slice::from_ref(secret), body, now).is_ok()
            }
            (Self::Shopify(signature), ProviderKey::Shopify(mac)) => mac_holds(mac, body, signature),
            _ => false,
        }
    }
}

fn mac_holds(mac: &Hmac<Sha256>, body: &[u8], signature: &[u8]) -> bool {
    mac.clone().chain_update(body).verify_slice(signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_769_851_800_123);
    const BODY: &[u8] = b"{\"id\":820982911946154508}";

    fn holds(keys: &[&ProviderKey], text: &str, body: &[u8], now: Timestamp) -> bool {
        let of = |provider| ProviderSignature::parse(provider, text);
        let read = [Provider::Stripe, Provider::Shopify].map(of);
        read.iter()
            .flatten()
            .any(|signature| signature.holds(keys, body, now))
    }

    #[test]
    fn shopifys_signature_is_the_documented_one_and_no_other_holds() {
        // From Python: base64.b64encode(hmac.new(b"hush-0123456789ab", BODY, "sha256").digest())
        let signed = "DFHOZmSPsYtCSTovHlw542WZXO4IWJMUOukp+6QlYPY=";
        let key = ProviderKey::new(Provider::Shopify, b"hush-0123456789ab");
        let other = ProviderKey::new(Provider::Shopify, b"hush-another-0123");
        assert!(holds(&[&key], signed, BODY, NOW));
        assert!(holds(&[&other, &key], signed, BODY, NOW));
        assert!(!holds(&[&other], signed, BODY, NOW));
        assert!(!holds(&[], signed, BODY, NOW));
        assert!(!holds(&[&key], signed, b"{\"id\":820982911946154509}", NOW));
        for wrong in [
            "",
            "=",
            "AAAA",
            &signed[..40],
            &format!("{signed}AAAA"),
            &format!(" {signed}"),
        ] {
            assert!(!holds(&[&key], wrong, BODY, NOW), "{wrong}");
        }
    }

    #[test]
    fn stripes_signature_holds_for_five_minutes() {
        let secret = StripeSecret::new("whsec_one");
        let key = ProviderKey::new(Provider::Stripe, b"whsec_one");
        let signed = secret.sign(BODY, 1_769_851_800);
        assert!(holds(&[&key], &signed, BODY, NOW));
        assert!(!holds(&[&key], &signed, BODY, NOW.plus_minutes(6)));
        assert!(!holds(&[&key], &signed, b"{}", NOW));
    }
}
