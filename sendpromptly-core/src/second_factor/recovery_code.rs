//! Recovery codes: what lets a user in once whose authenticator is lost.

use std::fmt;

use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::significant;
use crate::id::UserId;

/// How many a user gets at a time.
pub const RECOVERY_CODES: usize = 10;

/// How many random bytes one is made of: 80 bits, which nobody guesses.
pub const RECOVERY_ENTROPY: usize = 10;

/// 32 characters of which no two look alike; `i`, `l`, `o` are read as the digits they look like, and there is
/// no `u`, as in Crockford's base32.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LENGTH: usize = RECOVERY_ENTROPY * 8 / 5;

/// What is stored of a recovery code. The code is random, so a fast hash is enough.
pub type RecoveryHash = [u8; 32];

/// A recovery code: 16 characters. It does not print, and is wiped when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct RecoveryCode([u8; LENGTH]);

impl RecoveryCode {
    /// Makes one of random bytes.
    #[must_use]
    pub fn generate(entropy: [u8; RECOVERY_ENTROPY]) -> Self {
        let mut characters = [0; LENGTH];
        let groups = characters.chunks_exact_mut(8).zip(entropy.chunks_exact(5));
        for (characters, bytes) in groups {
            let mut bits = bytes
                .iter()
                .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
            for character in characters.iter_mut().rev() {
                *character = ALPHABET[(bits % 32) as usize];
                bits /= 32;
            }
        }
        Self(characters)
    }

    /// Reads what somebody typed: spaces, dashes and case do not count, and letters that look like digits are
    /// taken for them.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut characters = [0; LENGTH];
        let mut typed = significant(text)?;
        for character in &mut characters {
            *character = canonical(typed.next()?)?;
        }
        typed.next().is_none().then_some(Self(characters))
    }

    /// How it is shown: in groups of four, such as `8k2m-x7dp-0rtz-c4nv`.
    #[must_use]
    pub fn expose(&self) -> Zeroizing<String> {
        let mut shown = Zeroizing::new(String::with_capacity(LENGTH + LENGTH / 4));
        for (index, character) in self.0.iter().enumerate() {
            if index > 0 && index % 4 == 0 {
                shown.push('-');
            }
            shown.push(char::from(*character));
        }
        shown
    }

    /// What is stored of it for its user.
    #[must_use]
    pub fn hash(&self, user: UserId) -> RecoveryHash {
        Sha256::new()
            .chain_update(b"sendpromptly.recovery.v1\0")
            .chain_update(user.as_bytes())
            .chain_update(self.0)
            .finalize()
            .into()
    }
}

fn canonical(character: char) -> Option<u8> {
    let lower = u8::try_from(character.to_ascii_lowercase()).ok()?;
    let meant = match lower {
        b'o' => b'0',
        b'i' | b'l' => b'1',
        other => other,
    };
    ALPHABET.contains(&meant).then_some(meant)
}

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCode(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ADA: UserId = UserId::from_bytes([1; 16]);

    #[test]
    fn a_code_is_sixteen_characters_in_groups_of_four() {
        let shown = |entropy| RecoveryCode::generate(entropy).expose();
        assert_eq!(shown([0; 10]).as_str(), "0000-0000-0000-0000");
        assert_eq!(shown([0xff; 10]).as_str(), "zzzz-zzzz-zzzz-zzzz");
        assert_eq!(
            shown([0, 0, 0, 0, 1, 8, 0, 0, 0, 0]).as_str(),
            "0000-0001-1000-0000"
        );
    }

    #[test]
    fn letters_that_look_like_digits_are_taken_for_them() {
        let hash = |text| RecoveryCode::parse(text).map(|code| code.hash(ADA));
        let meant = hash("0011-1abc-defg-hjkm");
        assert!(meant.is_some());
        for typed in [
            "OOIL1ABCDEFGHJKM",
            "ooil 1abc defg hjkm",
            " 0o1l-iABC-defg-HJKM\n",
        ] {
            assert_eq!(hash(typed), meant, "{typed}");
        }
        for wrong in [
            "0011-1abc-defg-hjk",
            "0011-1abc-defg-hjkmn",
            "0011-1abc-defg-hjku",
            "0011_1abc_defg_hjkm",
        ] {
            assert_eq!(hash(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_same_code_of_two_users_is_stored_unlike() {
        let code = RecoveryCode::generate([7; 10]);
        assert_ne!(code.hash(ADA), code.hash(UserId::from_bytes([2; 16])));
        assert_eq!(format!("{code:?}"), "RecoveryCode(..)");
    }

    proptest! {
        #[test]
        fn a_code_reads_back_however_it_is_written(entropy: [u8; 10], upper: bool, dashes: bool) {
            let code = RecoveryCode::generate(entropy);
            let mut typed = code.expose().to_string();
            if upper { typed.make_ascii_uppercase(); }
            if !dashes { typed = typed.replace('-', " "); }
            prop_assert_eq!(RecoveryCode::parse(&typed).unwrap().0, code.0);
        }

        #[test]
        fn different_entropy_makes_different_codes(one: [u8; 10], other: [u8; 10]) {
            prop_assume!(one != other);
            prop_assert_ne!(RecoveryCode::generate(one).0, RecoveryCode::generate(other).0);
        }

        #[test]
        fn nothing_that_is_typed_panics(text: String) {
            let _ = super::super::Entered::parse(&text);
        }
    }
}
