//! Events of which their providers have told, before or after the app.

use sendpromptly_core::dedupe;
use sendpromptly_core::id::{EventId, ProjectId};
use sendpromptly_core::intake::Announcement;
use sendpromptly_core::time::Timestamp;

use super::rows::{Column, Kind, Rows, Sql};

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

/// Stores the events of these announcements that are not stored yet. One that is stored stays as it is, whoever told
/// of it first.
#[must_use]
pub fn insert(announcements: &[NewAnnouncement]) -> Sql {
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
        .iter()
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
    Sql::over(
        "INSERT INTO events (project_id, id, provider, provider_event_digest, provider_event_id, event_type,
            effect_type, internal_reference, shop_domain, occurred_at, timeout_at, state, sweep_at)
         SELECT r.project_id, r.id, r.provider, r.digest, r.provider_event_id, r.event_type, r.effect_type,
            r.internal_reference, r.shop_domain, r.occurred_at, r.timeout_at, 'pending', r.timeout_at
         FROM {rows} WHERE true ON CONFLICT DO NOTHING",
        rows,
    )
}
