//! The log's line on a request that was answered, under the id that its client was told. It bears the path as the route
//! table has it, so nothing that a client sent.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hyper::{Method, StatusCode};
use sendpromptly_core::id::{ProjectId, RequestId};

use crate::config::log::LogRequests;

/// Lines a second on requests that were refused, where not all have one: a flood of them must not fill the disk.
const MOST_REFUSED: u64 = 100;

/// A request that was answered.
#[derive(Debug, Clone)]
pub(super) struct Answered {
    pub(super) id: RequestId,
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) status: StatusCode,
    pub(super) took: Duration,
    /// What a refusal is called.
    pub(super) code: Option<&'static str>,
    /// The project, where it is known.
    pub(super) project: Option<ProjectId>,
}

/// Logs requests. What has no line for there were too many in its second is counted by the next line.
#[derive(Debug)]
pub(super) struct RequestLog {
    which: LogRequests,
    began: Instant,
    refused: Budget,
    /// An overload answers 503 thousands of times a second; one line in each tells of it.
    overload: Budget,
}

impl RequestLog {
    pub(super) fn new(which: LogRequests) -> Self {
        Self {
            which,
            began: Instant::now(),
            refused: Budget::of(MOST_REFUSED),
            overload: Budget::of(1),
        }
    }

    /// Logs this one, where it has a line.
    pub(super) fn tell(&self, answered: &Answered) {
        let Some(untold) = self.untold_before(answered.status) else {
            return;
        };
        let Answered { id, method, path, .. } = answered;
        let status = answered.status.as_u16();
        let took_ms = u64::try_from(answered.took.as_millis()).unwrap_or(u64::MAX);
        let project = answered.project.map(tracing::field::display);
        let code = answered.code;
        if answered.status.is_server_error() {
            tracing::warn!(%id, %method, path, status, code, took_ms, project, untold, "a request was not answered as asked");
        } else if answered.status.is_client_error() {
            tracing::info!(%id, %method, path, status, code, took_ms, project, untold, "a request was refused");
        } else {
            tracing::info!(%id, %method, path, status, took_ms, project, "a request was answered");
        }
    }

    /// How many before this one have no line for there were too many; `None` where this one has none.
    fn untold_before(&self, status: StatusCode) -> Option<u64> {
        let second = self.began.elapsed().as_secs() + 1;
        let is_overload = status == StatusCode::SERVICE_UNAVAILABLE;
        match self.which {
            LogRequests::All => Some(0),
            // No flood of refusals hides a fault.
            _ if status.is_server_error() && !is_overload => Some(0),
            LogRequests::Refused if status.is_client_error() || is_overload => self.refused.take(second),
            LogRequests::None if is_overload => self.overload.take(second),
            LogRequests::Refused | LogRequests::None => None,
        }
    }
}

/// So many lines a second.
#[derive(Debug)]
struct Budget {
    most: u64,
    /// The second of the last line, counted from 1.
    second: AtomicU64,
    lines: AtomicU64,
    untold: AtomicU64,
}

impl Budget {
    const fn of(most: u64) -> Self {
        Self {
            most,
            second: AtomicU64::new(0),
            lines: AtomicU64::new(0),
            untold: AtomicU64::new(0),
        }
    }

    /// How many before this one had to go without a line; `None` where this one has to as well. Where many come at once
    /// a few more may have a line.
    fn take(&self, second: u64) -> Option<u64> {
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.lines.store(0, Ordering::Relaxed);
        }
        if self.lines.fetch_add(1, Ordering::Relaxed) < self.most {
            return Some(self.untold.swap(0, Ordering::Relaxed));
        }
        self.untold.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_lines_a_second_are_written_and_the_next_one_counts_those_without() {
        let budget = Budget::of(2);
        let told = [1, 1, 1, 1, 2, 5, 5, 5, 6].map(|second| budget.take(second));
        let expected = [
            Some(0),
            Some(0),
            None,
            None,
            Some(2),
            Some(0),
            Some(0),
            None,
            Some(1),
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn which_requests_have_a_line_is_the_operators_choice() {
        let lines = |which| {
            let log = RequestLog::new(which);
            let statuses = [200, 202, 303, 401, 422, 500, 503];
            let has_line = |status: &u16| {
                log.untold_before(StatusCode::from_u16(*status).unwrap())
                    .is_some()
            };
            statuses.into_iter().filter(has_line).collect::<Vec<_>>()
        };
        assert_eq!(lines(LogRequests::All), [200, 202, 303, 401, 422, 500, 503]);
        assert_eq!(lines(LogRequests::Refused), [401, 422, 500, 503]);
        assert_eq!(lines(LogRequests::None), [500, 503]);
    }

    #[test]
    fn an_overload_has_one_line_a_second_where_not_every_refusal_has_one() {
        let log = RequestLog::new(LogRequests::None);
        let told = [1, 1, 1, 2].map(|second| log.overload.take(second));
        assert_eq!(told, [Some(0), None, None, Some(2)]);
    }
}
