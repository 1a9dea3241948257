//! What belongs to an event, which goes with it.

use sea_orm::DatabaseTransaction;
use sendpromptly_core::id::{EventId, ProjectId};

use super::keys_of;
use crate::store::rows::{self, Rows, Sql};
use crate::store::{Dialect, Store, StoreError};

/// What belongs to an event beside its own row and its incident's, and by which column. What others are found by
/// comes after them.
pub(super) const BELONGING: &[(&str, Owner)] = &[
    ("results", Owner::Event),
    ("snapshots", Owner::Event),
    ("attempts", Owner::Replay),
    ("orders", Owner::Incident),
    ("notes", Owner::Incident),
    ("told_alerts", Owner::Incident),
    ("shopify_names", Owner::Event),
    ("replays", Owner::Event),
    ("incidents", Owner::Event),
];

/// By which column a row belongs to an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Event,
    Incident,
    Replay,
}

impl Owner {
    const fn column(self) -> &'static str {
        match self {
            Self::Event => "event_id",
            Self::Incident => "incident_id",
            Self::Replay => "replay_id",
        }
    }
}

impl Store {
    /// Drops these events, which are locked, and what belongs to them.
    pub(super) async fn drop_events(
        &self,
        tx: &DatabaseTransaction,
        project: ProjectId,
        events: &[EventId],
    ) -> Result<(), StoreError> {
        let events = keys_of(project, events.iter().map(EventId::as_bytes));
        let incidents = owned(tx, "incidents", project, &events).await?;
        // Without an incident there is no replay.
        let replays = if incidents.is_empty() {
            keys_of(project, [])
        } else {
            owned(tx, "replays", project, &events).await?
        };
        for (table, owner) in BELONGING {
            let ids = match owner {
                Owner::Event => &events,
                Owner::Incident => &incidents,
                Owner::Replay => &replays,
            };
            self.drop_of(tx, table, owner.column(), project, ids).await?;
        }
        self.drop_of(tx, "events", "id", project, &events).await
    }

    async fn drop_of(
        &self,
        tx: &DatabaseTransaction,
        table: &str,
        column: &str,
        project: ProjectId,
        ids: &Rows,
    ) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        delete_of(self.dialect, (table, column), project, ids)
            .run(tx)
            .await?;
        Ok(())
    }
}

fn delete_of(dialect: Dialect, (table, column): (&str, &str), project: ProjectId, ids: &Rows) -> Sql {
    match dialect {
        // By its own choice it would go through all of the project.
        Dialect::Sqlite => Sql::over(
            format!(
                "DELETE FROM {table}{} WHERE (project_id, {column}) IN (SELECT r.project_id, r.id FROM {{rows}})",
                index_of(table).map_or_else(String::new, |index| dialect.by_index(index))
            ),
            ids.clone(),
        ),
        Dialect::Postgres => Sql::over(
            format!(
                "DELETE FROM {table} WHERE project_id = {{}} AND {}",
                dialect.is_one_of(column, "SELECT r.id FROM {rows}")
            ),
            ids.clone(),
        )
        .bind(project.as_bytes()),
    }
}

/// The index that leads to the rows of a table, where its keys do not.
fn index_of(table: &str) -> Option<&'static str> {
    match table {
        "orders" => Some("orders_by_incident"),
        "replays" => Some("replays_by_event"),
        "shopify_names" => Some("shopify_names_by_event"),
        _ => None,
    }
}

fn owned_by(table: &str, events: &Rows) -> Sql {
    Sql::over(
        format!(
            "SELECT o.id FROM {{rows}} CROSS JOIN {table} o WHERE o.project_id = r.project_id AND o.event_id = r.id"
        ),
        events.clone(),
    )
}

/// The ids of the rows of a table that belong to these events.
async fn owned(
    tx: &DatabaseTransaction,
    table: &str,
    project: ProjectId,
    events: &Rows,
) -> Result<Rows, StoreError> {
    if events.is_empty() {
        return Ok(keys_of(project, []));
    }
    let found = owned_by(table, events).all(tx).await?;
    let ids: Vec<_> = found
        .iter()
        .map(|row| rows::id(row, "id"))
        .collect::<Result<_, _>>()?;
    Ok(keys_of(project, &ids))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::World;

    #[tokio::test]
    async fn what_belongs_to_an_event_is_found_by_it_and_not_among_all_of_a_project() {
        let world = World::set_up().await;
        if world.store.dialect == Dialect::Postgres {
            return; // it weighs
        }
        for table in ["incidents", "replays"] {
            let owned = owned_by(table, &keys_of(world.project, &[[1; 16]]));
            let plan = owned.plan(world.store.reader()).await;
            assert!(plan.contains("(project_id=? AND event_id=?)"), "{plan}");
        }
        let belonging = BELONGING.iter().map(|(table, owner)| (*table, owner.column()));
        for of in belonging.chain([("events", "id")]) {
            let delete = delete_of(
                Dialect::Sqlite,
                of,
                world.project,
                &keys_of(world.project, &[[1; 16]]),
            );
            let plan = delete.plan(world.store.reader()).await;
            assert!(!plan.contains("(project_id=?)"), "{of:?}: {plan}");
        }
    }
}
