//! Bodies of callers of whom nothing is known yet: what they are signed by is over the body, so the body comes first.
//!
//! The memory that such bodies may take is bounded: for each network that they come from, for each endpoint that they
//! are for, and in all. Whoever sends much or slowly fills the room of his own network: what comes from there waits a
//! while, and what comes from elsewhere does not.

use std::net::IpAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::body::Body;
use sendpromptly_core::event::Provider;
use sendpromptly_core::id::ProjectId;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::rooms::Rooms;
use crate::http::{ApiError, body, network};

/// The most bytes of all of them.
const IN_ALL: usize = 64 * MIB;
/// The most bytes for one endpoint.
const OF_AN_ENDPOINT: usize = 8 * MIB;
/// The most bytes from one network.
const OF_A_NETWORK: usize = 2 * MIB;
const MIB: usize = 1_024 * 1_024;

/// How long a body waits for room, and how long it may then take to come. Providers send from where networks are good,
/// and send again what was refused.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// What bodies are for: a project's endpoint for a provider, or what Stripe tells of subscriptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Target {
    /// A project's endpoint.
    Project(ProjectId, Provider),
    /// This server's own billing.
    Billing,
}

/// Reads such bodies.
#[derive(Debug)]
pub(super) struct UnverifiedBodies {
    all: Arc<Semaphore>,
    targets: Rooms<Target>,
    networks: Rooms<IpAddr>,
}

/// A body of which nothing is known yet. It holds its room for as long as it is there.
#[derive(Debug)]
pub(super) struct Unverified {
    body: Bytes,
    _room: [OwnedSemaphorePermit; 3],
}

impl Default for UnverifiedBodies {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(IN_ALL)),
            targets: Rooms::new(OF_AN_ENDPOINT),
            networks: Rooms::new(OF_A_NETWORK),
        }
    }
}

impl UnverifiedBodies {
    /// Reads a body of at most so many bytes. One that does not say how long it is takes the room of the longest.
    ///
    /// # Errors
    /// [`ApiError::NoRoom`] where there was no room in time, and what reading a body comes to.
    pub(super) async fn read<B: Body<Data = Bytes> + Unpin>(
        &self,
        target: Target,
        client: IpAddr,
        body: B,
        max: usize,
    ) -> Result<Unverified, ApiError> {
        let size = body.size_hint();
        let max_bytes = max as u64;
        if size.lower() > max_bytes {
            return Err(ApiError::PayloadTooLarge);
        }
        let bytes = size.upper().unwrap_or(max_bytes).min(max_bytes);
        let bytes = u32::try_from(bytes).map_err(|_| ApiError::PayloadTooLarge)?;
        let room = timeout(PATIENCE, self.enter(target, client, bytes)).await;
        let room = room.ok().flatten().ok_or(ApiError::NoRoom)?;
        Ok(Unverified {
            body: body::read_within(body, max, PATIENCE).await?,
            _room: room,
        })
    }

    /// Only the network's room is waited for: what waited for another's would hold up its own meanwhile.
    async fn enter(&self, target: Target, client: IpAddr, bytes: u32) -> Option<[OwnedSemaphorePermit; 3]> {
        let of_network = self.networks.enter(network(client), bytes).await?;
        let of_target = self.targets.try_enter(target, bytes)?;
        let of_all = self.all.clone().try_acquire_many_owned(bytes).ok()?;
        Some([of_network, of_target, of_all])
    }
}

impl Deref for Unverified {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.body
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::FutureExt;
    use http_body_util::{Full, StreamBody};
    use hyper::body::Frame;

    use super::*;

    const MAX: usize = 512 * 1_024;

    fn from(host: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, host])
    }

    fn endpoint(number: u8) -> Target {
        Target::Project(ProjectId::from_bytes([number; 16]), Provider::Stripe)
    }

    fn never() -> impl Body<Data = Bytes> + Unpin {
        StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, Infallible>>())
    }

    fn whole() -> Full<Bytes> {
        Full::new(Bytes::from_static(b"{}"))
    }

    /// Whether a body that is there is read at once.
    fn is_read(bodies: &UnverifiedBodies, target: Target, client: IpAddr) -> bool {
        let read = bodies.read(target, client, whole(), MAX).now_or_never();
        read.is_some_and(|read| read.is_ok_and(|body| *body == *b"{}"))
    }

    /// Bodies that never come, from this address for these endpoints.
    fn slow(
        bodies: &Arc<UnverifiedBodies>,
        client: IpAddr,
        targets: impl IntoIterator<Item = Target>,
    ) -> Vec<tokio::task::JoinHandle<Result<Unverified, ApiError>>> {
        let read = |target| {
            let bodies = bodies.clone();
            tokio::spawn(async move { bodies.read(target, client, never(), MAX).await })
        };
        targets.into_iter().map(read).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn bodies_that_do_not_come_hold_up_their_own_network_only() {
        let bodies = Arc::new(UnverifiedBodies::default());
        let slow = slow(&bodies, from(1), (0..200).map(|_| endpoint(1)));
        tokio::task::yield_now().await;
        assert!(!is_read(&bodies, endpoint(1), from(1)));
        assert!(!is_read(&bodies, Target::Billing, from(1)));
        for target in [endpoint(1), endpoint(2), Target::Billing] {
            assert!(is_read(&bodies, target, from(2)), "{target:?}");
        }
        let mut errors = Vec::new();
        for body in slow {
            errors.push(body.await.unwrap().unwrap_err());
        }
        for error in [ApiError::RequestTimeout, ApiError::NoRoom] {
            assert!(errors.contains(&error), "{error:?}");
        }
        errors.retain(|error| !matches!(error, ApiError::RequestTimeout | ApiError::NoRoom));
        assert_eq!(errors, []);
        assert!(is_read(&bodies, endpoint(1), from(1)), "they are given up");
    }

    #[tokio::test(start_paused = true)]
    async fn many_networks_hold_up_the_endpoint_that_they_send_to_and_no_other() {
        let bodies = Arc::new(UnverifiedBodies::default());
        let slow: Vec<_> = (1..100)
            .flat_map(|host| slow(&bodies, from(host), [endpoint(1); 4]))
            .collect();
        tokio::task::yield_now().await;
        assert!(!is_read(&bodies, endpoint(1), from(200)));
        assert!(is_read(&bodies, endpoint(2), from(200)));
        assert!(is_read(&bodies, Target::Billing, from(200)));
        slow.iter().for_each(tokio::task::JoinHandle::abort);
    }

    #[tokio::test]
    async fn a_body_holds_its_room_until_it_is_dropped() {
        let bodies = UnverifiedBodies::default();
        let large = || Full::new(Bytes::from(vec![0; MAX]));
        let mut held = Vec::new();
        for _ in 0..OF_A_NETWORK / MAX {
            held.push(bodies.read(Target::Billing, from(1), large(), MAX).await.unwrap());
        }
        assert!(
            bodies
                .read(Target::Billing, from(1), large(), MAX)
                .now_or_never()
                .is_none()
        );
        held.pop();
        assert!(
            bodies
                .read(Target::Billing, from(1), large(), MAX)
                .now_or_never()
                .is_some()
        );
    }

    #[tokio::test]
    async fn what_is_too_large_takes_no_room() {
        let bodies = UnverifiedBodies::default();
        let large = Full::new(Bytes::from(vec![0; MAX + 1]));
        let refused = bodies.read(Target::Billing, from(1), large, MAX).await;
        assert_eq!(refused.unwrap_err(), ApiError::PayloadTooLarge);
        assert_eq!(bodies.all.available_permits(), IN_ALL);
    }
}
