//! The last check: the address that a connection really has, before a byte of the request is written.

use std::error::Error;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::{Connection, HttpInfo};
use tower_layer::Layer;
use tower_service::Service;

use super::address::AddressPolicy;
use super::target::{TargetError, check_literal};

type BoxError = Box<dyn Error + Send + Sync>;

/// Wraps a connector and drops every connection whose peer may not be called.
///
/// The usual connector skips its resolver for a literal address. Literals are checked before the dial; this holds
/// should either check ever be passed by.
#[derive(Debug, Clone)]
pub(super) struct CheckPeer {
    pub(super) policy: Arc<AddressPolicy>,
}

impl<S> Layer<S> for CheckPeer {
    type Service = CheckedConnector<S>;

    fn layer(&self, connector: S) -> Self::Service {
        CheckedConnector {
            connector,
            policy: Arc::clone(&self.policy),
        }
    }
}

/// A connector that gives only connections to allowed peers.
#[derive(Debug, Clone)]
pub(super) struct CheckedConnector<S> {
    connector: S,
    policy: Arc<AddressPolicy>,
}

impl<S, Destination> Service<Destination> for CheckedConnector<S>
where
    S: Service<Destination>,
    S::Response: Connection,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, destination: Destination) -> Self::Future {
        let connecting = self.connector.call(destination);
        let policy = Arc::clone(&self.policy);
        Box::pin(async move {
            let connection = connecting.await.map_err(Into::into)?;
            let peer = peer_of(&connection).ok_or(PeerError::Unknown)?;
            check_literal(peer, &policy).map_err(PeerError::Refused)?;
            Ok(connection)
        })
    }
}

fn peer_of(connection: &impl Connection) -> Option<IpAddr> {
    let mut extensions = hyper::http::Extensions::new();
    connection.connected().get_extras(&mut extensions);
    extensions.get::<HttpInfo>().map(|info| info.remote_addr().ip())
}

/// Why a connection that was made is not used.
#[derive(Debug, thiserror::Error)]
pub(super) enum PeerError {
    /// Its peer may not be called.
    #[error(transparent)]
    Refused(TargetError),
    /// The connector does not tell its peer, so it cannot be trusted.
    #[error("the connection's peer is not known")]
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper_util::client::legacy::connect::HttpConnector;
    use tokio::net::TcpListener;

    async fn connect(policy: AddressPolicy) -> Result<(), BoxError> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let destination = format!("http://{}/", listener.local_addr().unwrap())
            .parse::<hyper::Uri>()
            .unwrap();
        let mut connector = CheckPeer {
            policy: Arc::new(policy),
        }
        .layer(HttpConnector::new());
        connector.call(destination).await.map(|_connection| ())
    }

    #[tokio::test]
    async fn drops_a_connection_to_a_forbidden_peer() {
        let error = connect(AddressPolicy::default()).await.unwrap_err();
        let error = error.downcast_ref::<PeerError>().unwrap();
        assert!(
            matches!(error, PeerError::Refused(TargetError::ForbiddenAddress { .. })),
            "{error}"
        );
    }

    #[tokio::test]
    async fn gives_a_connection_to_an_allowed_peer() {
        connect(AddressPolicy {
            allow_private: true,
            ..AddressPolicy::default()
        })
        .await
        .unwrap();
    }
}
