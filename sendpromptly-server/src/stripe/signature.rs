//! Stripe's webhook signature: `Stripe-Signature: t=<Unix seconds>,v1=<hex>[,v1=<hex>…]`, HMAC-SHA256 over
//! `t.body` with the endpoint's whole secret as the key (<https://docs.stripe.com/webhooks#verify-manually>).

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// How far the signature's time may lie from ours, either side, in seconds.
pub const TOLERANCE: u64 = 300;

/// More signatures than any rotation makes; past it the header is refused.
const MAX_CANDIDATES: usize = 8;

/// Checks a webhook's header against its raw body: one of the signatures must be one of these secrets'. `now` in
/// Unix seconds. While an endpoint's secret rotates there are two; where there is none, nothing is believed.
///
/// # Errors
/// [`StripeSignatureError`].
pub fn verify(
    secrets: &[StripeSecret],
    header: &str,
    body: &[u8],
    now: u64,
) -> Result<(), StripeSignatureError> {
    StripeSignature::parse(header)?.verify(secrets, body, now)
}

/// A header that is formed as Stripe's is. It is told from others before there is a body.
#[derive(Debug)]
pub struct StripeSignature<'a> {
    time: &'a str,
    candidates: Vec<[u8; 32]>,
}

impl<'a> StripeSignature<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`StripeSignatureError::Malformed`].
    pub fn parse(header: &'a str) -> Result<Self, StripeSignatureError> {
        let (time, candidates) = parse(header).ok_or(StripeSignatureError::Malformed)?;
        Ok(Self { time, candidates })
    }

    /// Holds it against a raw body, as [`verify`] does.
    ///
    /// # Errors
    /// [`StripeSignatureError`].
    pub fn verify(
        &self,
        secrets: &[StripeSecret],
        body: &[u8],
        now: u64,
    ) -> Result<(), StripeSignatureError> {
        // Every candidate is compared with every secret's, each in constant time: how long this takes tells nothing.
        let mut fits = false;
        for secret in secrets {
            let signed = secret.mac(self.time, body);
            for candidate in &self.candidates {
                fits |= signed.clone().verify_slice(candidate).is_ok();
            }
        }
        if !fits {
            return Err(StripeSignatureError::Wrong);
        }
        let seconds: u64 = self.time.parse().unwrap_or(u64::MAX);
        if seconds.abs_diff(now) > TOLERANCE {
            return Err(StripeSignatureError::OutsideTolerance);
        }
        Ok(())
    }
}

/// A webhook endpoint's signing secret (`whsec_…`). It never prints.
#[derive(Clone)]
pub struct StripeSecret(Hmac<Sha256>);

/// Why a webhook is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StripeSignatureError {
    /// The header is not one `t=…` and one to eight `v1=…`, each of 64 hex digits.
    #[error("Stripe-Signature must be t=<Unix seconds>,v1=<64 hex digits>")]
    Malformed,
    /// It was signed too long ago, or the two clocks disagree.
    #[error("Stripe-Signature is more than {TOLERANCE} s from this server's clock")]
    OutsideTolerance,
    /// None of the signatures is one of the secrets' over this body.
    #[error("Stripe-Signature does not fit the body and this endpoint's secret")]
    Wrong,
}

impl StripeSecret {
    /// The key made of the whole secret, `whsec_` included.
    #[must_use]
    pub fn new(secret: &str) -> Self {
        match Hmac::new_from_slice(secret.as_bytes()) {
            Ok(mac) => Self(mac),
            Err(_) => unreachable!("HMAC takes a key of any length (RFC 2104, section 3)"),
        }
    }

    /// Makes the header as Stripe does, for the demo and for tests.
    #[must_use]
    pub fn sign(&self, body: &[u8], now: u64) -> String {
        let signature = self.mac(&now.to_string(), body).finalize().into_bytes();
        let digits: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("t={now},v1={digits}")
    }

    fn mac(&self, time: &str, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(time.as_bytes());
        mac.update(b".");
        mac.update(body);
        mac
    }
}

impl fmt::Debug for StripeSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StripeSecret(..)")
    }
}

/// The time's digits and the `v1` signatures. Other schemes (`v0=…` in test mode) are passed over.
fn parse(header: &str) -> Option<(&str, Vec<[u8; 32]>)> {
    let mut time = None;
    let mut candidates = Vec::new();
    for part in header.split(',') {
        match part.trim().split_once('=')? {
            ("t", _) if time.is_some() => return None,
            ("t", digits) => time = Some(digits),
            ("v1", _) if candidates.len() == MAX_CANDIDATES => return None,
            ("v1", digits) => candidates.push(from_hex(digits)?),
            _ => {}
        }
    }
    let is_number = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let time = time.filter(is_number)?;
    (!candidates.is_empty()).then_some((time, candidates))
}

/// Exactly 32 bytes: a shorter candidate must never be compared to a shorter part of the signature.
fn from_hex(digits: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let pairs = digits.as_bytes().as_chunks::<2>().0;
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16);
        *byte = u8::try_from(digit(0)? << 4 | digit(1)?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use StripeSignatureError::{Malformed, OutsideTolerance, Wrong};

    const NOW: u64 = 1_769_851_800;
    const BODY: &[u8] = b"{\"id\":\"evt_1\"}";

    fn verify(header: &str) -> Result<(), StripeSignatureError> {
        super::verify(&[StripeSecret::new("whsec_one")], header, BODY, NOW)
    }

    fn signed_by(secret: &str, at: u64) -> String {
        StripeSecret::new(secret).sign(BODY, at)
    }

    #[test]
    fn the_signature_is_the_documented_one() {
        // From Python: hmac.new(b"whsec_one", b'1769851800.{"id":"evt_1"}', "sha256").hexdigest()
        let expected = "bf1126d9f987d6aabcd15ba5c38bdae60ffe36467963a8943458154fa28eab5a";
        assert_eq!(signed_by("whsec_one", NOW), format!("t={NOW},v1={expected}"));
    }

    #[test]
    fn one_of_several_signatures_is_enough() {
        let right = signed_by("whsec_one", NOW);
        let (time, ours) = right.split_once(',').unwrap();
        let other = signed_by("whsec_two", NOW);
        let (_, theirs) = other.split_once(',').unwrap();
        for header in [
            right.clone(),
            format!("{time},{theirs},{ours}"),
            format!("{time},{ours},{theirs}"),
            format!("{ours},{time}"),
            format!("{time}, {ours}, v0=whatever, v2=abc"),
        ] {
            assert_eq!(verify(&header), Ok(()), "{header}");
        }
        assert_eq!(verify(&other), Err(Wrong));
    }

    #[test]
    fn any_of_several_secrets_may_have_signed() {
        let secrets = ["whsec_new", "whsec_old"].map(StripeSecret::new);
        for secret in ["whsec_new", "whsec_old"] {
            let header = signed_by(secret, NOW);
            assert_eq!(super::verify(&secrets, &header, BODY, NOW), Ok(()), "{secret}");
        }
        let other = signed_by("whsec_one", NOW);
        assert_eq!(super::verify(&secrets, &other, BODY, NOW), Err(Wrong));
    }

    #[test]
    fn without_a_secret_nothing_is_believed() {
        for secret in ["", "whsec_one"] {
            assert_eq!(super::verify(&[], &signed_by(secret, NOW), BODY, NOW), Err(Wrong));
        }
    }

    #[test]
    fn another_body_time_or_secret_is_wrong() {
        let secret = [StripeSecret::new("whsec_one")];
        let header = secret[0].sign(BODY, NOW);
        assert_eq!(
            super::verify(&secret, &header, b"{\"id\":\"evt_2\"}", NOW),
            Err(Wrong)
        );
        let later = header.replace(&NOW.to_string(), &(NOW + 1).to_string());
        assert_eq!(verify(&later), Err(Wrong));
        let shorter = [StripeSecret::new("whsec_")];
        assert_eq!(super::verify(&shorter, &header, BODY, NOW), Err(Wrong));
    }

    #[test]
    fn a_time_more_than_300_s_away_is_refused_on_either_side() {
        for (time, expected) in [
            (NOW - 300, Ok(())),
            (NOW + 300, Ok(())),
            (NOW - 301, Err(OutsideTolerance)),
            (NOW + 301, Err(OutsideTolerance)),
            (0, Err(OutsideTolerance)),
            (u64::MAX, Err(OutsideTolerance)),
        ] {
            assert_eq!(verify(&signed_by("whsec_one", time)), expected, "{time}");
        }
    }

    #[test]
    fn what_is_not_whole_is_malformed() {
        let right = signed_by("whsec_one", NOW);
        let (time, v1) = right.split_once(',').unwrap();
        for header in [
            String::new(),
            time.to_owned(),
            v1.to_owned(),
            format!("{time},v1="),
            format!("{time},v1=00"),
            format!("{time},{}", &v1[..v1.len() - 1]),
            format!("{time},{v1}0"),
            format!("{time},{v1}{}", &v1[3..]),
            format!("{time},v1={}", "g".repeat(64)),
            format!("{time},v1={}", "é".repeat(32)),
            format!("{time},{time},{v1}"),
            format!("t=,{v1}"),
            format!("t=+{NOW},{v1}"),
            format!("t=-1,{v1}"),
            format!("t= {NOW},{v1}"),
            format!("{time};{v1}"),
            format!("{time},{}", [v1; 9].join(",")),
        ] {
            assert_eq!(verify(&header), Err(Malformed), "{header}");
        }
    }

    #[test]
    fn a_time_of_many_digits_does_no_harm() {
        let header = signed_by("whsec_one", NOW);
        let header = header.replace(&NOW.to_string(), &"9".repeat(30));
        assert_eq!(verify(&header), Err(Wrong));
    }

    #[test]
    fn the_secret_does_not_print() {
        assert_eq!(
            format!("{:?}", StripeSecret::new("whsec_one")),
            "StripeSecret(..)"
        );
    }
}
