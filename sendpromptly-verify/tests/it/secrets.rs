//! What a verifier can be made of.

use sendpromptly_verify::{MAX_SECRETS, SecretError, Verifier};

use crate::callback::SECRET;

fn refusal(secrets: &[&str]) -> Option<SecretError> {
    Verifier::new(secrets).err()
}

#[test]
fn one_to_eight_secrets_are_taken() {
    assert_eq!(refusal(&[]), Some(SecretError::None));
    assert_eq!(refusal(&[SECRET]), None);
    assert_eq!(refusal(&[SECRET; MAX_SECRETS]), None);
    assert_eq!(refusal(&[SECRET; MAX_SECRETS + 1]), Some(SecretError::TooMany));
}

#[test]
fn what_is_no_secret_is_refused_and_not_repeated() {
    let with_line_break = format!("{SECRET}\n");
    let api_key = format!("sk_{}", "a1".repeat(20));
    for wrong in [
        "",
        " ",
        "spsec_",
        "spsec_short",
        &SECRET[6..],
        &with_line_break,
        &api_key,
    ] {
        let refused = refusal(&[SECRET, wrong]).unwrap();
        assert_eq!(refused, SecretError::Malformed(2));
        assert!(!refused.to_string().contains("a1a1"));
    }
}

#[test]
fn a_verifier_prints_no_secret() {
    let printed = format!("{:?}", Verifier::new([SECRET]).unwrap());
    assert_eq!(printed, "Verifier { keys: [SigningKey(..)], window: 300 }");
}
