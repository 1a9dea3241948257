//! One call: sign, send, and tell how it ended.

use std::time::SystemTime;

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use sendpromptly_core::credential::SigningSecret;
use sendpromptly_core::id::ProjectId;
use sendpromptly_core::replay::{AttemptOutcome, Effect};
use sendpromptly_core::signing::signature_header;
use sendpromptly_core::time::Timestamp;

use super::Calls;
use crate::callback::{CallOutcome, NetworkErrorKind, RepairUrl, ReportedResult};
use crate::platform::clock;
use crate::store::attempts::AttemptEnd;
use crate::store::claims::Claim;
use crate::vault::Purpose;

/// Makes the call.
pub(super) async fn make(calls: &Calls, claim: Claim, secrets: &[SigningSecret]) -> AttemptEnd {
    let (project, replay) = (claim.attempt.project, claim.attempt.replay);
    // Its form is checked again, for the server may have been started under another policy since.
    let target = claim
        .repair_url
        .as_deref()
        .map(|url| RepairUrl::parse(url, &calls.policy));
    let outcome = match target {
        None => {
            tracing::warn!(%project, %replay, "halted: the project has no repair URL");
            None
        }
        Some(Err(reason)) => Some(CallOutcome::Refused { reason }),
        Some(Ok(target)) => {
            let headers = headers(&claim, secrets, clock::now());
            let body = Bytes::from(claim.body.clone());
            Some(calls.client.call(&target, headers, body).await)
        }
    };
    if let Some(CallOutcome::Refused { reason }) = &outcome {
        tracing::warn!(%project, %replay, %reason, "halted: the repair URL may not be called");
    }
    end_of(calls, &claim, outcome).await
}

fn headers(claim: &Claim, secrets: &[SigningSecret], now: Timestamp) -> Vec<(HeaderName, HeaderValue)> {
    let signature = signature_header(secrets, now.as_secs(), &claim.nonce, claim.body.as_bytes());
    let texts = [
        ("x-sendpromptly-nonce", claim.nonce.to_string()),
        ("x-sendpromptly-signature", signature),
    ];
    let texts = texts.into_iter().filter_map(|(name, text)| {
        let value = HeaderValue::try_from(text).ok()?; // both are plain ASCII
        Some((HeaderName::from_static(name), value))
    });
    let mut headers = vec![
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (
            HeaderName::from_static("x-sendpromptly-timestamp"),
            now.as_secs().into(),
        ),
        (
            HeaderName::from_static("x-sendpromptly-attempt"),
            claim.attempt.number.into(),
        ),
    ];
    headers.extend(texts);
    headers
}

/// How the attempt ended; `None` where there was nobody to call.
async fn end_of(calls: &Calls, claim: &Claim, outcome: Option<CallOutcome>) -> AttemptEnd {
    let ended_at = clock::now();
    let (outcome, word, duration, head) = match outcome {
        None | Some(CallOutcome::Refused { .. }) => (AttemptOutcome::Refused, "refused", None, Bytes::new()),
        Some(CallOutcome::NetworkError { kind, duration }) => (
            AttemptOutcome::NetworkError,
            network_word(kind),
            Some(duration),
            Bytes::new(),
        ),
        Some(CallOutcome::Answered {
            status,
            retry_after,
            result,
            head,
            duration,
        }) => {
            let outcome = AttemptOutcome::Answered {
                status,
                retry_after: retry_after.map(|asked| asked.delay(SystemTime::now())),
                effect: result.map(effect),
            };
            (outcome, "answered", Some(duration), head)
        }
    };
    let answer_head = if claim.keep_answer && !head.is_empty() {
        seal(calls, claim, &head, ended_at).await
    } else {
        None
    };
    AttemptEnd {
        attempt: claim.attempt,
        outcome,
        word,
        ended_at,
        duration,
        answer_head,
    }
}

/// Seals the first bytes of an answer. Where that fails they are not kept: the outcome matters more.
async fn seal(calls: &Calls, claim: &Claim, head: &[u8], now: Timestamp) -> Option<Vec<u8>> {
    let project: ProjectId = claim.attempt.project;
    let row = claim.attempt.lease.as_bytes();
    match calls.vault.seal(&project, Purpose::Answer, row, head, now).await {
        Ok(sealed) => Some(sealed),
        Err(error) => {
            tracing::warn!(%project, %error, "an answer's first bytes could not be sealed and are not kept");
            None
        }
    }
}

const fn effect(reported: ReportedResult) -> Effect {
    match reported {
        ReportedResult::Success => Effect::Success,
        ReportedResult::Failed => Effect::Failed,
    }
}

const fn network_word(kind: NetworkErrorKind) -> &'static str {
    match kind {
        NetworkErrorKind::Resolve => "resolve",
        NetworkErrorKind::Connect => "connect",
        NetworkErrorKind::Tls => "tls",
        NetworkErrorKind::Certificate => "certificate",
        NetworkErrorKind::Timeout => "timeout",
        NetworkErrorKind::Reset => "reset",
        NetworkErrorKind::Malformed => "malformed",
    }
}
