//! Headers, raw body and the time in; a genuine callback out. See `docs/callbacks.md`.

use core::fmt;

use subtle::{Choice, ConstantTimeEq};

use crate::error::{CallbackHeader, SecretError, VerifyError};
use crate::headers::{Found, Headers, find};
use crate::nonce::Nonce;
use crate::signature::{
    ATTEMPT_HEADER, NONCE_HEADER, SCHEME, SIGNATURE_HEADER, Signature, SigningKey, TIMESTAMP_HEADER,
};

/// How far, in seconds, a callback's timestamp may lie from the receiver's clock, to either side.
pub const WINDOW: u32 = 300;
/// How many secrets a verifier takes: two while one rotates, for some projects that share an endpoint.
pub const MAX_SECRETS: usize = 8;
/// How many signatures, of any scheme, the header may hold.
pub const MAX_CANDIDATES: usize = 16;

const SECRET_PREFIX: &str = "spsec_";
const MIN_SECRET_DIGITS: usize = 32;
const MAX_TIMESTAMP_DIGITS: usize = 20;

/// Tells genuine callbacks from others.
///
/// It holds keys only, so it can be shared between threads, and it reads no clock.
#[derive(Debug, Clone)]
pub struct Verifier {
    keys: Box<[SigningKey]>,
    window: u32,
}

impl Verifier {
    /// A verifier that takes what was signed with any of these secrets: one, and two while it rotates.
    ///
    /// # Errors
    /// [`SecretError`] where there is none, more than [`MAX_SECRETS`], or one that can't be a signing secret.
    pub fn new<S: AsRef<str>>(secrets: impl IntoIterator<Item = S>) -> Result<Self, SecretError> {
        let mut keys = Vec::new();
        for secret in secrets {
            if keys.len() == MAX_SECRETS {
                return Err(SecretError::TooMany);
            }
            let secret = secret.as_ref();
            if !is_secret(secret) {
                return Err(SecretError::Malformed(keys.len() + 1));
            }
            keys.push(SigningKey::new(secret.as_bytes()));
        }
        if keys.is_empty() {
            return Err(SecretError::None);
        }
        Ok(Self {
            keys: keys.into(),
            window: WINDOW,
        })
    }

    /// Takes another window than [`WINDOW`], in seconds.
    ///
    /// A wider one lets a callback that was overheard be sent again for longer, and nonces are remembered
    /// longer; a narrower one refuses genuine callbacks when clocks differ.
    #[must_use]
    pub fn with_window(self, seconds: u32) -> Self {
        Self {
            window: seconds,
            ..self
        }
    }

    /// Verifies a callback. `now` is in Unix seconds, and the body the bytes as they came, parsed by nobody.
    ///
    /// Nothing is allocated, and all signatures are compared with all secrets, in constant time. What is
    /// verified may still come twice: see [`NonceMemory`](crate::NonceMemory) and [`replay`](crate::replay).
    ///
    /// # Errors
    /// [`VerifyError`], the first that holds of: a header is missing, a header is malformed, the time is
    /// outside the window, the signature is wrong.
    pub fn verify<'b, H: Headers + ?Sized>(
        &self,
        headers: &H,
        body: &'b [u8],
        now: i64,
    ) -> Result<Verified<'b>, VerifyError> {
        let [timestamp, nonce, signature, attempt] = find(
            headers,
            [TIMESTAMP_HEADER, NONCE_HEADER, SIGNATURE_HEADER, ATTEMPT_HEADER],
        );
        let timestamp = Field::present(CallbackHeader::Timestamp, timestamp)?;
        let nonce = Field::present(CallbackHeader::Nonce, nonce)?;
        let signature = Field::present(CallbackHeader::Signature, signature)?;

        let (digits, seconds) = timestamp.read(|digits| Some((digits, read_timestamp(digits)?)))?;
        let (nonce_digits, nonce) = nonce.read(|digits| Some((digits, Nonce::from_hex(digits)?)))?;
        let mut room = [Signature::ZERO; MAX_CANDIDATES];
        let candidates = signature.read(|header| read_candidates(header, &mut room))?;

        check_window(seconds, now, self.window)?;
        let holds = self.keys.iter().fold(Choice::from(0), |holds, key| {
            holds | any_matches(candidates, &key.sign_parts(digits, nonce_digits, body))
        });
        if !bool::from(holds) {
            return Err(VerifyError::WrongSignature);
        }
        Ok(Verified {
            timestamp: seconds,
            nonce,
            attempt: read_attempt(attempt),
            window: self.window,
            body,
        })
    }

    /// Verifies a callback by the system's clock.
    ///
    /// # Errors
    /// As [`Verifier::verify`].
    #[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
    pub fn verify_now<'b, H: Headers + ?Sized>(
        &self,
        headers: &H,
        body: &'b [u8],
    ) -> Result<Verified<'b>, VerifyError> {
        self.verify(headers, body, crate::unix_now())
    }
}

/// A callback that was signed with one of the secrets, in the window.
#[derive(Clone, Copy)]
pub struct Verified<'b> {
    timestamp: i64,
    nonce: Nonce,
    attempt: Option<u32>,
    window: u32,
    body: &'b [u8],
}

impl<'b> Verified<'b> {
    /// When it was signed, in Unix seconds.
    #[must_use]
    pub const fn timestamp(&self) -> i64 {
        self.timestamp
    }

    /// What is new for every attempt.
    #[must_use]
    pub const fn nonce(&self) -> Nonce {
        self.nonce
    }

    /// The attempt's number, from 1, where the header says it. It is not signed: good for a log line, and for
    /// no decision.
    #[must_use]
    pub const fn attempt(&self) -> Option<u32> {
        self.attempt
    }

    /// The body as it was signed.
    #[must_use]
    pub const fn body(&self) -> &'b [u8] {
        self.body
    }

    /// The last Unix second at which the nonce must still be remembered, seen now: twice the window on, for a
    /// callback signed a window ahead is good until then.
    #[must_use]
    pub const fn remember_until(&self, now: i64) -> i64 {
        now.saturating_add(2 * self.window as i64)
    }
}

impl fmt::Debug for Verified<'_> {
    /// Prints all but the body, which is nobody's log's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified")
            .field("timestamp", &self.timestamp)
            .field("nonce", &self.nonce)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

/// A header's value, with the name to complain about.
struct Field<'h> {
    header: CallbackHeader,
    value: Found<'h>,
}

impl<'h> Field<'h> {
    fn present(header: CallbackHeader, value: Found<'h>) -> Result<Self, VerifyError> {
        match value {
            Found::Nowhere => Err(VerifyError::MissingHeader(header)),
            value => Ok(Self { header, value }),
        }
    }

    #[inline]
    fn read<T>(self, read: impl FnOnce(&'h [u8]) -> Option<T>) -> Result<T, VerifyError> {
        let value = match self.value {
            Found::Once(value) => read(value),
            Found::Nowhere | Found::Repeated => None,
        };
        value.ok_or(VerifyError::MalformedHeader(self.header))
    }
}

/// Reads signatures joined by commas: `v1=` and 64 hex digits, or the digits alone. Other schemes are passed
/// over, for a later sender may add one; anything else makes the header malformed.
fn read_candidates<'r>(header: &[u8], room: &'r mut [Signature; MAX_CANDIDATES]) -> Option<&'r [Signature]> {
    let mut count = 0;
    for (index, part) in core::str::from_utf8(header).ok()?.split(',').enumerate() {
        if index == MAX_CANDIDATES {
            return None;
        }
        if let Some(signature) = read_candidate(part.trim_ascii())? {
            room[count] = signature;
            count += 1;
        }
    }
    Some(&room[..count])
}

/// Whether one of them is this signature; each is looked at.
fn any_matches(candidates: &[Signature], expected: &Signature) -> Choice {
    candidates.iter().fold(Choice::from(0), |holds, candidate| {
        holds | candidate.ct_eq(expected)
    })
}

/// A signature, nothing where its scheme is unknown, or `None` where it is malformed.
fn read_candidate(part: &str) -> Option<Option<Signature>> {
    if let Some(digits) = part.strip_prefix(SCHEME).and_then(|rest| rest.strip_prefix('=')) {
        return Signature::from_hex(digits.as_bytes()).map(Some);
    }
    match part.find('=') {
        None => Signature::from_hex(part.as_bytes()).map(Some),
        Some(0) => None,
        Some(_) => Some(None),
    }
}

/// Reads 1 to 20 digits; what is beyond an `i64` is its greatest value.
fn read_timestamp(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() || digits.len() > MAX_TIMESTAMP_DIGITS {
        return None;
    }
    digits.iter().try_fold(0_i64, |seconds, digit| {
        let digit = digit.is_ascii_digit().then(|| i64::from(digit - b'0'))?;
        Some(seconds.saturating_mul(10).saturating_add(digit))
    })
}

fn read_attempt(found: Found<'_>) -> Option<u32> {
    let Found::Once(digits) = found else { return None };
    let number = read_timestamp(digits)?;
    u32::try_from(number).ok().filter(|number| *number > 0)
}

fn check_window(timestamp: i64, now: i64, window: u32) -> Result<(), VerifyError> {
    let age = now.saturating_sub(timestamp);
    if age > i64::from(window) {
        Err(VerifyError::Stale)
    } else if age < -i64::from(window) {
        Err(VerifyError::FromFuture)
    } else {
        Ok(())
    }
}

fn is_secret(text: &str) -> bool {
    text.strip_prefix(SECRET_PREFIX).is_some_and(|digits| {
        digits.len() >= MIN_SECRET_DIGITS && digits.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}
