//! A room with so many places for each of many keys, so that nobody takes the places of another.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Rooms, each there for as long as somebody is in it or waits for it.
pub(super) struct Rooms<K> {
    places: usize,
    open: Mutex<HashMap<K, Weak<Semaphore>>>,
}

impl<K: Eq + Hash> Rooms<K> {
    /// Rooms with so many places each.
    pub(super) fn new(places: usize) -> Self {
        Self {
            places,
            open: Mutex::new(HashMap::new()),
        }
    }

    /// Takes so many places in the room of this key, in the order in which they were asked for; `None` where there will
    /// never be any.
    pub(super) async fn enter(&self, key: K, places: u32) -> Option<OwnedSemaphorePermit> {
        let room = self.of(key);
        room.acquire_many_owned(places).await.ok()
    }

    /// Takes so many places in the room of this key, unless it has fewer left.
    pub(super) fn try_enter(&self, key: K, places: u32) -> Option<OwnedSemaphorePermit> {
        self.of(key).try_acquire_many_owned(places).ok()
    }

    fn of(&self, key: K) -> Arc<Semaphore> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(room) = open.get(&key).and_then(Weak::upgrade) {
            return room;
        }
        if open.len() == open.capacity() {
            open.retain(|_, room| room.strong_count() > 0);
        }
        let room = Arc::new(Semaphore::new(self.places));
        open.insert(key, Arc::downgrade(&room));
        room
    }
}

impl<K> fmt::Debug for Rooms<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rooms").field("places", &self.places).finish()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_full_room_is_waited_for_and_others_are_open() {
        let rooms = Rooms::new(2);
        let held = rooms.enter("a", 2).await;
        let mut next = std::pin::pin!(rooms.enter("a", 1));
        assert!(next.as_mut().now_or_never().is_none());
        assert!(rooms.try_enter("a", 1).is_none());
        assert!(rooms.enter("b", 2).now_or_never().flatten().is_some());
        drop(held);
        assert!(next.now_or_never().flatten().is_some());
    }

    #[tokio::test]
    async fn rooms_that_nobody_is_in_are_forgotten() {
        let rooms = Rooms::new(1);
        let held = rooms.enter(0, 1).await;
        for key in 1..10_000 {
            rooms.enter(key, 1).await;
        }
        assert!(rooms.open.lock().unwrap().len() < 100);
        assert!(rooms.enter(0, 1).now_or_never().is_none(), "who is in one is not");
        drop(held);
    }
}
