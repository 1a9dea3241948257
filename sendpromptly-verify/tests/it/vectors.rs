//! The vector file, which the verifiers of the documentation are held against too.

use std::path::Path;

use sendpromptly_verify::{Verifier, VerifyError};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    callbacks: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    name: String,
    secrets: Vec<String>,
    headers: Vec<(String, String)>,
    body_hex: String,
    now: i64,
    expected: String,
}

fn outcome(row: &Row) -> &'static str {
    let pairs = row.body_hex.as_bytes().chunks(2);
    let body: Vec<u8> = pairs
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect();
    let Ok(verifier) = Verifier::new(&row.secrets) else {
        return "wrong_secrets";
    };
    match verifier.verify(&row.headers, &body, row.now) {
        Ok(verified) => {
            assert_eq!(verified.body(), body);
            "verified"
        }
        Err(VerifyError::MissingHeader(_)) => "missing_header",
        Err(VerifyError::MalformedHeader(_)) => "malformed_header",
        Err(VerifyError::Stale) => "stale",
        Err(VerifyError::FromFuture) => "from_future",
        Err(VerifyError::WrongSignature) => "wrong_signature",
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn every_callback_of_the_vectors_has_its_outcome() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/callbacks.json");
    let vectors: Vectors = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert!(vectors.callbacks.len() >= 100);
    for row in &vectors.callbacks {
        assert_eq!(outcome(row), row.expected, "{}", row.name);
    }
}
