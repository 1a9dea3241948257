//! Stripe's webhook signature: `Stripe-Signature: t=<Unix seconds>,v1=<hex>[,v1=<hex>…]`, HMAC-SHA256 over
//! `t.body` with the endpoint's whole secret as the key (<https://docs.stripe.com/webhooks#verify-manually>).

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// How far the signature's time may lie from ours, either side, in seconds.
pub const TOLERANCE: u64 = 300;

/// More signatures than any rotation makes; past it the header is refused.
const MAX_CANDIDATES: usize = 8;

const SECRET_PREFIX: &str = "whsec_";

/// A webhook endpoint's signing secret (`whsec_…`). It never prints.
#[derive(Clone)]
pub struct StripeSecret(Hmac<Sha256>);

/// A text can't be a signing secret. HMAC takes an empty key too, and then anybody could sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signing secret of Stripe is {SECRET_PREFIX} and more after it")]
pub struct NotASecret;

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
    /// None of the signatures is this secret's over this body.
    #[error("Stripe-Signature does not fit the body and this endpoint's secret")]
    Wrong,
}

impl StripeSecret {
    /// The key made of the whole secret, `whsec_` included.
    ///
    /// # Errors
    /// [`NotASecret`] unless there is more after `whsec_`.
    pub fn new(secret: &str) -> Result<Self, NotASecret> {
        let rest = secret.strip_prefix(SECRET_PREFIX).ok_or(NotASecret)?;
        if rest.trim().is_empty() {
            return Err(NotASecret);
        }
        let mac = Hmac::new_from_slice(secret.as_bytes()).map_err(|_| NotASecret)?;
        Ok(Self(mac))
    }

    /// Checks a webhook's header against its raw body; `now` in Unix seconds.
    ///
    /// # Errors
    /// [`StripeSignatureError`].
    pub fn verify(&self, header: &str, body: &[u8], now: u64) -> Result<(), StripeSignatureError> {
        let (time, candidates) = parse(header).ok_or(StripeSignatureError::Malformed)?;
        // Every candidate is compared, each in constant time: how long this takes tells nothing.
        let signed = self.mac(time, body);
        let fits = candidates.iter().fold(false, |found, candidate| {
            found | signed.clone().verify_slice(candidate).is_ok()
        });
        if !fits {
            return Err(StripeSignatureError::Wrong);
        }
        let seconds: u64 = time.parse().unwrap_or(u64::MAX);
        if seconds.abs_diff(now) > TOLERANCE {
            return Err(StripeSignatureError::OutsideTolerance);
        }
        Ok(())
    }

    /// Makes the header as Stripe does: for tests, and to try the endpoint without Stripe.
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

    fn secret(text: &str) -> StripeSecret {
        StripeSecret::new(text).unwrap()
    }

    fn verify(header: &str) -> Result<(), StripeSignatureError> {
        secret("whsec_one").verify(header, BODY, NOW)
    }

    fn signed_by(text: &str, at: u64) -> String {
        secret(text).sign(BODY, at)
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
    fn another_body_time_or_secret_is_wrong() {
        let one = secret("whsec_one");
        let header = one.sign(BODY, NOW);
        assert_eq!(one.verify(&header, b"{\"id\":\"evt_2\"}", NOW), Err(Wrong));
        let later = header.replace(&NOW.to_string(), &(NOW + 1).to_string());
        assert_eq!(verify(&later), Err(Wrong));
        assert_eq!(secret("whsec_two").verify(&header, BODY, NOW), Err(Wrong));
    }

    #[test]
    fn what_anybody_could_sign_with_is_no_secret() {
        for text in [
            "",
            " ",
            "whsec_",
            "whsec_ ",
            "whsec",
            "sk_test_one",
            "one",
            " whsec_one",
        ] {
            assert_eq!(StripeSecret::new(text).err(), Some(NotASecret), "{text:?}");
        }
        assert!(StripeSecret::new("whsec_local").is_ok());
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
        assert_eq!(format!("{:?}", secret("whsec_one")), "StripeSecret(..)");
    }
}
