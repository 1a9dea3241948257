//! One-time codes by time (RFC 6238): HMAC-SHA-1, six digits, a new one every 30 seconds, as every
//! authenticator app takes them.
//!
//! A code of the step before or after the current one is taken too, for clocks differ. Which step a code
//! belongs to is told, and it counts only where that step is later than the last one taken: so no code counts
//! twice. The caller stores the step by compare-and-set.

use std::fmt::{self, Write as _};

use subtle::{ConditionallySelectable, ConstantTimeEq};
use totp_rs::{Algorithm, Builder, Secret, Totp};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::significant;
use crate::time::Timestamp;

/// Bytes of a secret: 160 bits, as RFC 4226 recommends.
pub const SECRET_BYTES: usize = 20;

const DIGITS: usize = 6;
const STEP_SECONDS: i64 = 30;
/// Who the account is with, as apps show it.
const ISSUER: &str = "SendPromptly";

/// Which of the 30-second steps since 1970 it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step(i64);

/// The secret that an authenticator app shares with us. It does not print, and is wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct TotpSecret([u8; SECRET_BYTES]);

/// Six digits that somebody typed.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct TotpCode([u8; DIGITS]);

impl Step {
    /// The step of this number.
    #[must_use]
    pub const fn from_number(number: i64) -> Self {
        Self(number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> i64 {
        self.0
    }

    /// The step at this time.
    #[must_use]
    pub const fn at(time: Timestamp) -> Self {
        Self(time.as_secs().div_euclid(STEP_SECONDS))
    }
}

impl TotpCode {
    /// Reads six digits; spaces and dashes between them do not count.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut digits = [0; DIGITS];
        let mut typed = significant(text)?;
        for digit in &mut digits {
            let character = typed.next().filter(char::is_ascii_digit)?;
            *digit = u8::try_from(character).ok()?;
        }
        typed.next().is_none().then_some(Self(digits))
    }
}

impl TotpSecret {
    /// A secret of these bytes, which must be random.
    #[must_use]
    pub const fn new(bytes: [u8; SECRET_BYTES]) -> Self {
        Self(bytes)
    }

    /// Reads back what [`as_bytes`](Self::as_bytes) gave.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Its bytes, to be sealed.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; SECRET_BYTES] {
        &self.0
    }

    /// The step that this code belongs to, where it is a code of about now and later than the last one taken.
    /// Each of the three steps is compared, in the same time whichever fits.
    #[must_use]
    pub fn accept(&self, code: &TotpCode, now: Timestamp, last: Option<Step>) -> Option<Step> {
        let current = Step::at(now).0;
        let totp = self.totp();
        let mut matched = i64::MIN;
        // Of two steps with the same digits the later one counts, or they could be sent again for it.
        for step in [current.saturating_sub(1), current, current.saturating_add(1)] {
            let fits = digits_of(&totp, Step(step)).ct_eq(&code.0);
            matched.conditional_assign(&step, fits);
        }
        let later = last.is_none_or(|last| matched > last.0);
        (matched != i64::MIN && later).then_some(Step(matched))
    }

    /// The secret in the letters that an app takes by hand (base32), in groups of four.
    #[must_use]
    pub fn grouped(&self) -> Zeroizing<String> {
        let letters = self.base32();
        let mut grouped = Zeroizing::new(String::with_capacity(letters.len() * 5 / 4));
        for (index, letter) in letters.chars().enumerate() {
            if index > 0 && index % 4 == 0 {
                grouped.push(' ');
            }
            grouped.push(letter);
        }
        grouped
    }

    /// The address that an app reads from a QR code. `account` is how the user is called there.
    #[must_use]
    pub fn uri(&self, account: &str) -> Zeroizing<String> {
        let mut uri = Zeroizing::new(String::with_capacity(256));
        uri.push_str("otpauth://totp/");
        uri.push_str(ISSUER);
        uri.push(':');
        push_encoded(&mut uri, account);
        let _ = write!(
            uri,
            "?secret={}&issuer={ISSUER}&algorithm=SHA1&digits={DIGITS}&period={STEP_SECONDS}",
            self.base32().as_str()
        );
        uri
    }

    fn base32(&self) -> Zeroizing<String> {
        Zeroizing::new(Secret::new_stack(self.0).to_base32())
    }

    fn totp(&self) -> Totp {
        let secret = Secret::new_stack(self.0);
        // The builder's own defaults for digits and step, which are those above, as the tests show.
        Builder::new()
            .with_algorithm(Algorithm::SHA1)
            .with_secret(secret)
            .build_noncompliant()
    }
}

fn digits_of(totp: &Totp, step: Step) -> [u8; DIGITS] {
    let seconds = step.0.saturating_mul(STEP_SECONDS);
    let text = Zeroizing::new(totp.generate(u64::try_from(seconds).unwrap_or(0)).to_string());
    text.as_bytes().try_into().unwrap_or([0; DIGITS])
}

/// As in an address: letters, digits and `-._~` stand for themselves.
fn push_encoded(uri: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
}

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpSecret(..)")
    }
}

impl fmt::Debug for TotpCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpCode(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The key of RFC 6238, appendix B.
    const SECRET: TotpSecret = TotpSecret(*b"12345678901234567890");

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn code_of(step: Step) -> TotpCode {
        TotpCode(digits_of(&SECRET.totp(), step))
    }

    fn accept(text: &str, seconds: i64, last: Option<Step>) -> Option<Step> {
        SECRET.accept(&TotpCode::parse(text).unwrap(), at(seconds), last)
    }

    #[test]
    fn the_codes_are_those_of_rfc_6238() {
        // Its codes have eight digits, of which six-digit ones are the end.
        for (seconds, code) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            let taken = accept(&code[2..], seconds, None);
            assert_eq!(taken, Some(Step(seconds / 30)), "{seconds}");
        }
    }

    #[test]
    fn a_code_of_the_step_before_and_after_is_taken_and_none_of_another() {
        let now = at(1_111_111_111);
        let current = Step::at(now).number();
        for drift in -5..=5 {
            let step = Step(current + drift);
            let expected = (-1..=1).contains(&drift).then_some(step);
            assert_eq!(SECRET.accept(&code_of(step), now, None), expected, "{drift}");
        }
    }

    #[test]
    fn a_code_counts_only_where_its_step_is_later_than_the_last() {
        let step = Step(59 / 30);
        assert_eq!(accept("287082", 59, Some(Step(step.0 - 1))), Some(step));
        assert_eq!(accept("287082", 59, Some(step)), None);
        assert_eq!(accept("287082", 59, Some(Step(step.0 + 1))), None);
    }

    #[test]
    fn of_two_steps_with_the_same_digits_the_later_one_is_taken() {
        // Found by trying: the first step whose digits come again two steps later.
        let twice = 153_567;
        assert_eq!(code_of(Step(twice)).0, code_of(Step(twice + 2)).0);
        let now = at((twice + 1) * 30);
        let taken = SECRET.accept(&code_of(Step(twice)), now, None);
        assert_eq!(taken, Some(Step(twice + 2)));
        assert_eq!(SECRET.accept(&code_of(Step(twice)), now, taken), None);
    }

    #[test]
    fn a_code_is_six_digits_however_they_are_grouped() {
        for text in ["287082", "287 082", " 28-70-82 ", "287\u{a0}082"] {
            assert!(accept(text, 59, None).is_some(), "{text}");
        }
        for text in ["28708", "2870820", "+28708", "28708a", "٢٨٧٠٨٢", ""] {
            assert!(TotpCode::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn an_app_reads_the_secret_from_an_address_or_from_letters() {
        assert_eq!(
            SECRET.uri("ada+x@exämple.com").as_str(),
            "otpauth://totp/SendPromptly:ada%2Bx%40ex%C3%A4mple.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=SendPromptly&algorithm=SHA1&digits=6&period=30"
        );
        assert_eq!(
            SECRET.grouped().as_str(),
            "GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ"
        );
    }

    #[test]
    fn what_is_secret_does_not_print() {
        let code = TotpCode::parse("287082").unwrap();
        assert_eq!(format!("{SECRET:?} {code:?}"), "TotpSecret(..) TotpCode(..)");
    }

    proptest! {
        /// Whatever is sent whenever: each step counts once, and only about its own time.
        #[test]
        fn no_code_is_accepted_twice(tries in prop::collection::vec((-90_i64..120, -3_i64..=3), 1..80)) {
            let mut now = at(1_800_000_000);
            let mut last = None;
            let mut taken: Vec<(Step, [u8; DIGITS])> = Vec::new();
            for (passed, drift) in tries {
                now = now.plus_millis(passed * 1_000); // a node's clock may even go back
                let code = code_of(Step(Step::at(now).0 + drift));
                let Some(step) = SECRET.accept(&code, now, last) else { continue };
                prop_assert!(taken.iter().all(|(earlier, _)| *earlier < step));
                prop_assert!(!taken.contains(&(step, code.0)));
                prop_assert!((Step::at(now).0 - step.0).abs() <= 1);
                taken.push((step, code.0));
                last = Some(step);
            }
        }

        #[test]
        fn digits_that_are_no_code_of_about_now_are_refused(digits in "[0-9]{6}", seconds in 0_i64..10_000_000_000) {
            let current = seconds / 30;
            let fits = |step| code_of(Step(step)).0 == digits.as_bytes();
            let expected = [current + 1, current, current - 1].into_iter().find(|step| fits(*step));
            prop_assert_eq!(accept(&digits, seconds, None), expected.map(Step));
        }
    }
}
