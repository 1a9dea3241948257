//! The tokens of mailed links. A token holds what the link is for, the row that tells whether it was used, until
//! when it is good, and a MAC under a key that the database does not give: whoever reads the database cannot
//! make one.

use std::time::Duration;

use sendpromptly_core::hex;
use sendpromptly_core::time::Timestamp;
use zeroize::Zeroizing;

use super::mac::MacKey;
use crate::vault::Vault;

/// What a mailed link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkKind {
    /// Confirms the address of a sign-up.
    SignUp,
    /// Lets a user choose a new password.
    Reset,
    /// Lets somebody into an organization.
    Invitation,
    /// Confirms a user's new address.
    ChangeEmail,
}

impl LinkKind {
    const ALL: [Self; 4] = [Self::SignUp, Self::Reset, Self::Invitation, Self::ChangeEmail];

    /// How the store names it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignUp => "sign_up",
            Self::Reset => "reset",
            Self::Invitation => "invitation",
            Self::ChangeEmail => "change_email",
        }
    }

    /// How long such a link is good.
    #[must_use]
    pub const fn life(self) -> Duration {
        const HOUR: u64 = 60 * 60;
        Duration::from_secs(match self {
            Self::Reset => HOUR / 2,
            Self::SignUp | Self::ChangeEmail => 24 * HOUR,
            Self::Invitation => 7 * 24 * HOUR,
        })
    }

    const fn code(self) -> u8 {
        match self {
            Self::SignUp => 1,
            Self::Reset => 2,
            Self::Invitation => 3,
            Self::ChangeEmail => 4,
        }
    }
}

/// A link whose MAC held and whose time is not over. The store knows whether it was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// What it is for.
    pub kind: LinkKind,
    /// The row that tells whether it was used.
    pub id: [u8; 16],
    /// From when on it is no longer good.
    pub expires_at: Timestamp,
}

/// The key that signs links. It does not print.
#[derive(Debug, Clone)]
pub struct LinkKey(MacKey);

const DOMAIN: &[u8] = b"sendpromptly.link.v1\0";
/// Kind, id and time.
const BODY: usize = 1 + 16 + 8;

impl LinkKey {
    /// The instance's.
    #[must_use]
    pub fn of(vault: &Vault) -> Self {
        Self::new(&vault.instance_key("links"))
    }

    fn new(key: &[u8; 32]) -> Self {
        Self(MacKey::new(key, DOMAIN))
    }

    /// The token of a link.
    #[must_use]
    pub fn sign(&self, link: &Link) -> Zeroizing<String> {
        let body = link.body();
        let mac = self.0.sign(&body);
        Zeroizing::new(format!("{}{}", hex::encode(&body), hex::encode(&mac)))
    }

    /// Reads a token; `None` where it is none of ours, or too old.
    #[must_use]
    pub fn verify(&self, token: &str, now: Timestamp) -> Option<Link> {
        let (body, tag) = token.split_at_checked(2 * BODY)?;
        let (body, tag): ([u8; BODY], [u8; 32]) = (hex::decode(body)?, hex::decode(tag)?);
        if !self.0.verify(&body, &tag) {
            return None;
        }
        let link = Link::parse(&body)?;
        (now < link.expires_at).then_some(link)
    }
}

impl Link {
    fn body(&self) -> [u8; BODY] {
        let mut body = [0; BODY];
        body[0] = self.kind.code();
        body[1..17].copy_from_slice(&self.id);
        body[17..].copy_from_slice(&self.expires_at.as_millis().to_be_bytes());
        body
    }

    fn parse(body: &[u8; BODY]) -> Option<Self> {
        let (code, rest) = body.split_first()?;
        let (id, millis) = rest.split_first_chunk()?;
        Some(Self {
            kind: LinkKind::ALL.into_iter().find(|kind| kind.code() == *code)?,
            id: *id,
            expires_at: Timestamp::from_millis(i64::from_be_bytes(millis.try_into().ok()?)),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn key() -> LinkKey {
        LinkKey::new(&[7; 32])
    }

    fn link(kind: LinkKind) -> Link {
        Link {
            kind,
            id: [9; 16],
            expires_at: NOW.plus(kind.life()),
        }
    }

    #[test]
    fn a_link_is_good_until_its_time_is_over() {
        for kind in LinkKind::ALL {
            let (link, token) = (link(kind), key().sign(&link(kind)));
            assert_eq!(key().verify(&token, NOW), Some(link));
            assert_eq!(key().verify(&token, link.expires_at.plus_millis(-1)), Some(link));
            assert_eq!(key().verify(&token, link.expires_at), None);
        }
    }

    #[test]
    fn a_link_of_another_key_is_none() {
        let token = LinkKey::new(&[8; 32]).sign(&link(LinkKind::Reset));
        assert_eq!(key().verify(&token, NOW), None);
    }

    #[test]
    fn a_malformed_token_is_none() {
        let token = key().sign(&link(LinkKind::Reset)).to_string();
        for wrong in [
            String::new(),
            "x".to_owned(),
            token.to_uppercase(),
            format!("{token}00"),
            token[..token.len() - 2].to_owned(),
            token[..2 * BODY].to_owned(),
            "é".repeat(57),
        ] {
            assert_eq!(key().verify(&wrong, NOW), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_token_that_was_changed_anywhere_is_none(at in 0..2 * (BODY + 32), digit in 0..16_u32) {
            let token = key().sign(&link(LinkKind::Invitation)).to_string();
            let mut changed = token.clone();
            let digit = char::from_digit(digit, 16).unwrap();
            changed.replace_range(at..=at, &digit.to_string());
            prop_assume!(changed != token);
            prop_assert_eq!(key().verify(&changed, NOW), None);
        }
    }
}
