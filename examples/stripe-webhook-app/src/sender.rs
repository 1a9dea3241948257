//! The sender: takes messages out of the outbox and brings them to SendPromptly, until each has been accepted.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, StatusCode, Url};

use crate::clock::unix_millis;
use crate::outbox::{Outbox, Waiting};

/// The pause after the first attempt in vain; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// A server that asks for a longer pause than this is asked again sooner.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// Sends what waits in the outbox.
pub struct Sender {
    outbox: Outbox,
    http: Client,
    server: Url,
    api_key: String,
}

/// What an answer means for the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Accepted,
    /// Another try may succeed; not before this pause, where the server asks for one.
    Again(Option<Duration>),
    /// The request itself is wrong, and the same bytes will be wrong again.
    Refused,
}

impl Sender {
    /// A sender to this server, with the project's API key.
    ///
    /// # Errors
    /// [`reqwest::Error`] where no HTTP client can be made.
    pub fn new(outbox: Outbox, server: Url, api_key: String) -> reqwest::Result<Self> {
        // An error only says that the process has chosen its cryptography before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .timeout(Duration::from_secs(30))
            // The key goes to the server that was configured, and nowhere else.
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self {
            outbox,
            http,
            server,
            api_key,
        })
    }

    /// Sends for as long as the process lives.
    pub async fn run(self) {
        loop {
            if let Err(error) = self.send_and_wait().await {
                tracing::error!(%error, "the outbox cannot be used; trying again");
                tokio::time::sleep(FIRST_PAUSE).await;
            }
        }
    }

    async fn send_and_wait(&self) -> sqlx::Result<()> {
        while self.send_due(unix_millis()).await? > 0 {}
        let wait = match self.outbox.next_due_at().await? {
            Some(due_at) => u64::try_from(due_at - unix_millis()).unwrap_or(0),
            None => u64::MAX,
        };
        tokio::select! {
            () = self.outbox.written() => {}
            () = tokio::time::sleep(Duration::from_millis(wait)) => {}
        }
        Ok(())
    }

    /// Sends what is due at this time (Unix milliseconds), each message once; gives how many there were.
    ///
    /// # Errors
    /// [`sqlx::Error`] where the outbox cannot be used. What was accepted, but not marked so, goes again under the
    /// same key, and counts once.
    pub async fn send_due(&self, now: i64) -> sqlx::Result<usize> {
        let messages = self.outbox.due(now).await?;
        for message in &messages {
            self.send(message, now).await?;
        }
        Ok(messages.len())
    }

    async fn send(&self, message: &Waiting, now: i64) -> sqlx::Result<()> {
        let (verdict, answer) = match self.post(message).await {
            Ok(response) => {
                let status = response.status();
                (verdict(status, response.headers()), status.to_string())
            }
            Err(error) => (Verdict::Again(None), root_cause(&error)),
        };
        let key = &message.idempotency_key;
        match verdict {
            Verdict::Accepted => self.outbox.sent(message.id).await,
            Verdict::Again(asked) => {
                let pause = pause(message.attempts, asked);
                tracing::warn!(key, answer, ?pause, "not accepted yet");
                let pause = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
                self.outbox.again(message.id, now.saturating_add(pause)).await
            }
            Verdict::Refused => {
                tracing::error!(
                    key,
                    answer,
                    "REFUSED: it stays in the outbox until a person has looked at it"
                );
                self.outbox.refused(message.id, &answer).await
            }
        }
    }

    async fn post(&self, message: &Waiting) -> reqwest::Result<reqwest::Response> {
        let mut url = self.server.clone();
        url.set_path(&message.path);
        self.http
            .post(url)
            .bearer_auth(&self.api_key)
            .header("Idempotency-Key", &message.idempotency_key)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json")
            .body(message.body.clone())
            .send()
            .await
    }
}

/// What lies at the bottom of an error, such as a refused connection.
fn root_cause(mut error: &dyn Error) -> String {
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

/// Most refusals heal without a change to the message: the server comes back, the key is replaced (401), the bill
/// is paid (402), the address is set right (404). Only those that blame the request's own bytes do not.
fn verdict(status: StatusCode, headers: &HeaderMap) -> Verdict {
    match status.as_u16() {
        200..=299 => Verdict::Accepted,
        400 | 406 | 409 | 413 | 415 | 422 => Verdict::Refused,
        _ => {
            let asked = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            Verdict::Again(
                asked
                    .and_then(|seconds| seconds.parse().ok())
                    .map(Duration::from_secs),
            )
        }
    }
}

/// Doubles with each attempt, and varies, so that many senders do not come back all at once. What the server asked
/// for lengthens it, and never shortens it.
fn pause(attempts: u32, asked: Option<Duration>) -> Duration {
    let doubled = FIRST_PAUSE
        .saturating_mul(1 << attempts.min(16))
        .min(LONGEST_PAUSE);
    let varied = doubled.mul_f64(0.75 + 0.5 * fastrand::f64());
    varied.max(asked.unwrap_or_default().min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict_on(status: u16, retry_after: Option<&str>) -> Verdict {
        let mut headers = HeaderMap::new();
        headers.extend(retry_after.map(|value| (RETRY_AFTER, value.parse().unwrap())));
        verdict(StatusCode::from_u16(status).unwrap(), &headers)
    }

    #[test]
    fn only_what_blames_the_request_itself_is_given_up() {
        assert_eq!(verdict_on(202, None), Verdict::Accepted);
        for status in [400, 406, 409, 413, 415, 422] {
            assert_eq!(verdict_on(status, Some("1")), Verdict::Refused, "{status}");
        }
        for status in [302, 401, 402, 403, 404, 405, 408, 429, 500, 502, 503, 504] {
            assert_eq!(verdict_on(status, None), Verdict::Again(None), "{status}");
        }
    }

    #[test]
    fn the_pause_grows_to_a_bound_and_retry_after_lengthens_it() {
        let asked = Duration::from_secs(17);
        assert_eq!(verdict_on(503, Some("17")), Verdict::Again(Some(asked)));
        assert_eq!(verdict_on(503, Some("soon")), Verdict::Again(None));
        for (attempts, seconds) in [(0, 1), (1, 2), (5, 32), (9, 300), (40, 300), (u32::MAX, 300)] {
            let pause = pause(attempts, None).as_secs_f64() / f64::from(seconds);
            assert!((0.75..=1.25).contains(&pause), "{attempts}");
        }
        assert_eq!(pause(0, Some(asked)), asked);
        assert!(pause(20, Some(asked)) > asked);
        assert_eq!(pause(0, Some(Duration::MAX)), LONGEST_RETRY_AFTER);
    }
}
