//! The HTTP client that callbacks go out through, and what else is asked of addresses that others name.

#[cfg(test)]
mod tests;

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{RequestBuilder, Response};
use tokio::time::{Instant, timeout_at};

use super::address::AddressPolicy;
use super::outcome::{CallOutcome, NetworkErrorKind, ReportedResult, outcome_of_error, retry_after};
use super::peer::CheckPeer;
use super::resolver::{GuardedResolver, NameResolver, SystemResolver};
use super::target::RepairUrl;
use super::tls;

/// How many bytes of a repair endpoint's answer are read.
pub const MAX_HEAD_BYTES: usize = 1024;

/// What a [`CallbackClient`] is made from.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Which addresses may be called.
    pub policy: AddressPolicy,
    /// Certificates in PEM, trusted beside the system's (`--callback-ca`).
    pub extra_root_ca_pem: Option<Vec<u8>>,
    /// The `User-Agent` header.
    pub user_agent: String,
    /// How long looking up, connecting and the TLS handshake may take together.
    pub connect_timeout: Duration,
    /// How long a call may take in all.
    pub total_timeout: Duration,
    /// How long the answer's body may take, within the time in all.
    pub body_timeout: Duration,
    /// How many bytes of an answer's body are read.
    pub max_head_bytes: usize,
    /// Finds the addresses of host names.
    pub resolver: Arc<dyn NameResolver>,
}

impl ClientConfig {
    /// The configuration for signed callbacks: 10 s to connect, 30 s in all, 5 s for the body, the system's resolver
    /// and root certificates, and `SendPromptly/<version>` as the user agent.
    #[must_use]
    pub fn new(policy: AddressPolicy) -> Self {
        Self {
            policy,
            extra_root_ca_pem: None,
            user_agent: concat!("SendPromptly/", env!("CARGO_PKG_VERSION")).to_owned(),
            connect_timeout: Duration::from_secs(10),
            total_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(5),
            max_head_bytes: MAX_HEAD_BYTES,
            resolver: Arc::new(SystemResolver),
        }
    }
}

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The user agent cannot stand in a header.
    #[error("the callbacks' user agent holds characters that a header cannot")]
    UserAgent,
    /// The file of the operator's authority holds no certificate.
    #[error("the callback CA file holds no certificate; it must hold at least one in PEM form")]
    NoCa,
    /// The file of the operator's authority holds something that is none.
    #[error(
        "the callback CA file holds a certificate that cannot be read; each must be an authority's, in PEM form"
    )]
    BadCa,
    /// The TLS library refused its own configuration.
    #[error("TLS for callbacks could not be set up: {0}")]
    Tls(#[source] rustls::Error),
    /// The HTTP library refused its configuration.
    #[error("the callback client could not be set up: {0}")]
    Http(#[source] reqwest::Error),
}

/// Calls repair URLs, and only those that the policy allows. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CallbackClient {
    http: reqwest::Client,
    policy: Arc<AddressPolicy>,
    total_timeout: Duration,
    body_timeout: Duration,
    max_head_bytes: usize,
}

impl CallbackClient {
    /// Makes a client. A system without root certificates is warned of in the log, not refused.
    ///
    /// # Errors
    ///
    /// [`ClientError`] where the configuration cannot work.
    pub fn new(config: ClientConfig) -> Result<Self, ClientError> {
        let user_agent = HeaderValue::try_from(config.user_agent).map_err(|_| ClientError::UserAgent)?;
        let tls = tls::client_config(config.extra_root_ca_pem.as_deref())?;
        let policy = Arc::new(config.policy);
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(GuardedResolver {
                policy: Arc::clone(&policy),
                resolver: config.resolver,
            })
            .connector_layer(CheckPeer {
                policy: Arc::clone(&policy),
            })
            .https_only(!policy.allow_private)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            // A pooled connection would outlive the check of its address.
            .pool_max_idle_per_host(0)
            .connect_timeout(config.connect_timeout)
            .user_agent(user_agent)
            .build()
            .map_err(ClientError::Http)?;
        Ok(Self {
            http,
            policy,
            total_timeout: config.total_timeout,
            body_timeout: config.body_timeout,
            max_head_bytes: config.max_head_bytes,
        })
    }

    /// Sends one `POST` and tells what became of it. `headers` come beside `Host`, `User-Agent`, `Accept` and
    /// `Content-Length`.
    ///
    /// `cut` gives the call up once it is ready. After the status line only the rest of the body is lost by that.
    pub async fn call(
        &self,
        target: &RepairUrl,
        headers: Vec<(HeaderName, HeaderValue)>,
        body: Bytes,
        cut: impl Future<Output = ()>,
    ) -> CallOutcome {
        let request = self.http.post(target.url().clone()).body(body);
        self.exchange(target, request, headers, cut).await
    }

    /// Sends one `GET` and tells what became of it, as [`call`](Self::call) does.
    pub async fn get(&self, target: &RepairUrl, headers: Vec<(HeaderName, HeaderValue)>) -> CallOutcome {
        let request = self.http.get(target.url().clone());
        self.exchange(target, request, headers, pending()).await
    }

    async fn exchange(
        &self,
        target: &RepairUrl,
        request: RequestBuilder,
        headers: Vec<(HeaderName, HeaderValue)>,
        cut: impl Future<Output = ()>,
    ) -> CallOutcome {
        // The HTTP library does not ask its resolver about a literal address.
        if let Err(reason) = target.check(&self.policy) {
            return CallOutcome::Refused { reason };
        }
        let request = request.headers(headers.into_iter().collect::<HeaderMap>());
        let start = Instant::now();
        let deadline = start + self.total_timeout;
        let mut cut = pin!(cut);
        let sent = tokio::select! {
            biased; // a status line that is there counts
            sent = timeout_at(deadline, request.send()) => sent,
            () = &mut cut => return CallOutcome::CutOff,
        };
        match sent {
            Ok(Ok(response)) => self.read_answer(response, start, deadline, cut).await,
            Ok(Err(error)) => outcome_of_error(&error, start.elapsed()),
            Err(_) => CallOutcome::NetworkError {
                kind: NetworkErrorKind::Timeout,
                duration: start.elapsed(),
            },
        }
    }

    async fn read_answer(
        &self,
        response: Response,
        start: Instant,
        deadline: Instant,
        cut: impl Future<Output = ()>,
    ) -> CallOutcome {
        let duration = start.elapsed();
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let result = ReportedResult::from_headers(response.headers()).filter(|_| status.is_success());
        let deadline = deadline.min(Instant::now() + self.body_timeout);
        let head = read_head(response, self.max_head_bytes, deadline, cut).await;
        CallOutcome::Answered {
            status: status.as_u16(),
            retry_after,
            result,
            head,
            duration,
        }
    }
}

/// Reads the body's first bytes; what is there when it fails, is cut off or time runs out is what there is.
async fn read_head(
    mut response: Response,
    most: usize,
    deadline: Instant,
    cut: impl Future<Output = ()>,
) -> Bytes {
    let mut head = BytesMut::with_capacity(MAX_HEAD_BYTES);
    let mut cut = pin!(cut);
    while head.len() < most {
        let chunk = tokio::select! {
            biased;
            chunk = timeout_at(deadline, response.chunk()) => chunk,
            () = &mut cut => break,
        };
        let Ok(Ok(Some(chunk))) = chunk else {
            break;
        };
        let room = most - head.len();
        head.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    head.freeze()
}
