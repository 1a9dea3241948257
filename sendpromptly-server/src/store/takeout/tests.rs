//! What is taken out of the store is all of one organization's, and of nobody else's.

use std::collections::BTreeSet;

use sendpromptly_core::audit::{Action, Draft};

use super::*;
use crate::store::Dialect;
use crate::store::audit::drafts_of;
use crate::testing::console::House;
use crate::testing::estate::{Estate, every_table};
use crate::testing::{NOW, World, operator};

#[tokio::test]
async fn the_audit_log_is_taken_out_as_it_was_when_the_rows_were() {
    let world = World::set_up().await;
    let write = async || {
        let draft = Draft::new(&operator(), Action::ProjectChanged, world.organization, &[]);
        let drafts = drafts_of(world.organization, NOW, vec![draft]);
        world.store.commit_audited(&[], &drafts).await.unwrap();
    };
    write().await;
    let head = world.store.chain(world.organization).head().await.unwrap();
    let takeout = world.store.takeout(world.scope(), NOW).await.unwrap().unwrap();
    write().await;
    let chain = takeout.chain();
    assert_eq!(chain.head().await.unwrap(), head);
    let entries = chain.entries(0, 100).await.unwrap();
    assert_eq!(entries.last().map(|entry| entry.seq), Some(head.seq));
    let now = world.store.chain(world.organization);
    assert_eq!(now.head().await.unwrap().seq, head.seq + 1);
}

#[tokio::test]
async fn every_table_is_taken_out_or_left_out_for_a_reason() {
    let world = World::set_up().await;
    let there: BTreeSet<String> = every_table(&world).await.into_iter().collect();
    let taken = tables::TAKEN.iter().map(|table| table.name);
    let left_out = tables::LEFT_OUT.iter().map(|(table, _)| *table);
    let known: Vec<_> = taken
        .chain(tables::AUDIT.iter().copied())
        .chain(left_out)
        .collect();
    let once: BTreeSet<String> = known.iter().map(|table| (*table).to_owned()).collect();
    assert_eq!(once.len(), known.len(), "each in one of the lists");
    assert_eq!(once, there);
    assert!(tables::LEFT_OUT.iter().all(|(_, because)| !because.is_empty()));
}

/// The columns that are not taken out of a table that is.
const COLUMNS_LEFT_OUT: &[(&str, &[&str])] = &[
    // its state in a deletion, and a mark of the server's own; one that is deleted is not taken out
    ("organizations", &["deleted_at", "log_proven"]),
    // a second form of the address
    ("invitations", &["email_key"]),
    // how far the server is with what is deleted, forgotten and listened for
    (
        "projects",
        &[
            "deleted_at",
            "snapshot_era",
            "snapshots_deleted_at",
            "events_forgotten_to",
            "silence_since",
            "silence_told_at",
        ],
    ),
    // a digest of the secret
    ("api_keys", &["hash"]),
    // a digest of what is there, and when the server looks next
    ("events", &["provider_event_digest", "sweep_at"]),
    // copies of what stands in the event and the project, and marks of the server's own
    (
        "incidents",
        &[
            "facet",
            "internal_reference",
            "organization_id",
            "provider_event_digest",
            "stays",
        ],
    ),
    // how the server goes about it
    ("replays", &["cut_offs", "doubtful", "lease_token", "steps"]),
    ("attempts", &["nonce"]),
    // sealed, for it may be a secret; and how the server goes about it
    (
        "alert_destinations",
        &[
            "begun",
            "due_at",
            "ended_at",
            "lease_token",
            "message",
            "newest",
            "not_before",
            "sealed",
            "telling_to",
            "told_to",
            "tries",
        ],
    ),
];

/// The columns of a table of the store.
async fn columns_of(world: &World, table: &str) -> Vec<String> {
    let query = match world.store.dialect() {
        Dialect::Sqlite => format!("SELECT name FROM pragma_table_info('{table}')"),
        Dialect::Postgres => format!(
            "SELECT column_name::text AS name FROM information_schema.columns
             WHERE table_schema = 'public' AND table_name = '{table}'"
        ),
    };
    let found = Sql::new(query).all(world.store.reader()).await.unwrap();
    let names = found.iter().map(|row| rows::get::<String>(row, "name").unwrap());
    names.collect()
}

/// A column that a later migration adds must not be forgotten here.
#[tokio::test]
async fn every_column_is_taken_out_or_left_out_for_a_reason() {
    let world = World::set_up().await;
    for table in tables::TAKEN {
        let left_out = COLUMNS_LEFT_OUT.iter().find(|(name, _)| *name == table.name);
        let left_out = left_out.map_or(&[][..], |(_, columns)| columns);
        let mut read = select(table, true, NOW);
        read.push(' ');
        let is_read = |column: &str| {
            let name = format!("t.{column}");
            let mut parts = read.split(name.as_str()).skip(1);
            parts.any(|rest| !rest.starts_with(|next: char| next == '_' || next.is_alphanumeric()))
        };
        for column in columns_of(&world, table.name).await {
            let is_left_out = left_out.contains(&column.as_str());
            assert!(is_left_out || is_read(&column), "{}: {column}", table.name);
        }
    }
}

/// Every row that is taken out, as text.
async fn taken(world: &World) -> Vec<(&'static str, String)> {
    let takeout = world.store.takeout(world.scope(), NOW).await.unwrap().unwrap();
    let mut taken = Vec::new();
    for table in tables::TAKEN {
        let mut place = Place::begin(table);
        loop {
            let lines = takeout.next(&mut place, true).await.unwrap();
            if lines.is_empty() {
                break;
            }
            taken.extend(
                lines
                    .iter()
                    .map(|line| (table.name, Value::Object(line.fields.clone()).to_string())),
            );
        }
    }
    taken
}

#[tokio::test]
async fn the_rows_of_an_organization_are_taken_out_and_nobody_elses() {
    let house = House::open().await;
    let first = Estate::found(&house, "first").await;
    let second = Estate::found(&house, "second").await;
    let own = taken(&first.world).await;
    for (name, id) in &first.ids {
        let is_told = !["session", "token", "file"].contains(name);
        assert_eq!(own.iter().any(|(_, line)| line.contains(id)), is_told, "{name}");
    }
    for (table, line) in &own {
        for foreign in &second.canaries {
            assert!(!line.contains(foreign), "{table}: {line}");
        }
    }
    house.close().await;
}

#[tokio::test]
async fn long_tables_are_read_page_by_page_without_a_gap() {
    let world = World::set_up().await;
    let count = PAGE * 2 + 1;
    for number in 0..count {
        world.receive(&format!("evt_{number}")).await;
    }
    let events: BTreeSet<String> = taken(&world)
        .await
        .into_iter()
        .filter(|(table, _)| *table == "events")
        .map(|(_, line)| line)
        .collect();
    assert_eq!(events.len(), count);
}

#[tokio::test]
async fn what_comes_in_meanwhile_is_not_taken_out() {
    let world = World::set_up().await;
    world.receive("before").await;
    let takeout = world.store.takeout(world.scope(), NOW).await.unwrap().unwrap();
    let events = tables::TAKEN.iter().find(|table| table.name == "events").unwrap();
    world.receive("after").await;
    let lines = takeout.next(&mut Place::begin(events), false).await.unwrap();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].fields["provider_event_id"], "before");
}

#[test]
fn of_a_repair_url_only_the_host_is_told() {
    assert_eq!(
        origin("https://shop.example.com:8443/repair/secret?token=x"),
        "https://shop.example.com:8443"
    );
    assert_eq!(origin("nonsense"), "");
}

/// How many rows of a table are taken out so many milliseconds later, and how many of them hold what is sealed.
async fn sealed_after(world: &World, name: &str, millis: i64) -> (usize, usize) {
    let now = NOW.plus_millis(millis);
    let takeout = world.store.takeout(world.scope(), now).await.unwrap().unwrap();
    let table = tables::TAKEN.iter().find(|table| table.name == name).unwrap();
    let lines = takeout.next(&mut Place::begin(table), true).await.unwrap();
    let sealed = lines.iter().filter(|line| line.sealed.is_some());
    (lines.len(), sealed.count())
}

#[tokio::test]
async fn payloads_and_answers_that_are_too_old_are_not_taken_out_though_nothing_has_dropped_them_yet() {
    const KEPT: i64 = 30 * 86_400_000;
    let world = World::set_up().await;
    world.fill_with_what_gets_old().await;
    let rows = Sql::new("UPDATE projects SET snapshot_era = 1");
    world.write(rows).await;
    assert_eq!(sealed_after(&world, "snapshots", KEPT - 1).await, (1, 1));
    assert_eq!(sealed_after(&world, "snapshots", KEPT).await, (0, 0));
    assert_eq!(sealed_after(&world, "attempts", KEPT - 1).await, (1, 1));
    assert_eq!(sealed_after(&world, "attempts", KEPT).await, (1, 0));
}
