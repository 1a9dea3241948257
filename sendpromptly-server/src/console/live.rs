//! Live pages: whoever listens to an organization is told when something of it has changed, as server-sent events.
//!
//! What changes an incident's state writes to the organization's audit log, whatever node it happens on; so the place
//! of the log's head tells that there is something new. One query a second asks for the heads of all organizations
//! that somebody listens to, and none where nobody does. The page is then fetched again by the script that
//! listens; nothing of its content travels this way.
//!
//! Receipts, further failures of what is open and the calls of a replay write no entry. A page on which one of these
//! may yet come says `data-busy`, and its script looks by itself.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use hyper::body::Frame;
use sendpromptly_core::id::{OrganizationId, UserId};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::access::Seat;
use super::{PageError, Visit};
use crate::http::{Response, response};
use crate::platform::clock;
use crate::store::Store;
use crate::store::scope::Membership;
use crate::store::sessions::SessionToken;

/// How often the heads are asked for.
const EVERY: Duration = Duration::from_secs(1);
/// A listener hears something at least this often, and is looked at: may it still listen?
const HEARTBEAT: Duration = Duration::from_secs(15);
/// A listener that cannot be looked at for so long, since the store is down, listens no more.
const LOOK: Duration = Duration::from_secs(5);
/// Listeners of one user at once, in all browsers: so many pages are live.
const OF_A_USER: usize = 12;
/// Listeners of a node at once.
const OF_ALL: usize = 1_024;

/// The place of an audit log's head; `None` until it was asked for.
type Seen = Option<u64>;

/// Those who listen on this node.
#[derive(Clone)]
pub struct Live {
    store: Store,
    listeners: Arc<Mutex<Listeners>>,
    /// Dropped at the stop, which ends every stream.
    open: Arc<Mutex<Option<watch::Sender<()>>>>,
    closed: watch::Receiver<()>,
}

#[derive(Default)]
struct Listeners {
    organizations: HashMap<OrganizationId, watch::Sender<Seen>>,
    users: HashMap<UserId, usize>,
    /// Whether somebody asks for the heads already.
    asking: bool,
}

impl Live {
    /// Nobody listens yet.
    #[must_use]
    pub fn new(store: Store) -> Self {
        let (open, closed) = watch::channel(());
        Self {
            store,
            listeners: Arc::default(),
            open: Arc::new(Mutex::new(Some(open))),
            closed,
        }
    }

    /// Ends every stream, and takes no more.
    pub fn close(&self) {
        lock(&self.open).take();
    }

    /// Joins those who listen to an organization; `None` where they are too many.
    fn join(&self, organization: OrganizationId, user: UserId) -> Option<(Ticket, watch::Receiver<Seen>)> {
        let mut listeners = lock(&self.listeners);
        let all: usize = listeners.users.values().sum();
        let of_user = listeners.users.get(&user).copied().unwrap_or(0);
        if of_user >= OF_A_USER || all >= OF_ALL {
            return None;
        }
        listeners.users.insert(user, of_user + 1);
        let heads = listeners.organizations.entry(organization);
        let receiver = heads.or_insert_with(|| watch::channel(None).0).subscribe();
        if !std::mem::replace(&mut listeners.asking, true) {
            tokio::spawn(self.clone().ask());
        }
        let ticket = Ticket {
            listeners: self.listeners.clone(),
            user,
        };
        Some((ticket, receiver))
    }

    /// Asks for the heads as long as somebody listens.
    async fn ask(self) {
        let mut closed = self.closed.clone();
        while let Some(organizations) = self.listened_to() {
            match self.store.audit_seqs(&organizations).await {
                Ok(heads) => self.tell(&organizations, &heads),
                Err(error) => tracing::debug!(%error, "who listens is not told"),
            }
            if timeout(EVERY, closed.changed()).await.is_ok() {
                break;
            }
        }
    }

    /// The organizations that somebody listens to; where there is none, nobody asks any longer.
    fn listened_to(&self) -> Option<Vec<OrganizationId>> {
        let mut listeners = lock(&self.listeners);
        listeners
            .organizations
            .retain(|_, heads| heads.receiver_count() > 0);
        let organizations: Vec<_> = listeners.organizations.keys().copied().collect();
        listeners.asking = !organizations.is_empty();
        listeners.asking.then_some(organizations)
    }

    fn tell(&self, asked: &[OrganizationId], heads: &HashMap<OrganizationId, u64>) {
        let listeners = lock(&self.listeners);
        for organization in asked {
            let seq = Some(heads.get(organization).copied().unwrap_or(0)); // a log without entries has no head
            if let Some(sender) = listeners.organizations.get(organization) {
                sender.send_if_modified(|seen| std::mem::replace(seen, seq) != seq);
            }
        }
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Live(..)")
    }
}

/// The data behind these locks is whole at every step, so a panic of another holder does not matter.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A place among the listeners, which is given back when it is dropped.
struct Ticket {
    listeners: Arc<Mutex<Listeners>>,
    user: UserId,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut listeners = lock(&self.listeners);
        if let Some(count) = listeners.users.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                listeners.users.remove(&self.user);
            }
        }
    }
}

/// `/orgs/{org}/live`: tells of changes until the session or the membership ends. `since` in the query is the
/// place of the log's head that the page knows.
///
/// # Errors
/// [`PageError::TooMany`] where too many listen.
pub async fn listen(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let live = visit.console.live.clone();
    let organization = seat.scope.id();
    let (ticket, heads) = live
        .join(organization, seat.who.user)
        .ok_or(PageError::TooMany(HEARTBEAT))?;
    let listener = Listener {
        known: visit.query.text("since").parse().ok(),
        heads,
        closed: live.closed.clone(),
        next_look: Instant::now() + HEARTBEAT,
        user: seat.who.user,
        organization,
        token: visit.token.clone(),
        store: live.store,
        _ticket: ticket,
    };
    // The first piece shows the browser that the stream is there.
    let first = stream::once(async { Ok(Frame::data(Bytes::from_static(b"retry: 3000\n\n"))) });
    let rest = stream::unfold(listener, |mut listener| async move {
        let piece = listener.next().await?;
        Some((Ok(Frame::data(piece)), listener))
    });
    let pieces = futures_util::StreamExt::chain(first, rest);
    Ok(response::stream("text/event-stream", Box::pin(pieces)))
}

/// One who listens.
struct Listener {
    known: Seen,
    heads: watch::Receiver<Seen>,
    closed: watch::Receiver<()>,
    next_look: Instant,
    user: UserId,
    organization: OrganizationId,
    token: SessionToken,
    store: Store,
    _ticket: Ticket,
}

impl Listener {
    /// What to send next; `None` ends the stream.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if Instant::now() >= self.next_look {
                self.next_look = Instant::now() + HEARTBEAT;
                if !self.may_go_on().await {
                    return None;
                }
                return Some(Bytes::from_static(b": still here\n\n"));
            }
            let seen = *self.heads.borrow_and_update();
            if let Some(seq) = seen {
                let news = self.known.is_some_and(|known| known != seq);
                self.known = Some(seq);
                if news {
                    // Whoever has lost the right to see what changed is not told that it did.
                    let allowed = self.may_go_on().await;
                    return allowed.then(|| Bytes::from(format!("event: change\ndata: {seq}\n\n")));
                }
            }
            tokio::select! {
                changed = self.heads.changed() => changed.ok()?,
                () = sleep_until(self.next_look) => {}
                _ = self.closed.changed() => return None,
            }
        }
    }

    /// Whether the session still opens the organization. One whose token was replaced comes again with the new one.
    async fn may_go_on(&self) -> bool {
        let look = async {
            let session = self.store.session(&self.token, clock::now()).await?;
            let session = session.filter(|session| session.complete && session.user == self.user);
            let Some(session) = session else { return Ok(false) };
            let place = self.store.membership(self.user, self.organization).await?;
            let allowed =
                |place: Membership| session.shown.has_second_factor || !place.requires_second_factor;
            Ok::<_, crate::store::StoreError>(place.is_some_and(allowed))
        };
        matches!(timeout(LOOK, look).await, Ok(Ok(true)))
    }
}

#[cfg(test)]
mod tests {
    use sendpromptly_core::access::Role;

    use super::*;
    use crate::platform::entropy;
    use crate::store::rows::Sql;
    use crate::testing::console::House;

    #[tokio::test]
    async fn a_user_has_so_many_live_pages_and_whoever_is_refused_leaves_nothing_behind() {
        let house = House::open().await;
        let live = house.console.live.clone();
        let organization = house.world.organization;
        let user = || UserId::new(clock::now(), entropy::for_id());
        let one = user();
        let mut held: Vec<_> = (0..OF_A_USER)
            .map(|_| live.join(organization, one).unwrap())
            .collect();
        assert!(live.join(organization, one).is_none());
        while held.len() < OF_ALL {
            held.push(live.join(organization, user()).unwrap());
        }
        let known = lock(&live.listeners).users.len();
        assert!(live.join(organization, user()).is_none(), "the node is full");
        assert_eq!(lock(&live.listeners).users.len(), known);
        drop(held);
        assert!(lock(&live.listeners).users.is_empty() && live.join(organization, one).is_some());
        house.close().await;
    }

    #[tokio::test]
    async fn a_stream_ends_where_the_organization_comes_to_require_a_second_factor_that_is_missing() {
        let house = House::open().await;
        let organization = house.world.organization;
        let without = house.member("ada@example.com", Role::Viewer).await;
        let with = house.member("grace@example.com", Role::Viewer).await;
        let with = house.sign_in_with_code(&with, 0).await;
        let live = &house.console.live;
        let listener = |person: &crate::testing::console::Person| {
            let (ticket, heads) = live.join(organization, person.user).unwrap();
            Listener {
                known: None,
                heads,
                closed: live.closed.clone(),
                next_look: Instant::now() + HEARTBEAT,
                user: person.user,
                organization,
                token: person.token.clone(),
                store: live.store.clone(),
                _ticket: ticket,
            }
        };
        let (without, with) = (listener(&without), listener(&with));
        assert!(without.may_go_on().await && with.may_go_on().await);
        let require = Sql::new("UPDATE organizations SET requires_second_factor = 1 WHERE id = {}");
        house.world.write(require.bind(organization.as_bytes())).await;
        assert!(!without.may_go_on().await && with.may_go_on().await);
        drop((without, with));
        house.close().await;
    }
}
