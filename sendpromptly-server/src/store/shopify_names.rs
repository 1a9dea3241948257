//! Under which names the app and Shopify have told of the events of a resource. Rows are only added, and each has a place
//! of its own: of two who tell of an event at once, the unique key lets one go first, and the other finds it.

use std::collections::{BTreeSet, HashMap};

use sea_orm::QueryResult;
use sendpromptly_core::event::Provider;
use sendpromptly_core::id::{EventId, ProjectId};
use sendpromptly_core::pairing::{Pair, Pairs, Resource, Teller, Told};

use super::receipts::ProviderEventName;
use super::rows::{self, Column, Kind, Rows, Sql};
use super::{Store, StoreError};

/// Names what events are about, inside a project.
pub type ResourceKey = (ProjectId, Resource);

/// The events of resources, and the names by which they are known now.
#[derive(Debug, Clone, Default)]
pub struct NamedEvents {
    /// The events of each resource that has any.
    pub pairs: HashMap<ResourceKey, Pairs>,
    /// The name of each of these events.
    pub names: HashMap<(ProjectId, EventId), ProviderEventName>,
}

/// A name of an event to store.
#[derive(Debug, Clone, Copy)]
pub struct NewName {
    /// What the event is about.
    pub resource: ResourceKey,
    /// Which of the resource's it is.
    pub number: u32,
    /// Whether nobody has told of it before.
    pub is_first: bool,
    /// The event.
    pub event: EventId,
    /// Who tells of it under which name.
    pub told: Told,
}

impl Store {
    /// The events of these resources, as far as they are stored.
    ///
    /// # Errors
    /// [`StoreError`] by its cause.
    pub async fn named_events(
        &self,
        resources: impl IntoIterator<Item = ResourceKey>,
    ) -> Result<NamedEvents, StoreError> {
        const COLUMNS: &[Column] = &[
            Column::new("project_id", Kind::Id),
            Column::new("resource", Kind::Id),
        ];
        let mut wanted = Rows::new(COLUMNS);
        for (project, resource) in resources.into_iter().collect::<BTreeSet<_>>() {
            wanted.push([project.as_bytes().into(), resource.as_bytes().into()]);
        }
        if wanted.is_empty() {
            return Ok(NamedEvents::default());
        }
        let query = Sql::over(
            "SELECT n.project_id, n.resource, n.place, n.event_id, n.teller, n.name, n.occurred_at,
                e.provider_event_digest, e.received_at
             FROM {rows} JOIN shopify_names n ON n.project_id = r.project_id AND n.resource = r.resource
             JOIN events e ON e.project_id = n.project_id AND e.id = n.event_id
             ORDER BY n.project_id, n.resource, n.place",
            wanted,
        );
        let mut found = NamedEvents::default();
        let mut stored: HashMap<ResourceKey, Vec<Pair>> = HashMap::new();
        for row in query.all(&self.reader).await? {
            let project = ProjectId::from_bytes(rows::id(&row, "project_id")?);
            let resource = Resource::from_bytes(rows::id(&row, "resource")?);
            let event = EventId::from_bytes(rows::id(&row, "event_id")?);
            let digest = rows::id(&row, "provider_event_digest")?;
            found
                .names
                .insert((project, event), (project, digest, Provider::Shopify));
            add(stored.entry((project, resource)).or_default(), event, &row)?;
        }
        let pairs = stored.into_iter().map(|(key, pairs)| (key, Pairs::new(pairs)));
        found.pairs = pairs.collect();
        Ok(found)
    }
}

/// Adds a row to the pairs that the rows before have made.
fn add(pairs: &mut Vec<Pair>, event: EventId, row: &QueryResult) -> Result<(), StoreError> {
    let number = rows::count(row, "place")? / 2;
    let name = Some(rows::id(row, "name")?);
    let mut pair = match pairs.pop_if(|last| last.number == number) {
        Some(first) => first,
        None => Pair {
            number,
            event,
            at: rows::time(row, "occurred_at")?,
            app: None,
            provider: None,
            has_receipt: rows::optional_time(row, "received_at")?.is_some(),
        },
    };
    match rows::word(row, "teller")? {
        Teller::App => pair.app = name,
        Teller::Provider => pair.provider = name,
    }
    pairs.push(pair);
    Ok(())
}

/// Stores these names. A place that is taken fails the whole statement.
#[must_use]
pub fn insert(names: &[NewName]) -> Sql {
    const COLUMNS: &[Column] = &[
        Column::new("project_id", Kind::Id),
        Column::new("resource", Kind::Id),
        Column::new("place", Kind::Int),
        Column::new("event_id", Kind::Id),
        Column::new("teller", Kind::Text),
        Column::new("name", Kind::Id),
        Column::new("occurred_at", Kind::Int),
    ];
    let mut sorted: Vec<_> = names.iter().collect();
    // As everywhere: two batches then wait for each other in one direction only.
    sorted.sort_unstable_by_key(|new| (new.resource, new.number));
    let mut rows = Rows::new(COLUMNS);
    for new in sorted {
        let (project, resource) = new.resource;
        rows.push([
            project.as_bytes().into(),
            resource.as_bytes().into(),
            (new.number * 2 + u32::from(!new.is_first)).into(),
            new.event.as_bytes().into(),
            new.told.teller.as_str().into(),
            new.told.name.into(),
            new.told.at.into(),
        ]);
    }
    Sql::over(
        "INSERT INTO shopify_names (project_id, resource, place, event_id, teller, name, occurred_at)
         SELECT r.project_id, r.resource, r.place, r.event_id, r.teller, r.name, r.occurred_at FROM {rows}",
        rows,
    )
}
