//! The second factor: one-time codes of an authenticator app, and recovery codes for when it is lost.

mod recovery_code;
mod totp;

pub use recovery_code::{RECOVERY_CODES, RECOVERY_ENTROPY, RecoveryCode, RecoveryHash};
pub use totp::{SECRET_BYTES, Step, TotpCode, TotpSecret};

/// What somebody typed where a code is asked for.
#[derive(Debug)]
pub enum Entered {
    /// A code of the authenticator app.
    Totp(TotpCode),
    /// A recovery code.
    Recovery(RecoveryCode),
}

impl Entered {
    /// Reads either kind, which differ in length. Spaces, dashes and case do not count.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match TotpCode::parse(text) {
            Some(code) => Some(Self::Totp(code)),
            None => RecoveryCode::parse(text).map(Self::Recovery),
        }
    }
}

/// How many characters are looked at: those of the longest code with a space after each, and some more.
const LONGEST: usize = 64;

/// The characters that count. `None` where there are far too many of them.
fn significant(text: &str) -> Option<impl Iterator<Item = char>> {
    let counts = |c: &char| !c.is_whitespace() && *c != '-';
    (text.len() <= LONGEST).then(|| text.chars().filter(counts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_is_told_apart_by_its_length() {
        assert!(matches!(Entered::parse(" 123 456 "), Some(Entered::Totp(_))));
        let typed = "ABCD-EFGH 2345-6789";
        assert!(matches!(Entered::parse(typed), Some(Entered::Recovery(_))));
        let long = "1".repeat(100);
        for neither in [
            "",
            "12345",
            "1234567",
            "abcdef",
            "１２３４５６",
            "abcd-efgh-2345-678",
            &long,
        ] {
            assert!(Entered::parse(neither).is_none(), "{neither}");
        }
    }
}
