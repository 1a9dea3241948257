//! Checks an audit export, written from the documented format alone.

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::bodies::millis;
use crate::signature::hex;

/// What an entry's hash is made of; ids and hashes in hex digits.
#[derive(Debug, Clone)]
pub struct Hashed<'a> {
    /// The organization, without its prefix.
    pub organization: &'a str,
    /// The entry's place.
    pub seq: u64,
    /// The hash of the entry before.
    pub prev: &'a str,
    /// Unix milliseconds.
    pub at: i64,
    /// Who, what, and to what.
    pub words: [&'a str; 3],
    /// The commitment to the details.
    pub commitment: &'a str,
}

impl Hashed<'_> {
    /// The entry's hash in hex digits.
    #[must_use]
    pub fn hash(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"sendpromptly.audit.v1\0");
        hash.update(unhex(self.organization));
        hash.update(self.seq.to_be_bytes());
        hash.update(unhex(self.prev));
        hash.update(self.at.to_be_bytes());
        for word in self.words {
            hash.update(u32::try_from(word.len()).unwrap().to_be_bytes());
            hash.update(word);
        }
        hash.update(unhex(self.commitment));
        hex(&hash.finalize())
    }
}

/// Walks over the entries of an export from the first; each must follow from the one before.
pub fn assert_chain(entries: &[Value]) {
    let mut prev = "0".repeat(64);
    for (seq, entry) in (1..).zip(entries) {
        let text = |field: &str| entry[field].as_str().unwrap();
        assert_eq!(
            (entry["seq"].as_u64(), text("prev")),
            (Some(seq), prev.as_str()),
            "{entry}"
        );
        let mut details = Sha256::new();
        details.update(b"sendpromptly.audit.details.v1\0");
        details.update(unhex(text("salt")));
        details.update(text("details"));
        assert_eq!(text("commitment"), hex(&details.finalize()), "{entry}");
        let hashed = Hashed {
            organization: text("organization_id").strip_prefix("org_").unwrap(),
            seq,
            prev: &prev,
            at: millis(&entry["at"]),
            words: [text("actor"), text("action"), text("target")],
            commitment: text("commitment"),
        };
        assert_eq!(text("hash"), hashed.hash(), "{entry}");
        prev = hashed.hash();
    }
}

fn unhex(digits: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(byte).collect()
}
