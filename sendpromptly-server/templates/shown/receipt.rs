/// Tells SendPromptly that this payment is verified and its work accepted.
pub async fn send_receipt(http: &reqwest::Client, server: &str, api_key: &str) -> reqwest::Result<()> {
    let receipt = serde_json::json!({
        "provider": "stripe",
        "provider_event_id": "evt_1",
        "event_type": "invoice.paid",
        "effect_type": "access_unlock",
        "internal_reference": "customer_1",
        "occurred_at": "2026-01-31T09:30:00Z",
    });
    let request = http
        .post(format!("{server}/api/v1/receipt"))
        .bearer_auth(api_key)
        .header("Idempotency-Key", "receipt-evt_1") // the same when it is sent again
        .header("Content-Type", "application/json")
        .body(receipt.to_string());
    request.send().await?.error_for_status().map(drop)
}

/// Sends it to this server with this key. An app takes its key from the environment, not from its source.
pub async fn try_receipt() -> reqwest::Result<()> {
    send_receipt(&reqwest::Client::new(), "http://127.0.0.1:8080", "sk_…").await
}
