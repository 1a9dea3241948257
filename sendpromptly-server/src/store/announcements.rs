//! Events of which their providers have told, before or after the app.

use sendpromptly_core::dedupe;
use sendpromptly_core::id::{EventId, ProjectId};
use sendpromptly_core::intake::Announcement;
use sendpromptly_core::time::Timestamp;

use super::receipts::ProviderEventName;
use super::rows::{Column, Kind, Rows, Sql};
use super::shopify_names::ResourceKey;

/// An announcement to store.
#[derive(Debug, Clone)]
pub struct NewAnnouncement {
    /// The project for which it came.
    pub project: ProjectId,
    /// The id that its event gets, unless it is stored already.
    pub event: EventId,
    /// What it says.
    pub announcement: Announcement,
    /// By when the receipt must come.
    pub timeout_at: Timestamp,
}

impl NewAnnouncement {
    /// The name of its event.
    #[must_use]
    pub fn name(&self) -> ProviderEventName {
        let digest = dedupe::digest(&self.announcement.provider_event_id);
        (self.project, digest, self.announcement.provider)
    }

    /// What its event is about, where that names it.
    #[must_use]
    pub fn about(&self) -> Option<ResourceKey> {
        Some((self.project, self.announcement.resource?))
    }
}

/// Stores the events of these announcements that are not stored yet. One that is stored stays as it is, whoever told
/// of it first.
#[must_use]
pub fn insert<'a>(announcements: impl IntoIterator<Item = &'a NewAnnouncement>) -> Sql {
    insert_with(" WHERE true ON CONFLICT DO NOTHING", announcements)
}

/// Stores the events of these announcements. A name that is taken fails the whole statement.
#[must_use]
pub fn insert_new<'a>(announcements: impl IntoIterator<Item = &'a NewAnnouncement>) -> Sql {
    insert_with("", announcements)
}

fn insert_with<'a>(conflict: &str, announcements: impl IntoIterator<Item = &'a NewAnnouncement>) -> Sql {
    const COLUMNS: &[Column] = &[
        Column::new("project_id", Kind::Id),
        Column::new("id", Kind::Id),
        Column::new("provider", Kind::Text),
        Column::new("digest", Kind::Id),
        Column::new("provider_event_id", Kind::Text),
        Column::new("event_type", Kind::Text),
        Column::new("effect_type", Kind::Text),
        Column::optional("internal_reference", Kind::Text),
        Column::optional("shop_domain", Kind::Text),
        Column::new("occurred_at", Kind::Int),
        Column::new("timeout_at", Kind::Int),
    ];
    let mut sorted: Vec<_> = announcements
        .into_iter()
        .map(|new| (new, dedupe::digest(&new.announcement.provider_event_id)))
        .collect();
    // As receipts are: two batches then wait for each other in one direction only.
    sorted.sort_unstable_by_key(|(new, digest)| (new.project, *digest, new.announcement.provider));
    let mut rows = Rows::new(COLUMNS);
    for (new, digest) in sorted {
        let told = &new.announcement;
        rows.push([
            new.project.as_bytes().into(),
            new.event.as_bytes().into(),
            told.provider.as_str().into(),
            digest.into(),
            told.provider_event_id.as_str().into(),
            told.event_type.as_str().into(),
            told.effect_type.as_str().into(),
            told.internal_reference.clone().into(),
            told.shop_domain.clone().into(),
            told.occurred_at.into(),
            new.timeout_at.into(),
        ]);
    }
    let template = format!(
        "INSERT INTO events (project_id, id, provider, provider_event_digest, provider_event_id, event_type,
            effect_type, internal_reference, shop_domain, occurred_at, timeout_at, state, sweep_at)
         SELECT r.project_id, r.id, r.provider, r.digest, r.provider_event_id, r.event_type, r.effect_type,
            r.internal_reference, r.shop_domain, r.occurred_at, r.timeout_at, 'pending', r.timeout_at
         FROM {{rows}}{conflict}"
    );
    Sql::over(template, rows)
}
