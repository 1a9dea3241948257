//! Envelope encryption: data keys seal rows, master keys wrap data keys. AES-256-GCM throughout (NIST SP
//! 800-38D), nonces random and given by the caller. The formats are told in `docs/data.md`.
//!
//! A ciphertext is bound to its place: to its purpose, to the scope that owns it and to its row. Swapped,
//! changed or moved elsewhere it does not open. Random nonces are safe for 2^30 seals under one data key by
//! each node; [`DataKey::MAX_SEALS`] is that bound.
//!
//! ```
//! use sendpromptly_core::envelope::{DataKey, MasterKey, Place, data_key_id};
//!
//! // In earnest, keys, ids and nonces are random bytes.
//! let master = MasterKey::new("mk-1".to_owned(), [1; 32]);
//! let key = DataKey::new([2; 16], [3; 32]);
//! let wrapped = master.wrap(&key, [4; 12]); // to store beside the key's id and "mk-1"
//!
//! let place = Place { purpose: "signing_secret", scope: &[5; 16], row: &[6; 16] };
//! let sealed = key.seal(place, b"spsec_...", [7; 12]);
//!
//! let key = master.unwrap(data_key_id(&sealed)?, &wrapped)?;
//! assert_eq!(key.open(place, &sealed)?.as_slice(), b"spsec_...");
//! assert!(key.open(Place { row: &[8; 16], ..place }, &sealed).is_err());
//! # Ok::<(), sendpromptly_core::envelope::OpenError>(())
//! ```

use std::fmt;

use aes_gcm::aead::{Aead, AeadInOut, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The first byte of a ciphertext.
const VERSION: u8 = 1;
/// Bytes of a nonce.
const NONCE: usize = 12;
/// Bytes of a tag.
const TAG: usize = 16;
/// Bytes before what is sealed: the version, the data key's id and the nonce.
const HEAD: usize = 1 + 16 + NONCE;

/// The ciphertext is not one of ours, not under this key, or not at this place. Nothing more is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ciphertext does not open: it was changed, moved, or sealed under another key")]
pub struct OpenError;

/// A key that wraps data keys. It lies outside the database.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct MasterKey {
    #[zeroize(skip)]
    kid: String,
    key: [u8; 32],
}

/// A key that seals rows. It lies in the database, wrapped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct DataKey {
    #[zeroize(skip)]
    id: [u8; 16],
    key: [u8; 32],
}

/// Where a sealed value belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// What it is for, such as `signing_secret`.
    pub purpose: &'a str,
    /// Who owns it: the bytes of a project's, user's or instance's id.
    pub scope: &'a [u8; 16],
    /// The row that holds it.
    pub row: &'a [u8; 16],
}

impl MasterKey {
    /// A master key by this name, made of random bytes.
    #[must_use]
    pub const fn new(kid: String, key: [u8; 32]) -> Self {
        Self { kid, key }
    }

    /// Its name, which stands beside every data key that it wraps.
    #[must_use]
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Wraps a data key: nonce, ciphertext and tag. The nonce is random, and never used under this key again.
    #[must_use]
    pub fn wrap(&self, key: &DataKey, nonce: [u8; NONCE]) -> Vec<u8> {
        encrypt(&self.key, nonce, &key.key, &self.wrap_aad(&key.id))
    }

    /// Unwraps the data key of this id.
    ///
    /// # Errors
    /// [`OpenError`] where it was wrapped by another master key or under another id.
    pub fn unwrap(&self, id: [u8; 16], wrapped: &[u8]) -> Result<DataKey, OpenError> {
        let plain = decrypt(&self.key, wrapped, &self.wrap_aad(&id))?;
        let key = plain.as_slice().try_into().map_err(|_| OpenError)?;
        Ok(DataKey { id, key })
    }

    fn wrap_aad(&self, id: &[u8; 16]) -> Vec<u8> {
        prefixed(&[b"sendpromptly.wrap.v1", id, self.kid.as_bytes()])
    }
}

impl DataKey {
    /// How many values one node may seal under one data key before it takes a new one.
    pub const MAX_SEALS: u64 = 1 << 30;

    /// A data key made of random bytes.
    #[must_use]
    pub const fn new(id: [u8; 16], key: [u8; 32]) -> Self {
        Self { id, key }
    }

    /// Its id, which stands in every ciphertext under it.
    #[must_use]
    pub const fn id(&self) -> &[u8; 16] {
        &self.id
    }

    /// A key for another use than sealing, told apart by these words: whoever has it learns nothing of this key.
    #[must_use]
    pub fn derive(&self, words: &str) -> Zeroizing<[u8; 32]> {
        let parts = Zeroizing::new(prefixed(&[
            b"sendpromptly.derive.v1",
            words.as_bytes(),
            &self.key,
        ]));
        Zeroizing::new(Sha256::digest(&parts).into())
    }

    /// Seals a value for its place: version, data key's id, nonce, ciphertext and tag. The nonce is random, and never used
    /// under this key again.
    #[must_use]
    pub fn seal(&self, place: Place<'_>, plain: &[u8], nonce: [u8; NONCE]) -> Vec<u8> {
        self.seal_written(place, nonce, plain.len(), |room| {
            room.copy_from_slice(plain);
            plain.len()
        })
    }

    /// Seals what `write` writes at the beginning of a room of so many bytes, where it stands. `write` says how many bytes it
    /// wrote; where it leaves nothing behind those, no copy of them is left.
    ///
    /// # Panics
    /// Where `write` says that it wrote more than there was room for.
    ///
    /// ```
    /// use sendpromptly_core::envelope::{DataKey, Place};
    ///
    /// let key = DataKey::new([2; 16], [3; 32]);
    /// let place = Place { purpose: "snapshot", scope: &[5; 16], row: &[6; 16] };
    /// let sealed = key.seal_written(place, [7; 12], 8, |room| {
    ///     room[..2].copy_from_slice(b"{}");
    ///     2
    /// });
    /// assert_eq!(key.open(place, &sealed)?.as_slice(), b"{}");
    /// # Ok::<(), sendpromptly_core::envelope::OpenError>(())
    /// ```
    #[must_use]
    pub fn seal_written(
        &self,
        place: Place<'_>,
        nonce: [u8; NONCE],
        room: usize,
        write: impl FnOnce(&mut [u8]) -> usize,
    ) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(HEAD + room + TAG);
        sealed.push(VERSION);
        sealed.extend_from_slice(&self.id);
        sealed.extend_from_slice(&nonce);
        sealed.resize(HEAD + room, 0);
        let written = write(&mut sealed[HEAD..]);
        assert!(written <= room, "{written} bytes written to a room of {room}");
        sealed.truncate(HEAD + written);
        let cipher = Aes256Gcm::new((&self.key).into());
        let text = sealed[HEAD..].as_mut().into();
        let Ok(tag) = cipher.encrypt_inout_detached(&Nonce::from(nonce), &place.aad(), text) else {
            unreachable!("AES-GCM encrypts anything below 64 GiB")
        };
        sealed.extend_from_slice(&tag);
        sealed
    }

    /// Opens a value at its place.
    ///
    /// # Errors
    /// [`OpenError`] where it was changed or moved, or is sealed under another key.
    pub fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        if data_key_id(sealed)? != self.id {
            return Err(OpenError);
        }
        decrypt(&self.key, &sealed[17..], &place.aad())
    }
}

impl Place<'_> {
    fn aad(&self) -> Vec<u8> {
        prefixed(&[
            b"sendpromptly.seal.v1",
            self.purpose.as_bytes(),
            self.scope,
            self.row,
        ])
    }
}

/// The id of the data key under which a value is sealed.
///
/// # Errors
/// [`OpenError`] where it is no ciphertext of a known version.
pub fn data_key_id(sealed: &[u8]) -> Result<[u8; 16], OpenError> {
    match sealed {
        [VERSION, rest @ ..] => rest.first_chunk().copied().ok_or(OpenError),
        _ => Err(OpenError),
    }
}

/// Each part after its length, four bytes big-endian, so that no two lists of parts make the same bytes.
fn prefixed(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parts.iter().map(|part| part.len() + 4).sum());
    for part in parts {
        bytes.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

fn encrypt(key: &[u8; 32], nonce: [u8; NONCE], plain: &[u8], aad: &[u8]) -> Vec<u8> {
    let cipher = Aes256Gcm::new(key.into());
    let Ok(sealed) = cipher.encrypt(&Nonce::from(nonce), Payload { msg: plain, aad }) else {
        unreachable!("AES-GCM encrypts anything below 64 GiB")
    };
    [nonce.as_slice(), &sealed].concat()
}

fn decrypt(key: &[u8; 32], sealed: &[u8], aad: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE>().ok_or(OpenError)?;
    let cipher = Aes256Gcm::new(key.into());
    let plain = cipher.decrypt(&Nonce::from(*nonce), Payload { msg: sealed, aad });
    plain.map(Zeroizing::new).map_err(|_| OpenError)
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey")
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLACE: Place<'_> = Place {
        purpose: "signing_secret",
        scope: &[1; 16],
        row: &[2; 16],
    };

    fn data_key() -> DataKey {
        DataKey::new([3; 16], [4; 32])
    }

    #[test]
    fn a_derived_key_is_of_its_key_and_its_words() {
        let derived = data_key().derive("links");
        assert_eq!(derived, data_key().derive("links"));
        assert_ne!(derived, data_key().derive("link"));
        assert_ne!(derived, DataKey::new([3; 16], [5; 32]).derive("links"));
    }

    #[test]
    fn a_value_opens_at_its_own_place_only() {
        let sealed = data_key().seal(PLACE, b"secret", [5; NONCE]);
        assert_eq!(data_key().open(PLACE, &sealed).unwrap().as_slice(), b"secret");
        for other in [
            Place {
                purpose: "answer",
                ..PLACE
            },
            Place {
                scope: &[9; 16],
                ..PLACE
            },
            Place {
                row: &[9; 16],
                ..PLACE
            },
            Place {
                purpose: "signing_secre",
                ..PLACE
            },
        ] {
            assert_eq!(data_key().open(other, &sealed), Err(OpenError));
        }
        assert_eq!(
            DataKey::new([3; 16], [5; 32]).open(PLACE, &sealed),
            Err(OpenError)
        );
        assert_eq!(
            DataKey::new([4; 16], [4; 32]).open(PLACE, &sealed),
            Err(OpenError)
        );
    }

    #[test]
    fn a_data_key_unwraps_under_its_own_master_key_and_id_only() {
        let master = MasterKey::new("k1".to_owned(), [6; 32]);
        let wrapped = master.wrap(&data_key(), [7; NONCE]);
        assert_eq!(master.unwrap([3; 16], &wrapped).unwrap().key, [4; 32]);
        assert!(master.unwrap([4; 16], &wrapped).is_err());
        assert!(
            MasterKey::new("k2".to_owned(), [6; 32])
                .unwrap([3; 16], &wrapped)
                .is_err()
        );
        assert!(
            MasterKey::new("k1".to_owned(), [8; 32])
                .unwrap([3; 16], &wrapped)
                .is_err()
        );
    }

    #[test]
    fn keys_do_not_print() {
        let master = MasterKey::new("k1".to_owned(), [0x77; 32]);
        assert_eq!(
            format!("{master:?} {:?}", data_key()),
            "MasterKey { kid: \"k1\", .. } DataKey(..)"
        );
    }

    proptest! {
        #[test]
        fn every_value_opens_and_no_flipped_bit_does(plain: Vec<u8>, nonce: [u8; NONCE], at: usize, bit in 0..8_u8) {
            let mut sealed = data_key().seal(PLACE, &plain, nonce);
            let opened = data_key().open(PLACE, &sealed).unwrap();
            prop_assert_eq!(opened.as_slice(), plain.as_slice());
            let at = at % sealed.len();
            sealed[at] ^= 1 << bit;
            prop_assert_eq!(data_key().open(PLACE, &sealed), Err(OpenError));
        }

        #[test]
        fn nothing_cut_short_opens(plain: Vec<u8>, keep: usize) {
            let sealed = data_key().seal(PLACE, &plain, [1; NONCE]);
            let keep = keep % sealed.len();
            prop_assert_eq!(data_key().open(PLACE, &sealed[..keep]), Err(OpenError));
        }
    }
}
