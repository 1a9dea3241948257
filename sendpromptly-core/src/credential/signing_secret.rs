//! Signing secrets.

use std::fmt;

use sendpromptly_verify::signature::SigningKey;

use super::{CredentialError, ENTROPY, SecretText};

const PREFIX: &str = "spsec_";
const RANDOM_DIGITS: usize = 37;

/// A signing secret: `spsec_` and 43 base62 characters, 37 of them random (220 bits). It signs the callbacks
/// of one project, so a store holds it encrypted, not hashed. It is shown once, when it is made.
#[derive(Clone)]
pub struct SigningSecret(SecretText);

impl SigningSecret {
    /// A new secret made of random bytes.
    #[must_use]
    pub fn generate(entropy: [u8; ENTROPY]) -> Self {
        Self(SecretText::generate(PREFIX, RANDOM_DIGITS, entropy))
    }

    /// Reads a secret and checks its form.
    ///
    /// # Errors
    /// [`CredentialError`], which never repeats the text.
    pub fn parse(text: &str) -> Result<Self, CredentialError> {
        SecretText::parse(PREFIX, RANDOM_DIGITS, text).map(Self)
    }

    /// The secret itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0.0
    }

    /// The key that signs with it.
    #[must_use]
    pub fn key(&self) -> SigningKey {
        SigningKey::new(self.expose().as_bytes())
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_reads_back_and_an_api_key_is_none() {
        let secret = SigningSecret::generate([9; ENTROPY]);
        assert_eq!(secret.expose().len(), 49);
        assert!(SigningSecret::parse(secret.expose()).is_ok());
        assert!(SigningSecret::parse(super::super::ApiKey::generate([9; ENTROPY]).expose()).is_err());
        assert_eq!(format!("{secret:?}"), "SigningSecret(..)");
    }
}
