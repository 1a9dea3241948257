//! Signed callbacks.

use std::sync::atomic::{AtomicU32, Ordering};

use sendpromptly_verify::signature::SigningKey;
use sendpromptly_verify::unix_now;
use serde_json::json;

pub(crate) const SECRET: &str = "spsec_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
pub(crate) const PAYMENT: &str = "evt_example";

/// A callback on its way.
#[derive(Debug, Clone)]
pub(crate) struct Callback {
    pub(crate) timestamp: i64,
    pub(crate) nonce: String,
    pub(crate) signature: String,
    pub(crate) body: Vec<u8>,
}

/// What a callback asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Repair {
    pub(crate) replay: u8,
    pub(crate) payment: &'static str,
    pub(crate) effect: &'static str,
    pub(crate) account: &'static str,
}

/// The credits of the example, for the first time.
pub(crate) const CREDITS: Repair = Repair {
    replay: 1,
    payment: PAYMENT,
    effect: "credit_grant",
    account: "account_42",
};

impl Repair {
    /// An attempt of now: the same body each time, under a new nonce.
    pub(crate) fn attempt(self) -> Callback {
        self.attempt_at(unix_now())
    }

    pub(crate) fn attempt_at(self, timestamp: i64) -> Callback {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let nonce = format!("{:032x}", NEXT.fetch_add(1, Ordering::Relaxed));
        let id = |prefix: &str, byte: u8| format!("{prefix}{}", format!("{byte:02x}").repeat(16));
        let body = json!({
            "replay_id": id("rpl_", self.replay),
            "incident_id": id("inc_", 2),
            "event_id": id("evt_", 3),
            "project_id": id("prj_", 4),
            "mode": "test",
            "provider": "stripe",
            "provider_event_id": self.payment,
            "event_type": "invoice.paid",
            "effect_type": self.effect,
            "internal_reference": self.account,
            "occurred_at": "2026-01-31T09:30:00.000Z",
        });
        let body = body.to_string().into_bytes();
        let signature = SigningKey::new(SECRET.as_bytes()).sign(timestamp, &nonce, &body);
        Callback {
            timestamp,
            nonce,
            signature: format!("v1={signature}"),
            body,
        }
    }
}
