//! The token in every form: it shows that the form was made for this browser, and that it was not sent before.
//!
//! It is an id that begins with its time, and a MAC of it under what the browser holds in its cookie. So
//! nothing is stored until a form is sent, and a page of another site cannot make one.

use std::fmt;
use std::time::Duration;

use sendpromptly_core::hex;
use sendpromptly_core::session::ABSOLUTE;
use sendpromptly_core::time::Timestamp;

use crate::account::mac::MacKey;
use crate::platform::entropy;

use crate::store::sessions::SessionToken;

/// The name of the field that holds it.
pub const FIELD: &str = "form";

/// So far may the clock of the node that made a token be ahead. One from further in the future is refused: it would
/// be good for longer than used tokens are remembered.
const AHEAD: Duration = Duration::from_secs(60);

const DOMAIN: &[u8] = b"sendpromptly.form.v1\0";

/// A form's token whose MAC held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormToken {
    id: [u8; 16],
    mac: [u8; 32],
}

impl FormToken {
    /// A new token for the holder of this cookie.
    #[must_use]
    pub fn generate(holder: &SessionToken, now: Timestamp) -> Self {
        let id = entropy::ordered_id(now);
        let mac = key(holder).sign(&id);
        Self { id, mac }
    }

    /// Reads a token; `None` where it is not this browser's, too old, or of the future.
    #[must_use]
    pub fn verify(text: &str, holder: &SessionToken, now: Timestamp) -> Option<Self> {
        let (id, digits) = text.split_at_checked(32)?;
        let (id, tag): ([u8; 16], [u8; 32]) = (hex::decode(id)?, hex::decode(digits)?);
        if !key(holder).verify(&id, &tag) {
            return None;
        }
        let token = Self { id, mac: tag };
        let made_at = token.made_at();
        (now.since(made_at) < ABSOLUTE && made_at.since(now) <= AHEAD).then_some(token)
    }

    /// What names it in the store.
    #[must_use]
    pub const fn id(&self) -> [u8; 16] {
        self.id
    }

    const fn made_at(&self) -> Timestamp {
        let [a, b, c, d, e, f, ..] = self.id;
        Timestamp::from_millis(i64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }
}

impl fmt::Display for FormToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", hex::encode(&self.id), hex::encode(&self.mac))
    }
}

fn key(holder: &SessionToken) -> MacKey {
    MacKey::new(holder.as_bytes(), DOMAIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    #[test]
    fn a_token_is_good_for_its_browser_and_its_time() {
        let (holder, other) = (SessionToken::generate(), SessionToken::generate());
        let text = FormToken::generate(&holder, NOW).to_string();
        assert!(FormToken::verify(&text, &holder, NOW).is_some());
        assert!(FormToken::verify(&text, &other, NOW).is_none());
        assert!(FormToken::verify(&text, &holder, NOW.plus(ABSOLUTE)).is_none());
    }

    #[test]
    fn a_token_of_the_future_is_refused_but_for_a_clock_a_little_ahead() {
        let holder = SessionToken::generate();
        let made = |at| FormToken::generate(&holder, at).to_string();
        let ahead = NOW.plus(AHEAD);
        assert!(FormToken::verify(&made(ahead), &holder, NOW).is_some());
        assert!(FormToken::verify(&made(ahead.plus_millis(1)), &holder, NOW).is_none());
    }

    #[test]
    fn a_changed_token_is_none() {
        let holder = SessionToken::generate();
        let text = FormToken::generate(&holder, NOW).to_string();
        for changed in [
            text.to_uppercase(),
            format!("{text}0"),
            text.replace('a', "b"),
            text[1..].to_owned(),
            String::new(),
            "é".repeat(48),
        ] {
            if changed != text {
                assert!(FormToken::verify(&changed, &holder, NOW).is_none(), "{changed}");
            }
        }
    }
}
