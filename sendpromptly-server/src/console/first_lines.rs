//! The lines that a new project's page gives: to try it from a shell, and to build it in.

use sendpromptly_core::time::Timestamp;

const RECEIPT: &str = include_str!("../../templates/shown/receipt.rs");
const REPAIR: &str = include_str!("../../templates/shown/repair.rs");

/// What stands in the shown Rust lines for this server's address.
const EXAMPLE_SERVER: &str = "http://127.0.0.1:8080";

/// What stands there for the API key.
const EXAMPLE_KEY: &str = "sk_…";

/// Lines to copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstLines {
    /// Sends a receipt, for a shell with curl.
    pub receipt: String,
    /// Sends its result.
    pub result: String,
    /// Sends a receipt, in Rust.
    pub rust_receipt: String,
    /// A repair endpoint, in Rust.
    pub rust_repair: String,
}

impl FirstLines {
    /// The lines for this server (scheme and host, no slash at the end) and this API key, or what stands for it.
    /// Each time they name another event, and run twice they are the same request.
    #[must_use]
    pub fn new(server: &str, key: &str, now: Timestamp) -> Self {
        let number = now.as_millis();
        let receipt = format!(
            r#"{{"provider":"stripe","provider_event_id":"evt_try_{number}","event_type":"invoice.paid","effect_type":"access_unlock","internal_reference":"customer_1","occurred_at":"{now}"}}"#
        );
        let result = format!(r#"{{"provider_event_id":"evt_try_{number}","status":"success"}}"#);
        Self {
            receipt: curl(server, "receipt", key, number, &receipt),
            result: curl(server, "result", key, number, &result),
            rust_receipt: RECEIPT.replace(EXAMPLE_SERVER, server).replace(EXAMPLE_KEY, key),
            rust_repair: REPAIR.to_owned(),
        }
    }
}

fn curl(server: &str, endpoint: &str, key: &str, number: i64, body: &str) -> String {
    format!(
        "curl -X POST '{server}/api/v1/{endpoint}' \\\n  -H 'Authorization: Bearer {key}' \\\n  \
         -H 'Idempotency-Key: try-{number}-{endpoint}' \\\n  -H 'Content-Type: application/json' \\\n  -d '{body}'\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_name_the_server_and_the_key() {
        let at = Timestamp::from_millis(1_800_000_000_000);
        let lines = FirstLines::new("https://pay.example", "sk_x", at);
        assert!(
            lines
                .receipt
                .starts_with("curl -X POST 'https://pay.example/api/v1/receipt' ")
        );
        assert!(lines.result.contains("'Authorization: Bearer sk_x'"));
        assert!(
            lines
                .rust_receipt
                .contains(r#"send_receipt(&reqwest::Client::new(), "https://pay.example", "sk_x")"#)
        );
        assert!(!lines.rust_receipt.contains(EXAMPLE_SERVER) && !lines.rust_receipt.contains(EXAMPLE_KEY));
    }
}
