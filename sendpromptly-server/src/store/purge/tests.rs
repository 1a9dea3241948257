//! A deleted project: gone at once for everyone, and removed with all that it held.

use std::collections::BTreeSet;

use sendpromptly_core::credential::ApiKey;

use super::*;
use crate::platform::entropy;
use crate::store::Dialect;
use crate::store::attempts::AttemptEnd;
use crate::store::overdue::DuePlace;
use crate::store::rows::Cell;
use crate::testing::{NOW, TIMEOUT, World, operator};
use crate::vault::{Purpose, Vault};
use crate::workers::record_ends;

const MINUTE_MS: i64 = 60_000;

async fn delete(world: &World) {
    let deleted = world
        .store
        .delete_project(world.scope(), world.project, &operator(), NOW)
        .await;
    assert!(deleted.unwrap());
}

/// Fills a project with a row of every kind.
pub(in crate::store) async fn fill(world: &World, project: ProjectId) -> ApiKey {
    let key = world.add_key(project).await;
    let vault = Vault::open(&world.store, &world.keys()).await.unwrap();
    let (_, secret) = vault.new_secret(project, NOW).await.unwrap();
    let overlap = sendpromptly_core::project::Overlap::NONE;
    let (scope, origin) = (world.scope(), operator());
    let rotated = world.store.rotate_secret(scope, &secret, overlap, &origin).await;
    rotated.unwrap();
    world.queue(project, 3).await;
    let (_, incident) = world.failed_event_of(project, "ordered").await;
    let ordered = world
        .reprocess_of(project, incident, Some("order-1"), false, NOW)
        .await;
    ordered.unwrap();
    let result = Sql::new(
        "INSERT INTO results (project_id, event_id, id, effect, received_at) VALUES ({}, {}, {}, 'failed', 0)",
    );
    let row = [1; 16];
    world
        .write(result.bind(project.as_bytes()).bind(row).bind(row))
        .await;
    let answer = Sql::new(
        "INSERT INTO idempotency (project_id, key_digest, fingerprint, answer, created_at)
         VALUES ({}, {}, {}, 'answer', 0)",
    );
    let fingerprint = vec![1_u8; 32];
    world
        .write(answer.bind(project.as_bytes()).bind(row).bind(fingerprint))
        .await;
    let snapshot = Sql::new(
        "INSERT INTO snapshots (project_id, event_id, era, received_at, sealed) VALUES ({}, {}, 0, 0, {})",
    );
    world
        .write(snapshot.bind(project.as_bytes()).bind(row).bind(vec![1_u8]))
        .await;
    let note = Sql::new(
        "INSERT INTO notes (project_id, incident_id, id, author_id, text, created_at) VALUES ({}, {}, {}, {}, 'n', 0)",
    );
    let note = note.bind(project.as_bytes()).bind(incident.as_bytes()).bind(row);
    world.write(note.bind(row)).await;
    let secret = Sql::new(
        "INSERT INTO provider_secrets (id, project_id, provider, sealed, created_at) VALUES ({}, {}, 'stripe', {}, 0)",
    );
    let secret = secret.bind(entropy::ordered_id(NOW)).bind(project.as_bytes());
    world.write(secret.bind(vec![1_u8])).await;
    for counted in [
        "INSERT INTO provider_mappings (project_id, provider, mapping) VALUES ({}, 'stripe', 'a access_unlock')",
        "INSERT INTO hourly_counts (project_id, hour, events, opened) VALUES ({}, 1, 1, 1)",
        "INSERT INTO hourly_repairs (project_id, hour, step, repairs) VALUES ({}, 1, 1, 1)",
    ] {
        world.write(Sql::new(counted).bind(project.as_bytes())).await;
    }
    for told in [
        "INSERT INTO alert_destinations (project_id, id, channel, sealed, shown, escalation, created_at)
         VALUES ({}, {}, 'slack', {}, 's', 0, 0)",
        "INSERT INTO alert_changes (project_id, id, subject_id, news, at) VALUES ({}, {}, {}, 'opened', 0)",
        "INSERT INTO alert_queue (project_id, destination_id, subject_id, news, at) VALUES ({}, {}, {}, 'opened', 0)",
    ] {
        let second = if told.contains("sealed") {
            Cell::from(vec![1_u8])
        } else {
            row.into()
        };
        world
            .write(Sql::new(told).bind(project.as_bytes()).bind(row).bind(second))
            .await;
    }
    let told = Sql::new(
        "INSERT INTO told_alerts (project_id, incident_id, id, destination_id, channel, news, incidents, named,
            tries, ended_at) VALUES ({}, {}, {}, {}, 'slack', 'opened', 1, 1, 1, 0)",
    );
    let told = told.bind(project.as_bytes()).bind(incident.as_bytes());
    world.write(told.bind(row).bind(row)).await;
    let name = Sql::new(
        "INSERT INTO shopify_names (project_id, resource, place, event_id, teller, name, occurred_at)
         VALUES ({}, {}, 0, {}, 'app', {}, 0)",
    );
    let name = name.bind(project.as_bytes()).bind(row);
    world.write(name.bind(row).bind(row)).await;
    let ended = Sql::new(
        "INSERT INTO told_messages (project_id, id, escalation, noted_to, told_to, destination_id, channel, message,
            tries, ended_at) VALUES ({}, {}, 0, 0, 1, {}, 'slack', '', 1, 0)",
    );
    world
        .write(ended.bind(project.as_bytes()).bind(row).bind(row))
        .await;
    let escalation =
        Sql::new("INSERT INTO alert_escalations (project_id, subject_id, due_at) VALUES ({}, {}, 0)");
    world.write(escalation.bind(project.as_bytes()).bind(row)).await;
    let news = Sql::new(
        "INSERT INTO alert_news (project_id, escalation, number, subject_id, news, at) VALUES ({}, 0, 1, {}, 'opened', 0)",
    );
    world.write(news.bind(project.as_bytes()).bind(row)).await;
    key
}

#[tokio::test]
async fn a_deleted_project_is_not_found_its_keys_open_nothing_and_nobody_is_called() {
    let world = World::set_up().await;
    let key = fill(&world, world.project).await;
    let pending = world.receive("pending").await;
    let (_, incident) = world.failed_event("open").await;
    let store = &world.store;
    assert!(store.find_key(&key.hash()).await.unwrap().is_some());
    delete(&world).await;

    assert_eq!(store.find_key(&key.hash()).await.unwrap(), None);
    assert_eq!(store.project(world.scope(), world.project).await.unwrap(), None);
    assert_eq!(store.scope_of_project(world.project).await.unwrap(), None);
    assert_eq!(store.project_of_event(pending).await.unwrap(), None);
    assert_eq!(store.project_of_incident(incident).await.unwrap(), None);
    assert_eq!(store.keys(world.scope(), world.project).await.unwrap(), []);
    assert!(world.reprocess(incident, None).await.is_err());
    assert!(world.claim(NOW).await.is_empty());
    let claims = store.claim_calls(&[world.project], 9, NOW).await.unwrap();
    assert!(claims.is_empty(), "also where it was found to be due before");
    let overdue = store
        .overdue_events(NOW.plus(TIMEOUT), DuePlace::first(), 9)
        .await
        .unwrap();
    assert_eq!(overdue, []);
    let again = store
        .delete_project(world.scope(), world.project, &operator(), NOW)
        .await;
    assert!(!again.unwrap());
    let url = Sql::new("SELECT count(*) AS n FROM projects WHERE repair_url IS NOT NULL");
    assert_eq!(world.number(url).await, 0, "it may hold a secret");
}

#[tokio::test]
async fn what_it_held_is_removed_in_batches_and_others_keep_theirs() {
    let world = World::set_up().await;
    let other = ProjectId::new(NOW.plus_millis(1), entropy::for_id());
    world.add_project(other).await;
    let kept = fill(&world, other).await;
    fill(&world, world.project).await;
    let claimed = world.claim(NOW).await;
    assert_eq!(claimed.len(), 8);
    let ends: Vec<_> = claimed
        .into_iter()
        .map(|claim| AttemptEnd::cut_off(claim.attempt, NOW))
        .collect();
    record_ends(&world.store, &ends).await;
    let of_other = rows_of(&world, other).await;
    assert_eq!(
        of_other.len(),
        HELD.len(),
        "the test fills every table: {of_other:?}"
    );
    assert_eq!(rows_of(&world, world.project).await, of_other);

    delete(&world).await;
    let later = NOW.plus_millis(MINUTE_MS);
    assert_eq!(
        world.store.purge(NOW.plus_millis(-1), 2).await.unwrap(),
        Purged::Nothing
    );
    let mut steps = Vec::new();
    loop {
        let step = world.store.purge(later, 2).await.unwrap();
        if step == Purged::Nothing {
            break;
        }
        steps.push(step);
    }
    assert_eq!(steps.pop(), Some(Purged::Project));
    assert!(steps.len() > HELD.len());
    assert!(
        steps.iter().all(|step| matches!(step, Purged::Rows(1..=2))),
        "{steps:?}"
    );
    assert_eq!(rows_of(&world, world.project).await, []);
    let left = Sql::new("SELECT count(*) AS n FROM data_keys WHERE scope_id = {}");
    assert_eq!(world.number(left.bind(world.project.as_bytes())).await, 0);
    let project = Sql::new("SELECT count(*) AS n FROM projects");
    assert_eq!(world.number(project).await, 1);

    assert_eq!(rows_of(&world, other).await, of_other);
    assert!(world.store.find_key(&kept.hash()).await.unwrap().is_some());
}

#[tokio::test]
async fn few_payloads_are_removed_at_once_for_they_are_large() {
    let world = World::set_up().await;
    for number in 0..51_u8 {
        let row = Sql::new(
            "INSERT INTO snapshots (project_id, event_id, era, received_at, sealed) VALUES ({}, {}, 0, 0, {})",
        );
        let row = row.bind(world.project.as_bytes()).bind([number; 16]);
        world.write(row.bind(vec![1_u8])).await;
    }
    delete(&world).await;
    let mut purged = Vec::new();
    for _ in 0..2 {
        purged.push(world.store.purge(NOW, 1_000).await.unwrap());
    }
    assert_eq!(purged, [Purged::Rows(50), Purged::Rows(1)]);
}

#[tokio::test]
async fn the_deletion_is_audited_and_the_audit_log_is_kept() {
    let world = World::set_up().await;
    fill(&world, world.project).await;
    delete(&world).await;
    let entries = async || {
        world
            .store
            .chain(world.organization)
            .entries(0, 99)
            .await
            .unwrap()
    };
    let before = entries().await;
    let last = before.last().unwrap();
    assert_eq!(last.action, Action::ProjectDeleted.as_str());
    assert_eq!(last.target, world.project.to_string());
    while world.store.purge(NOW, 1_000).await.unwrap() != Purged::Nothing {}
    assert_eq!(entries().await, before);
}

/// What a backup of the database still holds of the project is unreadable once its data keys are gone, and they go
/// with the deletion itself, long before the rows.
#[tokio::test]
async fn what_was_sealed_for_it_opens_no_more() {
    let world = World::set_up().await;
    let other = ProjectId::new(NOW.plus_millis(1), entropy::for_id());
    world.add_project(other).await;
    let vault = Vault::open(&world.store, &world.keys()).await.unwrap();
    let sealed = seal(&vault, world.project).await;
    let kept = seal(&vault, other).await;
    fill(&world, world.project).await;
    let keys = Sql::new("SELECT count(*) AS n FROM data_keys WHERE scope_id = {}");
    let keys = keys.bind(world.project.as_bytes());
    assert_eq!(world.number(keys.clone()).await, 2, "of answers and of secrets");
    delete(&world).await;

    assert_eq!(world.number(keys).await, 0);
    let elsewhere = Vault::open(&world.store, &world.keys()).await.unwrap();
    assert!(open(&elsewhere, world.project, &sealed).await.is_err());
    assert!(elsewhere.live_secrets(world.project, NOW).await.is_err());
    assert!(open(&elsewhere, other, &kept).await.is_ok());
    let rows = Sql::new("SELECT count(*) AS n FROM signing_secrets WHERE project_id = {}");
    assert_ne!(
        world.number(rows.bind(world.project.as_bytes())).await,
        0,
        "the rows go later"
    );
}

#[tokio::test]
async fn a_project_whose_deletion_cannot_be_told_of_keeps_its_keys() {
    let world = World::set_up().await;
    let vault = Vault::open(&world.store, &world.keys()).await.unwrap();
    let sealed = seal(&vault, world.project).await;
    let gone = Sql::new("ALTER TABLE audit_details RENAME TO elsewhere");
    world.write(gone).await;
    let deleted = world
        .store
        .delete_project(world.scope(), world.project, &operator(), NOW)
        .await;
    assert!(deleted.is_err());
    let elsewhere = Vault::open(&world.store, &world.keys()).await.unwrap();
    assert!(open(&elsewhere, world.project, &sealed).await.is_ok());
}

#[tokio::test]
async fn a_destroyed_key_leaves_no_bytes_in_the_file() {
    let world = World::set_up().await;
    let crate::store::DatabaseUrl::Sqlite(path) = &world.url else {
        return; // PostgreSQL overwrites what is deleted when it vacuums
    };
    fill(&world, world.project).await;
    let keys = Sql::new("SELECT wrapped FROM data_keys WHERE scope_id = {}");
    let keys = keys
        .bind(world.project.as_bytes())
        .all(world.store.reader())
        .await;
    let keys: Vec<Vec<u8>> = keys
        .unwrap()
        .iter()
        .map(|row| rows::get(row, "wrapped").unwrap())
        .collect();
    let in_the_file = async || {
        let write_all = Sql::new("PRAGMA wal_checkpoint(TRUNCATE)");
        write_all.all(&world.store.writer).await.unwrap();
        let file = std::fs::read(path).unwrap();
        keys.iter()
            .any(|key| file.windows(key.len()).any(|part| part == key.as_slice()))
    };
    assert!(in_the_file().await);
    delete(&world).await;
    assert!(!in_the_file().await);
}

async fn seal(vault: &Vault, project: ProjectId) -> Vec<u8> {
    let sealed = vault
        .seal(Purpose::Answer(project), &[1; 16], b"thanks", NOW)
        .await;
    sealed.unwrap()
}

async fn open(vault: &Vault, project: ProjectId, sealed: &[u8]) -> Result<(), crate::vault::VaultError> {
    let opened = vault
        .open_sealed(Purpose::Answer(project), &[1; 16], sealed)
        .await;
    opened.map(drop)
}

/// A table that a later migration adds must not be forgotten here.
#[tokio::test]
async fn every_table_that_holds_rows_of_a_project_is_emptied() {
    let world = World::set_up().await;
    let query = match world.store.dialect() {
        Dialect::Sqlite => {
            "SELECT m.name AS t FROM sqlite_master m JOIN pragma_table_info(m.name) c
             WHERE m.type = 'table' AND c.name = 'project_id'"
        }
        Dialect::Postgres => {
            "SELECT table_name::text AS t FROM information_schema.columns
             WHERE table_schema = 'public' AND column_name = 'project_id'"
        }
    };
    let found = Sql::new(query).all(world.store.reader()).await.unwrap();
    let tables: BTreeSet<String> = found.iter().map(|row| rows::get(row, "t").unwrap()).collect();
    let held: BTreeSet<String> = HELD.iter().map(|(table, _)| (*table).to_owned()).collect();
    assert_eq!(tables, held);
}

#[tokio::test]
async fn a_batch_reads_no_more_of_a_table_than_the_projects_rows_in_it() {
    let world = World::set_up().await;
    let dialect = world.store.dialect();
    for (table, key) in HELD {
        let drop = held(table, key, world.project).drop(dialect, 10);
        let plan = drop.plan(world.store.reader()).await;
        let is_found = match dialect {
            Dialect::Sqlite => !plan.contains("SCAN"),
            Dialect::Postgres => plan.contains("Tid Scan") && !plan.contains("Seq Scan"),
        };
        assert!(is_found, "{table}: {plan}");
    }
}

/// The tables that hold rows of a project, and how many.
async fn rows_of(world: &World, project: ProjectId) -> Vec<(&'static str, i64)> {
    let mut found = Vec::new();
    for (table, _) in HELD {
        let count = Sql::new(format!(
            "SELECT count(*) AS n FROM {table} WHERE project_id = {{}}"
        ));
        let count = world.number(count.bind(project.as_bytes())).await;
        if count > 0 {
            found.push((*table, count));
        }
    }
    found
}
