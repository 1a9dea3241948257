//! API keys and signing secrets, which come in headers, files and from standard input.

use sendpromptly_core::credential::{ApiKey, SigningSecret};

/// A credential that is read is the text that was read, of one kind only, and does not print.
pub fn credential(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let key = ApiKey::parse(text);
    let secret = SigningSecret::parse(text);
    assert!(key.is_err() || secret.is_err());
    if let Ok(key) = key {
        assert_eq!(key.expose(), text);
        assert!(!format!("{key:?}").contains(text));
    }
    if let Ok(secret) = secret {
        assert_eq!(secret.expose(), text);
        assert!(!format!("{secret:?}").contains(text));
    }
}
