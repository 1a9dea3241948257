//! How alerts leave: by mail, or by the guarded client that callbacks go out through.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use sendpromptly_core::time::Timestamp;

use super::message::Message;
use super::target::Target;
use crate::callback::{AddressPolicy, CallOutcome, CallbackClient, RepairUrl};
use crate::mail::{SendError, Transport};
use crate::projects::trial;
use crate::store::alert_queue::AlertMessage;

/// How long a call may take: less than the lease of a message.
const CALL: Duration = Duration::from_secs(15);

/// Sends alerts; cheap to clone.
#[derive(Debug, Clone)]
pub struct Sender {
    /// Makes calls.
    pub client: CallbackClient,
    /// Which addresses may be called.
    pub policy: AddressPolicy,
    /// How mail leaves.
    pub transport: Transport,
    /// The console, without a slash at its end.
    pub base_url: Arc<str>,
}

/// Why an alert was not taken, in words that name no more of its target than may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendFailure {
    /// It may be taken later; whom it goes to may have asked for this pause.
    Passing(String, Option<Duration>),
    /// It was refused, by a receiver that may yet be put right.
    Refused(String),
    /// It never will.
    Final(String),
}

impl SendFailure {
    /// The words.
    #[must_use]
    pub fn words(&self) -> &str {
        match self {
            Self::Passing(words, _) | Self::Refused(words) | Self::Final(words) => words,
        }
    }
}

impl Sender {
    /// Sends a message. The try's number is told to a webhook.
    ///
    /// # Errors
    /// [`SendFailure`] where it was not taken.
    pub async fn send(
        &self,
        target: &Target,
        alert: &AlertMessage,
        tries: u32,
        now: Timestamp,
    ) -> Result<(), SendFailure> {
        let message = Message {
            alert,
            base_url: &self.base_url,
        };
        match target {
            Target::Email(email) => {
                let letter = message.letter(email.as_str());
                let sent = self.transport.send(&letter, alert.id.as_bytes(), now).await;
                sent.map_err(|error| match error {
                    SendError::Failed(_) => SendFailure::Passing(error.to_string(), None),
                    SendError::Mailbox(_) => SendFailure::Refused(error.to_string()),
                    SendError::Letter(_) => SendFailure::Final(error.to_string()),
                })
            }
            Target::Slack(url) => {
                let json = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
                self.call(url, vec![json], message.slack(), now).await
            }
            Target::Webhook { url, secret } => {
                let body = message.webhook();
                let headers = trial::headers(std::slice::from_ref(secret), tries, &body);
                self.call(url, headers, body, now).await
            }
        }
    }

    async fn call(
        &self,
        url: &RepairUrl,
        headers: Vec<(HeaderName, HeaderValue)>,
        body: Vec<u8>,
        now: Timestamp,
    ) -> Result<(), SendFailure> {
        let too_long = tokio::time::sleep(CALL);
        let outcome = self.client.call(url, headers, body.into(), too_long).await;
        judge(outcome, now)
    }
}

/// What an answer means: a 2xx is taken; an address that may not be called stays so; all else may pass.
fn judge(outcome: CallOutcome, now: Timestamp) -> Result<(), SendFailure> {
    match outcome {
        CallOutcome::Answered {
            status: 200..=299, ..
        } => Ok(()),
        CallOutcome::Answered {
            status, retry_after, ..
        } => {
            let words = format!("it answered {status}");
            let passes = matches!(status, 408 | 425 | 429 | 500..=599);
            let asked = retry_after.map(|asked| asked.delay(system_time(now)));
            Err(if passes {
                SendFailure::Passing(words, asked)
            } else {
                SendFailure::Refused(words)
            })
        }
        CallOutcome::Refused { reason } => {
            let words = reason.to_string().replace("repair URL", "URL");
            Err(SendFailure::Final(words))
        }
        CallOutcome::NetworkError { kind, .. } => Err(SendFailure::Passing(kind.to_string(), None)),
        CallOutcome::CutOff => Err(SendFailure::Passing("no answer came in time".to_owned(), None)),
    }
}

fn system_time(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(at.as_millis()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::callback::{NetworkErrorKind, RetryAfter};

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn answered(status: u16) -> CallOutcome {
        CallOutcome::Answered {
            status,
            retry_after: Some(RetryAfter::Seconds(90)),
            result: None,
            head: bytes::Bytes::new(),
            duration: Duration::ZERO,
        }
    }

    #[test]
    fn a_2xx_is_taken_and_what_is_refused_is_not_what_may_pass() {
        assert_eq!(judge(answered(204), NOW), Ok(()));
        for status in [408, 425, 429, 500, 503] {
            let asked = Some(Duration::from_secs(90));
            let passing = SendFailure::Passing(format!("it answered {status}"), asked);
            assert_eq!(judge(answered(status), NOW), Err(passing));
        }
        for status in [301, 400, 404, 410] {
            let refused = SendFailure::Refused(format!("it answered {status}"));
            assert_eq!(judge(answered(status), NOW), Err(refused));
        }
        let lost = CallOutcome::NetworkError {
            kind: NetworkErrorKind::Reset,
            duration: Duration::ZERO,
        };
        assert!(matches!(judge(lost, NOW), Err(SendFailure::Passing(..))));
    }
}
