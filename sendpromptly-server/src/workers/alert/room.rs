//! What a node sends at once: so much by each way, and to each project, that no few of them take all of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use sendpromptly_core::alert::Channel;
use sendpromptly_core::id::ProjectId;
use tokio::sync::{Notify, watch};

use crate::store::alert_queue::Room;

/// Calls at once.
const CALLS: usize = 128;

/// Mails at once, which all go to one server.
const MAILS: usize = 8;

/// Messages of one project at once.
const OF_A_PROJECT: usize = 4;

/// The messages under way. Clones share them.
#[derive(Debug, Clone, Default)]
pub(in crate::workers) struct UnderWay {
    taken: Arc<Mutex<Taken>>,
    count: watch::Sender<usize>,
    /// Wakes who has messages that wait for room.
    pub(super) wake: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Taken {
    mails: usize,
    calls: usize,
    projects: BTreeMap<ProjectId, usize>,
}

/// The place of a message that is under way, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    under_way: UnderWay,
    channel: Channel,
    project: ProjectId,
}

impl UnderWay {
    /// What there is room for.
    pub(super) fn room(&self) -> Room {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let mut channels = Vec::new();
        if taken.calls < CALLS {
            channels.extend([Channel::Slack, Channel::Webhook]);
        }
        if taken.mails < MAILS {
            channels.push(Channel::Email);
        }
        let full = taken.projects.iter().filter(|(_, count)| **count >= OF_A_PROJECT);
        Room {
            channels,
            full: full.map(|(project, _)| *project).collect(),
        }
    }

    /// Takes a place.
    pub(super) fn take(&self, project: ProjectId, channel: Channel) -> Place {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        *taken.way(channel) += 1;
        *taken.projects.entry(project).or_default() += 1;
        self.count.send_modify(|count| *count += 1);
        Place {
            under_way: self.clone(),
            channel,
            project,
        }
    }

    /// Waits until none is under way.
    pub(in crate::workers) async fn none(&self) {
        let mut count = self.count.subscribe();
        let _ = count.wait_for(|count| *count == 0).await; // its sender is here
    }
}

impl Taken {
    fn way(&mut self, channel: Channel) -> &mut usize {
        match channel {
            Channel::Email => &mut self.mails,
            Channel::Slack | Channel::Webhook => &mut self.calls,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let under_way = &self.under_way;
        let mut taken = under_way.taken.lock().unwrap_or_else(PoisonError::into_inner);
        *taken.way(self.channel) -= 1;
        if let Some(count) = taken.projects.get_mut(&self.project) {
            *count -= 1;
        }
        taken.projects.retain(|_, count| *count > 0);
        under_way.count.send_modify(|count| *count -= 1);
        under_way.wake.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(number: u8) -> ProjectId {
        ProjectId::from_bytes([number; 16])
    }

    #[test]
    fn mails_that_hang_leave_room_for_calls_and_a_project_for_others() {
        let under_way = UnderWay::default();
        let take = |number, channel| under_way.take(project(number), channel);
        let mails: Vec<_> = (0..8).map(|number| take(number, Channel::Email)).collect();
        assert_eq!(under_way.room().channels, [Channel::Slack, Channel::Webhook]);
        let calls: Vec<_> = (0..4).map(|_| take(9, Channel::Slack)).collect();
        assert_eq!(under_way.room().full, [project(9)]);
        drop((mails, calls));
        let room = under_way.room();
        assert_eq!((room.channels.len(), room.full.len()), (3, 0));
    }

    #[test]
    fn projects_whose_receivers_all_hang_take_all_room_only_by_the_dozen() {
        let under_way = UnderWay::default();
        let mut places = Vec::new();
        for number in 0..31 {
            places.extend((0..OF_A_PROJECT).map(|_| under_way.take(project(number), Channel::Webhook)));
        }
        let room = under_way.room();
        assert!(room.channels.contains(&Channel::Webhook) && room.full.len() == 31);
    }

    #[tokio::test]
    async fn a_place_that_becomes_free_wakes_and_the_last_one_ends_the_wait() {
        let under_way = UnderWay::default();
        under_way.none().await;
        let place = under_way.take(project(1), Channel::Email);
        let waiting = tokio::spawn({
            let under_way = under_way.clone();
            async move { under_way.none().await }
        });
        drop(place);
        under_way.wake.notified().await;
        waiting.await.unwrap();
    }
}
