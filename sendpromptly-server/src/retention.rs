//! What is kept for a time only, and how it goes: in passes, each over one kind of thing, in bounded batches.
//!
//! The worker and `retention run` go over the same list, [`PASSES`]. Most passes are rows of one table whose time
//! is over; a pass that takes more is a [`Work`] of its own. `docs/data.md` says for how long each thing is kept.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

use sendpromptly_core::audit::Origin;
use sendpromptly_core::id::ProjectId;
use sendpromptly_core::time::{HOUR_MS, Timestamp};

use crate::checkpoints::Checkpoints;
use crate::store::billing::unclaimed::{Dropped, Told};
use crate::store::erasures::Erased;
use crate::store::old_events::Forgotten;
use crate::store::old_rows::OldRows;
use crate::store::purge::Purged;
use crate::store::snapshots::passes as snapshots;
use crate::store::{
    Store, StoreError, attempts, guesses, hours, idempotency, invitations, known_devices, links, mail_rates,
    provider_intake, second_factors, sessions, sign_ups, signing_secrets,
};

mod audit;
pub mod guard;
mod organizations;
pub mod pace;
#[cfg(test)]
mod tests;

/// Rows in one transaction: few enough that no receipt waits long for it.
pub const BATCH: NonZeroU32 = NonZeroU32::new(1_000).unwrap();

/// Pages of a SQLite file that are given back at once.
pub const PAGES: u32 = 256;

/// Who does what is told in the audit log.
const WORKER: &str = "retain";

/// Rows that go with an event, about: itself, its result, and now and then an incident.
const OF_AN_EVENT: u32 = 4;

/// Every pass, in the order in which they are run. What deleted projects held comes last: it may take many batches.
pub const PASSES: &[Pass] = &[
    Pass::rows("answers", idempotency::old_answers),
    Pass::rows("answer_heads", attempts::old_answer_heads),
    Pass::rows("answer_keys", attempts::old_answer_keys),
    Pass::of("snapshots", Work::Snapshots),
    Pass::of("deleted_snapshots", Work::DeletedSnapshots),
    Pass::rows("snapshot_keys", snapshots::old_keys),
    Pass::rows("guesses", guesses::old_guesses),
    Pass::rows("known_devices", known_devices::old_devices),
    Pass::rows("signing_secrets", signing_secrets::old_secrets),
    Pass::rows("provider_secrets", provider_intake::old_secrets),
    Pass::rows("sessions", sessions::old_sessions),
    Pass::rows("used_forms", sessions::old_forms),
    Pass::rows("second_factor_proposals", second_factors::old_proposals),
    Pass::rows("links", links::old_links),
    Pass::rows("sign_ups", sign_ups::old_sign_ups),
    Pass::rows("invitations", invitations::old_invitations),
    Pass::rows("mail_rates", mail_rates::old_mail_rates),
    Pass::of("unclaimed_stripe_events", Work::Unclaimed(Told::Events)),
    Pass::of(
        "unclaimed_stripe_subscriptions",
        Work::Unclaimed(Told::Subscriptions),
    ),
    Pass::rows("hourly_counts", hours::old_counts),
    Pass::rows("hourly_repairs", hours::old_repairs),
    Pass::of("erasures", Work::Erasures),
    Pass::of("events", Work::Events),
    Pass::of("audit_entries", Work::AuditEntries),
    Pass::of("organizations", Work::Organizations),
    Pass::of("deleted_projects", Work::DeletedProjects),
    Pass::of("deleted_organizations", Work::DeletedOrganizations),
];

/// What the passes work on.
#[derive(Debug, Clone)]
pub struct Keeper {
    /// The store.
    pub store: Store,
    /// Signs where the audit log was pruned.
    pub checkpoints: Arc<Checkpoints>,
    /// Where the next batch goes on.
    places: Arc<Places>,
}

/// How far passes have come that go over many projects or chains, so that no batch looks through all of them.
#[derive(Debug, Default)]
struct Places {
    events: Mutex<Option<ProjectId>>,
    audit: Mutex<Option<audit::Group>>,
    /// Stripe's customers.
    unclaimed: Mutex<BTreeMap<Told, String>>,
}

impl Keeper {
    /// One that begins at the first of everything.
    #[must_use]
    pub fn new(store: Store, checkpoints: Arc<Checkpoints>) -> Self {
        let places = Arc::default();
        Self {
            store,
            checkpoints,
            places,
        }
    }
}

/// A pass over one kind of thing.
#[derive(Debug, Clone, Copy)]
pub struct Pass {
    name: &'static str,
    work: Work,
}

/// What a pass does.
#[derive(Debug, Clone, Copy)]
pub enum Work {
    /// Drops the rows of one table whose time is over.
    Rows(fn(Timestamp) -> OldRows),
    /// Removes payloads whose time is over.
    Snapshots,
    /// Removes payloads that were deleted.
    DeletedSnapshots,
    /// Drops what Stripe has told of customers whom no organization has claimed.
    Unclaimed(Told),
    /// Erases from the audit logs what names users who were deleted; its rows are these users.
    Erasures,
    /// Forgets events, each with all that belongs to it, which counts as one row.
    Events,
    /// Drops the old end of the audit log, chain by chain.
    AuditEntries,
    /// Ends organizations whose deletion was ordered long enough ago.
    Organizations,
    /// Removes what projects held that were deleted, and then the projects.
    DeletedProjects,
    /// Removes the audit logs of organizations that have ended, and then the organizations.
    DeletedOrganizations,
}

/// What one batch of a pass came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// How many rows are gone.
    pub rows: u64,
    /// Whether there may be more.
    pub more: bool,
}

impl Pass {
    pub(crate) const fn rows(name: &'static str, old: fn(Timestamp) -> OldRows) -> Self {
        Self::of(name, Work::Rows(old))
    }

    const fn of(name: &'static str, work: Work) -> Self {
        Self { name, work }
    }

    /// What it goes over, in a word.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What it drops, where that is rows of one table and no more.
    #[cfg(test)]
    pub(crate) fn old_rows(&self, now: Timestamp) -> Option<OldRows> {
        match self.work {
            Work::Rows(old) => Some(old(now)),
            _ => None,
        }
    }

    /// Drops at most `limit` rows of what is over at this time.
    ///
    /// # Errors
    /// [`StoreError`] by its cause. What is gone by then is gone whole.
    pub async fn run(&self, keeper: &Keeper, now: Timestamp, limit: NonZeroU32) -> Result<Batch, StoreError> {
        let store = &keeper.store;
        match self.work {
            Work::Rows(old) => {
                let rows = store.drop_old(old(now), limit.get()).await?;
                let more = rows >= u64::from(limit.get());
                Ok(Batch { rows, more })
            }
            Work::Snapshots => {
                let old = snapshots::old_snapshots(now);
                let rows = store.drop_old(old, of_kilobytes(limit)).await?;
                Ok(Batch { rows, more: rows > 0 })
            }
            Work::DeletedSnapshots => {
                let rows = store.remove_deleted_snapshots(now, of_kilobytes(limit)).await?;
                Ok(Batch { rows, more: rows > 0 })
            }
            Work::Unclaimed(told) => drop_unclaimed(keeper, told, now, limit.get()).await,
            Work::Erasures => {
                let erased = store.erase_details(now, limit.get()).await?;
                let is_done = |erased| matches!(erased, Erased::Batch { is_done: true, .. });
                Ok(Batch {
                    rows: u64::from(is_done(erased)),
                    more: erased != Erased::Nothing,
                })
            }
            Work::Events => {
                let most = limit.get().div_ceil(OF_AN_EVENT);
                let place = &keeper.places.events;
                let from = *place.lock().unwrap_or_else(PoisonError::into_inner);
                let Forgotten { events, more, next } = store.forget_events(from, now, most).await?;
                *place.lock().unwrap_or_else(PoisonError::into_inner) = next;
                Ok(Batch { rows: events, more })
            }
            Work::AuditEntries => audit::prune(keeper, now, limit.get()).await,
            Work::Organizations => {
                let ended = store.end_due_organization(&Origin::system(WORKER), now).await?;
                Ok(Batch {
                    rows: u64::from(ended),
                    more: ended,
                })
            }
            Work::DeletedProjects => {
                let purged = store.purge(deleted_by(now), limit.get()).await?;
                let rows = match purged {
                    Purged::Nothing => 0,
                    Purged::Rows(rows) => rows,
                    Purged::Project => 1,
                };
                let more = purged != Purged::Nothing;
                Ok(Batch { rows, more })
            }
            Work::DeletedOrganizations => organizations::remove(keeper, now, limit.get()).await,
        }
    }

    /// How many rows are over at this time. Nothing is dropped.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn count(&self, keeper: &Keeper, now: Timestamp) -> Result<u64, StoreError> {
        let store = &keeper.store;
        match self.work {
            Work::Rows(old) => store.count_old(old(now)).await,
            Work::Snapshots => store.count_old(snapshots::old_snapshots(now)).await,
            Work::DeletedSnapshots => store.count_deleted_snapshots(now).await,
            Work::Unclaimed(told) => store.count_old(told.old(now)).await,
            Work::Erasures => store.erasures_waiting(now).await,
            Work::Events => store.count_old_events(now).await,
            Work::AuditEntries => audit::count(store, now).await,
            Work::Organizations => store.organizations_due(now).await,
            Work::DeletedProjects => store.count_to_purge(deleted_by(now)).await,
            Work::DeletedOrganizations => store.count_of_remains(now).await,
        }
    }
}

async fn drop_unclaimed(
    keeper: &Keeper,
    told: Told,
    now: Timestamp,
    limit: u32,
) -> Result<Batch, StoreError> {
    let places = &keeper.places.unclaimed;
    let after = places
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .remove(&told);
    let dropped = keeper
        .store
        .drop_unclaimed(told, after.unwrap_or_default(), now, limit);
    let Dropped { rows, next } = dropped.await?;
    let more = next.is_some();
    let mut places = places.lock().unwrap_or_else(PoisonError::into_inner);
    places.extend(next.map(|next| (told, next)));
    Ok(Batch { rows, more })
}

/// Fewer rows in a batch, where each may be some kilobytes.
fn of_kilobytes(limit: NonZeroU32) -> u32 {
    limit.get().min(snapshots::BATCH)
}

fn deleted_by(now: Timestamp) -> Timestamp {
    now.plus_millis(-HOUR_MS)
}
