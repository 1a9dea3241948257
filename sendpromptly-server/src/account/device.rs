//! The token by which a browser is known again in which somebody has signed in.
//!
//! It opens nothing. It only spares its bearer the waits that strangers' guesses at the account cause.

use std::fmt;

use sendpromptly_core::hex;
use sha2::{Digest, Sha256};

use crate::store::known_devices::DeviceDigest;

/// 256 random bits. It does not print.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct DeviceToken([u8; 32]);

impl DeviceToken {
    /// A token of these random bytes.
    #[must_use]
    pub const fn new(entropy: [u8; 32]) -> Self {
        Self(entropy)
    }

    /// Reads a cookie's value.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        hex::decode(text).map(Self)
    }

    /// The cookie's value.
    #[must_use]
    pub fn reveal(&self) -> String {
        hex::encode(&self.0)
    }

    /// What is stored of it.
    #[must_use]
    pub fn digest(&self) -> DeviceDigest {
        let digest: [u8; 32] = Sha256::digest(self.0).into();
        std::array::from_fn(|index| digest[index])
    }
}

impl fmt::Debug for DeviceToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceToken(..)")
    }
}
