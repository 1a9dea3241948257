//! The ingest API as a customer's app uses it.

use std::net::SocketAddr;

use serde_json::Value;

use crate::bodies::{receipt, result, unique};
use crate::http::{Answer, Request};

/// Where receipts go.
pub const RECEIPT: &str = "/api/v1/receipt";
/// Where results go.
pub const RESULT: &str = "/api/v1/result";

/// A server and the API key of one project.
#[derive(Debug, Clone)]
pub struct Api {
    /// Where the server listens.
    pub server: SocketAddr,
    /// The key.
    pub key: String,
}

impl Api {
    /// A request with everything that it must have.
    #[must_use]
    pub fn request(&self, path: &str, idempotency_key: &str, body: &Value) -> Request {
        Request::new("POST", path)
            .header("authorization", format!("Bearer {}", self.key))
            .header("idempotency-key", idempotency_key)
            .header("content-type", "application/json")
            .header("accept", "application/json")
            .body(body.to_string())
    }

    /// Sends a receipt under this key.
    pub async fn receipt(&self, idempotency_key: &str, body: &Value) -> Answer {
        self.request(RECEIPT, idempotency_key, body)
            .send(self.server)
            .await
    }

    /// Sends a result under this key.
    pub async fn result(&self, idempotency_key: &str, body: &Value) -> Answer {
        self.request(RESULT, idempotency_key, body)
            .send(self.server)
            .await
    }

    /// Sends the receipt of a new event, which must be accepted; gives its id.
    pub async fn new_event(&self) -> String {
        let answer = self.receipt(&unique("key"), &receipt(&unique("evt"))).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        answer.json()["event_id"].as_str().unwrap().to_owned()
    }

    /// Reports on an event, which must be accepted; gives the answer's body.
    pub async fn report(&self, event_id: &str, status: &str) -> Value {
        self.report_as(&result(event_id, status)).await
    }

    /// Sends this result under a new key; it must be accepted.
    pub async fn report_as(&self, body: &Value) -> Value {
        let answer = self.result(&unique("key"), body).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        answer.json()
    }

    /// Sends the receipt of a new event and reports its failure; gives the ids of event and incident.
    pub async fn new_incident(&self) -> (String, String) {
        let event = self.new_event().await;
        let answer = self.report(&event, "failed").await;
        let incident = answer["incident_id"].as_str().expect("an incident").to_owned();
        (event, incident)
    }
}
