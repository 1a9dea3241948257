/// Tells SendPromptly that this payment is verified and its work accepted.
pub async fn send_receipt(http: &reqwest::Client, api_key: &str) -> reqwest::Result<()> {
    let receipt = serde_json::json!({
        "provider": "stripe",
        "provider_event_id": "evt_1",
        "event_type": "invoice.paid",
        "effect_type": "access_unlock",
        "internal_reference": "customer_1",
        "occurred_at": "2026-01-31T09:30:00Z",
    });
    let answer = http
        .post("http://127.0.0.1:8080/api/v1/receipt")
        .bearer_auth(api_key)
        .header("Idempotency-Key", "receipt-evt_1")
        .json(&receipt)
        .send()
        .await?;
    answer.error_for_status().map(drop)
}
