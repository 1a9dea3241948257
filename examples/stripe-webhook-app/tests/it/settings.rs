//! What the real app refuses to start with.

use std::process::Command;

use crate::world::SECRET;

/// Starts the app, where it must not run; gives what it says.
fn refused(secret: &str, api_key: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_stripe-webhook-app"))
        .env("STRIPE_WEBHOOK_SECRET", secret)
        .env("API_KEY", api_key)
        .env("DATABASE", directory.path().join("app.db"))
        // What comes after them ends the app too, so that it never stays.
        .env("LISTEN", "nowhere")
        .output()
        .unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_variable_that_is_blank_or_no_secret_ends_the_app_with_an_error_that_names_it() {
    for secret in ["", " ", "whsec_", "sk_test"] {
        let said = refused(secret, "sk_test");
        assert!(said.contains("STRIPE_WEBHOOK_SECRET"), "{secret:?}: {said}");
    }
    for api_key in ["", " "] {
        let said = refused(SECRET, api_key);
        assert!(said.contains("API_KEY"), "{api_key:?}: {said}");
    }
    assert!(!refused(SECRET, "sk_test").contains("STRIPE_WEBHOOK_SECRET"));
}
