//! What became of a test callback, in words that say what to do.

use super::projects::sentence;
use crate::callback::{CallOutcome, NetworkErrorKind};

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestVerdict {
    /// Whether a real callback would have been delivered.
    pub good: bool,
    /// What happened.
    pub headline: String,
    /// What it means.
    pub meaning: String,
    /// How long it took, in milliseconds.
    pub millis: Option<u128>,
    /// The first bytes of the answer; shown this once and kept nowhere.
    pub head: Option<String>,
}

impl TestVerdict {
    /// What this outcome means.
    #[must_use]
    pub fn of(outcome: &CallOutcome) -> Self {
        match outcome {
            CallOutcome::Answered {
                status,
                head,
                duration,
                ..
            } => Self {
                good: (200..300).contains(status),
                headline: format!("Your endpoint answered {status}."),
                meaning: meaning_of(*status).to_owned(),
                millis: Some(duration.as_millis()),
                head: (!head.is_empty()).then(|| String::from_utf8_lossy(head).into_owned()),
            },
            CallOutcome::NetworkError { kind, duration } => Self {
                good: false,
                headline: format!("No answer: {kind}."),
                meaning: advice_on(*kind).to_owned(),
                millis: Some(duration.as_millis()),
                head: None,
            },
            CallOutcome::Refused { reason } => Self {
                good: false,
                headline: "Nothing was sent.".to_owned(),
                meaning: sentence(&reason.to_string()),
                millis: None,
                head: None,
            },
            CallOutcome::CutOff => Self {
                good: false,
                headline: "The call was cut off.".to_owned(),
                meaning: "The server was stopped during it. Send the test again.".to_owned(),
                millis: None,
                head: None,
            },
        }
    }
}

const fn meaning_of(status: u16) -> &'static str {
    match status {
        200..=299 => {
            "It took the signed test. If it checks signatures, as it must, its signing secret is the right one."
        }
        300..=399 => {
            "It redirects, and callbacks follow no redirect. Set the repair URL to where this one leads."
        }
        400 | 422 => "It could not read the body. The test has every field that a real callback has.",
        401 | 403 => {
            "It refused the signature. Check that it has this project's signing secret, that it checks the raw body, and \
             that its clock is right."
        }
        404 | 405 | 410 => "Nothing takes a POST at this path. Check the repair URL.",
        400..=499 => {
            "It refused the callback. A real one would stop here, and the incident would open again."
        }
        _ => "It failed. A real callback would be sent again by the schedule.",
    }
}

const fn advice_on(kind: NetworkErrorKind) -> &'static str {
    match kind {
        NetworkErrorKind::Resolve => "Check the host in the repair URL, and its DNS.",
        NetworkErrorKind::Connect => {
            "Check that the endpoint is up, and that its firewall lets this server through."
        }
        NetworkErrorKind::Tls => "Check that the endpoint speaks TLS 1.2 or 1.3 on this port.",
        NetworkErrorKind::Certificate => {
            "Check that the endpoint's certificate is for this host, has not run out, and comes with its intermediate \
             certificates."
        }
        NetworkErrorKind::Timeout => {
            "An endpoint has 10 seconds to connect and 30 in all. Answer first, and do slow work later."
        }
        NetworkErrorKind::Reset => {
            "Look at the endpoint's log: it may have crashed, or it closes calls that are not encrypted as it expects."
        }
        NetworkErrorKind::Malformed => "What listens there does not speak HTTP, or not on this port.",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::callback::TargetError;

    fn answered(status: u16, head: &'static [u8]) -> TestVerdict {
        TestVerdict::of(&CallOutcome::Answered {
            status,
            retry_after: None,
            result: None,
            head: Bytes::from_static(head),
            duration: Duration::from_millis(12),
        })
    }

    #[test]
    fn a_2xx_is_good_and_nothing_else_is() {
        for status in [200, 204, 299] {
            assert!(answered(status, b"").good);
        }
        for (status, word) in [
            (301, "redirect"),
            (400, "body"),
            (401, "signing secret"),
            (404, "path"),
            (409, "refused"),
            (500, "again by the schedule"),
        ] {
            let verdict = answered(status, b"");
            assert!(
                !verdict.good && verdict.meaning.contains(word),
                "{status}: {verdict:?}"
            );
            assert!(verdict.headline.contains(&status.to_string()));
        }
    }

    #[test]
    fn the_head_of_an_answer_is_text_whatever_its_bytes_are() {
        assert_eq!(answered(200, b"").head, None);
        assert_eq!(answered(500, b"a\xffb").head.as_deref(), Some("a\u{fffd}b"));
        assert_eq!(answered(500, b"").millis, Some(12));
    }

    #[test]
    fn of_a_refused_target_nothing_but_the_reason_is_told() {
        let refused = CallOutcome::Refused {
            reason: TargetError::NotHttps,
        };
        let verdict = TestVerdict::of(&refused);
        assert_eq!(verdict.meaning, "The repair URL must begin with https://.");
        assert_eq!((verdict.good, verdict.head, verdict.millis), (false, None, None));
    }
}
