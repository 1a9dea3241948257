//! The requests of each kind of work. Provider ids and keys are random, as they are in life: sequential ones
//! flatter a B-tree.

use std::hash::{BuildHasher, RandomState};

use crate::load::Request;

/// Events that a workload is about, each with a provider id that no other run has.
#[derive(Debug)]
pub(crate) struct Events {
    ids: Vec<String>,
}

impl Events {
    /// So many events.
    pub(crate) fn new(count: usize) -> Self {
        let ids = (0..count).map(|_| format!("evt_{}", random_digits())).collect();
        Self { ids }
    }

    /// A receipt for each, under a key of its own.
    pub(crate) fn receipts(&self) -> Vec<Request> {
        self.requests("/api/v1/receipt", |id| format!("{}}}", receipt(id)))
    }

    /// The same, each with a payload, and each made when it is asked for.
    pub(crate) fn receipts_with(self, payload: impl Fn() -> String) -> impl Iterator<Item = Request> {
        let body = move |id: &str| format!(r#"{},"payload":{}}}"#, receipt(id), payload());
        self.ids
            .into_iter()
            .map(move |id| request("/api/v1/receipt", body(&id)))
    }

    /// A result with this status for each, under a key of its own.
    pub(crate) fn results(&self, status: &str) -> Vec<Request> {
        self.requests("/api/v1/result", |id| {
            format!(r#"{{"provider_event_id":"{id}","status":"{status}"}}"#)
        })
    }

    fn requests(&self, path: &'static str, body: impl Fn(&str) -> String) -> Vec<Request> {
        self.ids.iter().map(|id| request(path, body(id))).collect()
    }
}

/// A request under a key of its own.
fn request(path: &'static str, body: String) -> Request {
    Request {
        path,
        idempotency_key: random_digits(),
        body,
    }
}

/// The fields of a receipt.
fn receipt(id: &str) -> String {
    format!(
        r#"{{"provider":"stripe","provider_event_id":"{id}","event_type":"checkout.session.completed","effect_type":"access_unlock","internal_reference":"customer_{}","occurred_at":"2026-01-31T09:30:00Z""#,
        &id[4..16]
    )
}

/// 32 random hex digits, from the standard library's randomly keyed hasher.
fn random_digits() -> String {
    let half = || RandomState::new().hash_one(0_u8);
    format!("{:016x}{:016x}", half(), half())
}
