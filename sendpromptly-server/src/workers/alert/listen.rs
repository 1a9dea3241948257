//! Looks where no receipt comes, or comes again, and tells of it.

use std::collections::BTreeMap;
use std::time::Duration;

use sendpromptly_core::alert::News;
use sendpromptly_core::id::ProjectId;
use sendpromptly_core::time::Timestamp;
use tokio::time::Instant;

use crate::store::alert_queue::QuietProject;
use crate::store::{Store, StoreError};

/// How often is looked.
const EVERY: Duration = Duration::from_secs(10);

/// Projects that are looked at together.
const PROJECTS: u32 = 200;

/// Listens for receipts.
#[derive(Debug, Clone)]
pub(super) struct Listener {
    /// Since when this process could have had receipts.
    up_since: Timestamp,
    /// How long a missing payment may be made up for; `None` where nobody pays.
    grace: Option<Duration>,
    /// Until when receipts of these projects were refused, for they are not paid for.
    refused_until: BTreeMap<ProjectId, Timestamp>,
    again_at: Instant,
}

impl Listener {
    pub(super) fn new(up_since: Timestamp, grace: Option<Duration>) -> Self {
        Self {
            up_since,
            grace,
            refused_until: BTreeMap::new(),
            again_at: Instant::now(),
        }
    }

    /// Looks, where it is time.
    pub(super) async fn listen(&mut self, store: &Store, now: Timestamp) -> Result<(), StoreError> {
        if Instant::now() < self.again_at {
            return Ok(());
        }
        let mut after = ProjectId::from_bytes([0; 16]);
        loop {
            let projects = store.listened_to(after, PROJECTS).await?;
            for quiet in &projects {
                if let Some(news) = self.news(store, quiet, now).await? {
                    store.tell_of_silence(quiet.project, news, now).await?;
                }
            }
            match projects.last() {
                Some(last) if projects.len() == PROJECTS as usize => after = last.project,
                _ => break,
            }
        }
        self.again_at = Instant::now() + EVERY;
        Ok(())
    }

    /// What there is to tell of a project. Its last receipt is looked for more closely where that decides: the event that
    /// came last need not be the one whose receipt did.
    async fn news(
        &mut self,
        store: &Store,
        quiet: &QuietProject,
        now: Timestamp,
    ) -> Result<Option<News>, StoreError> {
        let Some(up_since) = self.could_hear_since(quiet, now) else {
            return Ok(None);
        };
        let mut silence = quiet.silence;
        let decides = silence.told_at.is_some() || silence.news(up_since, now).is_some();
        if !decides {
            return Ok(None);
        }
        silence.last_receipt_at = store.last_receipt(quiet.project).await?;
        Ok(silence.news(up_since, now))
    }

    /// Since when receipts of a project would have been taken; `None` where they are refused.
    fn could_hear_since(&mut self, quiet: &QuietProject, now: Timestamp) -> Option<Timestamp> {
        let refused = self
            .grace
            .is_some_and(|grace| !quiet.plan.access(now, grace).allows());
        if refused {
            self.refused_until.insert(quiet.project, now);
            return None;
        }
        let since = self.refused_until.get(&quiet.project).copied();
        Some(since.map_or(self.up_since, |since| since.max(self.up_since)))
    }
}

#[cfg(test)]
mod tests {
    use sendpromptly_core::alert::Silence;
    use sendpromptly_core::billing::{Plan, Status};

    use super::*;
    use crate::store::rows::Sql;
    use crate::testing::{self, World};

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn quiet(status: Status) -> QuietProject {
        QuietProject {
            project: ProjectId::from_bytes([1; 16]),
            silence: Silence {
                minutes: 15,
                since: NOW,
                last_receipt_at: None,
                told_at: None,
            },
            plan: Plan {
                made_at: Timestamp::from_millis(0),
                status: Some(status),
                past_due_since: None,
            },
        }
    }

    #[test]
    fn where_receipts_are_refused_their_absence_is_no_news_and_counts_only_from_then() {
        let mut listener = Listener::new(NOW, Some(Duration::ZERO));
        let after = |minutes| NOW.plus_minutes(minutes);
        let mut since = |status, at| listener.could_hear_since(&quiet(status), at);
        assert_eq!(since(Status::Active, after(1)), Some(NOW));
        assert_eq!(since(Status::Canceled, after(20)), None);
        assert_eq!(since(Status::Active, after(21)), Some(after(20)));
        let mut free = Listener::new(NOW, None);
        assert_eq!(
            free.could_hear_since(&quiet(Status::Canceled), after(9)),
            Some(NOW)
        );
    }

    #[tokio::test]
    async fn that_no_receipt_comes_is_told_once_the_server_was_there_to_hear_it() {
        let world = World::set_up().await;
        let ask = Sql::new("UPDATE projects SET silence_minutes = 15, silence_since = {}");
        world.write(ask.bind(testing::NOW)).await;
        let after = |minutes| testing::NOW.plus_minutes(minutes);
        let mut listener = Listener::new(after(10), None);
        let mut told_at = async |minutes| {
            listener.again_at = Instant::now();
            listener.listen(&world.store, after(minutes)).await.unwrap();
            let silent = Sql::new("SELECT count(*) AS n FROM alert_changes WHERE news = 'silent'");
            world.number(silent).await
        };
        assert_eq!(told_at(20).await, 0, "it was down for half of that");
        assert_eq!(told_at(25).await, 1);
        assert_eq!(told_at(99).await, 1, "once");
    }
}
