//! One call: sign, send, and tell how it ended.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use sendpromptly_core::credential::SigningSecret;
use sendpromptly_core::id::ProjectId;
use sendpromptly_core::replay::{AttemptOutcome, Effect};
use sendpromptly_core::signing::{body_with_payload, signature_header};
use sendpromptly_core::time::Timestamp;
use tokio::sync::watch;

use super::Calls;
use crate::callback::{CallOutcome, NetworkErrorKind, RepairUrl, ReportedResult};
use crate::payload::{self, Payload};
use crate::platform::clock;
use crate::store::attempts::{AttemptEnd, PAYLOAD_GONE};
use crate::store::claims::Claim;
use crate::vault::{Purpose, VaultError};
use crate::workers::beat::Stage;

/// How long the key of a payload is waited for before the call, and that of an answer after it. With the call itself both
/// are within the lease.
const OPENING: Duration = Duration::from_secs(5);

/// Makes the call, and gives how it ended; `None` where it was not begun, for the payload that goes along cannot be had
/// now. A stop that comes to its cutting off gives it up, unless its status line has come.
pub(super) async fn make(
    calls: &Calls,
    claim: &Claim,
    secrets: &[SigningSecret],
    mut stage: watch::Receiver<Stage>,
) -> Option<AttemptEnd> {
    let (project, replay) = (claim.attempt.project, claim.attempt.replay);
    // Its form is checked again, for the server may have been started under another policy since.
    let target = claim
        .repair_url
        .as_deref()
        .map(|url| RepairUrl::parse(url, &calls.policy));
    let start = clock::now();
    let outcome = match target {
        None => {
            tracing::warn!(%project, %replay, "halted: the project has no repair URL");
            None
        }
        Some(Err(reason)) => Some(CallOutcome::Refused { reason }),
        Some(Ok(target)) => {
            let body = tokio::select! {
                biased;
                body = tokio::time::timeout(OPENING, what_is_sent(calls, claim, start)) => body,
                () = cut_off(&mut stage) => return None,
            };
            match body {
                Ok(Sent::Body(body)) => {
                    let headers = headers(claim, secrets, start, &body);
                    let call = calls.client.call(&target, headers, body, cut_off(&mut stage));
                    Some(call.await)
                }
                Ok(Sent::NothingAnyMore) => return Some(payload_gone(claim)),
                Ok(Sent::NothingNow) => return None,
                Err(_) => {
                    tracing::warn!(%project, %replay, "the payload that goes along was not read in time, so the call waits");
                    return None;
                }
            }
        }
    };
    if let Some(CallOutcome::Refused { reason }) = &outcome {
        tracing::warn!(%project, %replay, %reason, "halted: the repair URL may not be called");
    }
    let (mut end, head) = end_of(claim, outcome, start);
    if claim.keep_answer && !head.is_empty() {
        end.answer_head = tokio::select! {
            biased;
            sealed = kept_in_time(project, seal(calls, claim, &head, end.ended_at)) => sealed,
            () = cut_off(&mut stage) => None,
        };
    }
    Some(end)
}

/// What goes to the endpoint.
enum Sent {
    /// This body.
    Body(Bytes),
    /// Nothing, for the payload that was to go along is gone for good.
    NothingAnyMore,
    /// Nothing yet, for it cannot be read now.
    NothingNow,
}

/// The body, with the payload where that goes along. One that will never open is removed, so that the next order goes
/// without it.
async fn what_is_sent(calls: &Calls, claim: &Claim, now: Timestamp) -> Sent {
    if !claim.with_payload {
        return Sent::Body(Bytes::from(claim.body.clone()));
    }
    let (project, event, replay) = (claim.attempt.project, claim.attempt.event, claim.attempt.replay);
    let lost = match payload::open(&calls.store, &calls.vault, (project, event), now).await {
        Ok(Payload::Text(payload)) => return Sent::Body(body_with_payload(&claim.body, &payload).into()),
        Ok(Payload::Gone) => {
            tracing::warn!(%project, %replay, "halted: the payload that was to go along is no longer kept");
            return Sent::NothingAnyMore;
        }
        Ok(Payload::Lost(lost)) => lost,
        Err(error) => {
            tracing::error!(%project, %replay, %error, "the payload that goes along cannot be read, so the call waits");
            return Sent::NothingNow;
        }
    };
    match calls.store.drop_lost_payload(project, event, &lost).await {
        Ok(()) => {
            tracing::error!(%project, %replay, %event, "halted: the payload that was to go along opens no more and is removed");
            Sent::NothingAnyMore
        }
        Err(error) => {
            tracing::error!(%project, %replay, %error, "a payload that opens no more cannot be removed, so the call waits");
            Sent::NothingNow
        }
    }
}

fn payload_gone(claim: &Claim) -> AttemptEnd {
    AttemptEnd {
        outcome: AttemptOutcome::PayloadGone,
        word: PAYLOAD_GONE,
        ..AttemptEnd::cut_off(claim.attempt, clock::now())
    }
}

/// Is ready when calls under way should be cut off.
async fn cut_off(stage: &mut watch::Receiver<Stage>) {
    // Without its sender the process is about to end.
    let _ = stage.wait_for(|stage| *stage >= Stage::CutOff).await;
}

fn headers(
    claim: &Claim,
    secrets: &[SigningSecret],
    now: Timestamp,
    body: &[u8],
) -> Vec<(HeaderName, HeaderValue)> {
    let signature = signature_header(secrets, now.as_secs(), &claim.nonce, body);
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

/// How the attempt ended, with the answer's first bytes; `None` where there was nobody to call. An answer ends it
/// at its status line, whatever its body takes.
fn end_of(claim: &Claim, outcome: Option<CallOutcome>, start: Timestamp) -> (AttemptEnd, Bytes) {
    let ended = |outcome, word, duration: Option<Duration>| AttemptEnd {
        attempt: claim.attempt,
        outcome,
        word,
        ended_at: duration.map_or_else(clock::now, |duration| start.plus(duration)),
        duration,
        answer_head: None,
    };
    match outcome {
        None | Some(CallOutcome::Refused { .. }) => {
            (ended(AttemptOutcome::Refused, "refused", None), Bytes::new())
        }
        Some(CallOutcome::CutOff) => (AttemptEnd::cut_off(claim.attempt, clock::now()), Bytes::new()),
        Some(CallOutcome::NetworkError { kind, duration }) => (
            ended(AttemptOutcome::NetworkError, network_word(kind), Some(duration)),
            Bytes::new(),
        ),
        Some(CallOutcome::Answered {
            status,
            retry_after,
            result,
            head,
            duration,
        }) => {
            let at = system_time(start.plus(duration));
            let outcome = AttemptOutcome::Answered {
                status,
                retry_after: retry_after.map(|asked| asked.delay(at)),
                effect: result.map(effect),
            };
            (ended(outcome, "answered", Some(duration)), head)
        }
    }
}

fn system_time(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(at.as_millis()).unwrap_or(0))
}

/// What is kept of an answer, sealed. Where that fails or takes long it is nothing: the outcome matters more.
async fn kept_in_time(
    project: ProjectId,
    sealing: impl Future<Output = Result<Vec<u8>, VaultError>>,
) -> Option<Vec<u8>> {
    match tokio::time::timeout(OPENING, sealing).await {
        Ok(Ok(sealed)) => return Some(sealed),
        Ok(Err(error)) => {
            tracing::warn!(%project, %error, "an answer's first bytes could not be sealed and are not kept");
        }
        Err(_) => {
            tracing::warn!(%project, "an answer's first bytes were not sealed in time and are not kept");
        }
    }
    None
}

/// Seals the first bytes of an answer.
async fn seal(calls: &Calls, claim: &Claim, head: &[u8], now: Timestamp) -> Result<Vec<u8>, VaultError> {
    let purpose = Purpose::Answer(claim.attempt.project);
    let row = claim.attempt.lease.as_bytes();
    calls.vault.seal(purpose, row, head, now).await
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::callback::RetryAfter;
    use crate::testing::{NOW, World};

    #[tokio::test]
    async fn an_answer_ends_its_attempt_at_the_status_line_whatever_its_body_takes() {
        let world = World::set_up().await;
        world.queue(world.project, 1).await;
        let claim = world.claim(NOW).await.pop().unwrap();
        let duration = Duration::from_secs(3);
        let outcome = CallOutcome::Answered {
            status: 503,
            retry_after: Some(RetryAfter::At(system_time(NOW) + Duration::from_secs(60))),
            result: None,
            head: Bytes::from_static(b"busy"),
            duration,
        };
        let (end, head) = end_of(&claim, Some(outcome), NOW);
        assert_eq!((end.ended_at, end.duration), (NOW.plus(duration), Some(duration)));
        let retry_after = Some(Duration::from_secs(57));
        let answered = AttemptOutcome::Answered {
            status: 503,
            retry_after,
            effect: None,
        };
        assert_eq!((end.outcome, &head[..]), (answered, &b"busy"[..]));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_whose_key_does_not_come_in_time_is_not_kept_and_its_outcome_goes_on() {
        let project = ProjectId::from_bytes([1; 16]);
        let blocked = std::future::pending();
        assert_eq!(kept_in_time(project, blocked).await, None);
    }
}
