//! What is dropped when its time is over, and what stays.

use std::collections::BTreeMap;

use sendpromptly_core::replay::AttemptOutcome;

use super::*;
use crate::store::attempts::AttemptEnd;
use crate::store::rows::Sql;
use crate::testing::{NOW, World};
use crate::vault::{Purpose, Vault};

const DAYS: i64 = 24 * 60 * 60 * 1_000;

#[tokio::test]
async fn the_head_of_an_answer_is_gone_after_30_days_and_so_is_the_key_that_sealed_it() {
    let world = World::set_up().await;
    let vault = Vault::open(&world.store, &world.keys()).await.unwrap();
    world.queue(world.project, 1).await;
    let claim = world.claim(NOW).await.pop().unwrap();
    let row = claim.attempt.lease.as_bytes();
    let sealed = vault
        .seal(Purpose::Answer(world.project), row, b"thanks", NOW)
        .await;
    let end = AttemptEnd {
        outcome: AttemptOutcome::NetworkError,
        answer_head: Some(sealed.unwrap()),
        ..AttemptEnd::cut_off(claim.attempt, NOW)
    };
    crate::workers::record_ends(&world.store, &[end]).await;
    let heads = async || {
        let kept = Sql::new("SELECT count(*) AS n FROM attempts WHERE answer_head IS NOT NULL");
        world.number(kept).await
    };
    let keys = async || {
        let kept = Sql::new("SELECT count(*) AS n FROM data_keys WHERE purpose = 'answer'");
        world.number(kept).await
    };

    let event = claim.attempt.event;
    let shown = async |heads_at| {
        let attempts = world.store.attempts_of(world.project, event, NOW, heads_at).await;
        attempts.unwrap().pop().unwrap().answer_head.is_some()
    };
    assert!(!shown(None).await, "not to whoever may not see it");
    assert!(shown(Some(NOW.plus_millis(30 * DAYS - 1))).await);
    assert!(
        !shown(Some(NOW.plus_millis(30 * DAYS))).await,
        "before it is dropped"
    );
    world.retain(NOW.plus_millis(30 * DAYS - 1)).await;
    assert_eq!((heads().await, keys().await), (1, 1));
    world.retain(NOW.plus_millis(30 * DAYS)).await;
    assert_eq!(heads().await, 0);
    world.retain(NOW.plus_millis(31 * DAYS)).await;
    assert_eq!(keys().await, 0);
}

#[tokio::test]
async fn a_signing_secret_is_gone_an_hour_after_its_end_and_the_newest_stays() {
    let world = World::set_up().await;
    for end in ["NULL".to_owned(), NOW.as_millis().to_string()] {
        let insert = format!(
            "INSERT INTO signing_secrets (id, project_id, sealed, created_at, expires_at)
             VALUES ({{}}, {{}}, {{}}, 0, {end})"
        );
        let id = crate::platform::entropy::ordered_id(NOW);
        let insert = Sql::new(insert)
            .bind(id)
            .bind(world.project.as_bytes())
            .bind(vec![1_u8]);
        world.store.commit_together(vec![insert]).await.unwrap();
    }
    let secrets = async || world.store.signing_secrets(world.project).await.unwrap().len();
    let before = secrets().await;
    world.retain(NOW.plus_millis(HOUR_MS - 1)).await;
    assert_eq!(secrets().await, before);
    world.retain(NOW.plus_millis(HOUR_MS)).await;
    assert_eq!(secrets().await, before - 1);
}

#[tokio::test]
async fn a_deleted_project_is_removed_after_an_hour() {
    let world = World::set_up().await;
    world.queue(world.project, 2).await;
    let origin = crate::testing::operator();
    let deleted = world
        .store
        .delete_project(world.scope(), world.project, &origin, NOW)
        .await;
    assert!(deleted.unwrap());
    let projects = async || world.number(Sql::new("SELECT count(*) AS n FROM projects")).await;
    let early = world.retain(NOW.plus_millis(HOUR_MS - 1)).await;
    assert_eq!((early["deleted_projects"], projects().await), (0, 1));
    let late = world.retain(NOW.plus_millis(HOUR_MS)).await;
    assert!(late["deleted_projects"] > 5, "{late:?}");
    assert_eq!(projects().await, 0);
}

#[tokio::test]
async fn a_run_drops_what_a_dry_run_announces() {
    let world = World::set_up().await;
    world.fill_with_what_gets_old().await;
    let keeper = world.keeper();
    let announced = async |now| {
        let mut rows = BTreeMap::new();
        for pass in PASSES {
            rows.insert(pass.name(), pass.count(&keeper, now).await.unwrap());
        }
        rows
    };
    let nothing = announced(NOW).await;
    assert!(nothing.values().all(|rows| *rows == 0), "{nothing:?}");
    let later = NOW.plus_millis(400 * DAYS);
    let old = announced(later).await;
    assert!(old.values().all(|rows| *rows > 0), "{old:?}");
    assert_eq!(world.retain(later).await, old);
    assert_eq!(announced(later).await, nothing);
}

#[tokio::test]
async fn a_batch_is_bounded_and_says_whether_there_is_more() {
    let world = World::set_up().await;
    for number in 0..3 {
        let form = crate::platform::entropy::ordered_id(NOW.plus_millis(number));
        assert!(world.store.use_form(form).await.unwrap());
    }
    let forms = PASSES.iter().find(|pass| pass.name() == "used_forms").unwrap();
    let two = NonZeroU32::new(2).unwrap();
    let later = NOW.plus_millis(DAYS);
    let mut batches = Vec::new();
    for _ in 0..2 {
        batches.push(forms.run(&world.keeper(), later, two).await.unwrap());
    }
    let expected = [(2, true), (1, false)].map(|(rows, more)| Batch { rows, more });
    assert_eq!(batches, expected);
}

#[tokio::test]
async fn a_snapshot_is_gone_after_30_days_and_so_is_the_key_of_its_day() {
    let world = World::set_up().await;
    world.keep_snapshots().await;
    let vault = Vault::open(&world.store, &world.keys()).await.unwrap();
    let event = world.receive("evt_1").await;
    world.keep_payload(&vault, event, "{}").await;
    let rows = async || {
        world
            .number(Sql::new("SELECT count(*) AS n FROM snapshots"))
            .await
    };
    let keys = async || {
        let kept = Sql::new("SELECT count(*) AS n FROM data_keys WHERE purpose = 'snapshot'");
        world.number(kept).await
    };
    world.retain(NOW.plus_millis(30 * DAYS - 1)).await;
    assert_eq!((rows().await, keys().await), (1, 1));
    world.retain(NOW.plus_millis(30 * DAYS)).await;
    assert_eq!(
        (rows().await, keys().await),
        (0, 1),
        "others of its day may still need the key"
    );
    world.retain(NOW.plus_millis(31 * DAYS)).await;
    assert_eq!(keys().await, 0);
}

#[tokio::test]
async fn hours_are_dropped_after_the_longest_period_in_bounded_batches() {
    let world = World::set_up().await;
    let tables = ["hourly_counts", "hourly_repairs"];
    for hour in 0..3 {
        for (table, columns, values) in [
            (tables[0], "events, opened", "1, 0"),
            (tables[1], "step, repairs", "1, 1"),
        ] {
            let insert =
                format!("INSERT INTO {table} (project_id, hour, {columns}) VALUES ({{}}, {{}}, {values})");
            let hour = NOW.plus_millis(hour * HOUR_MS);
            world
                .write(Sql::new(insert).bind(world.project.as_bytes()).bind(hour))
                .await;
        }
    }
    let two = NonZeroU32::new(2).unwrap();
    for table in tables {
        let pass = PASSES.iter().find(|pass| pass.name() == table).unwrap();
        let run = async |days| {
            pass.run(&world.keeper(), NOW.plus_millis(days * DAYS), two)
                .await
                .unwrap()
        };
        assert_eq!(run(32).await.rows, 0);
        let batches = [run(33).await, run(33).await];
        assert_eq!(
            batches,
            [(2, true), (1, false)].map(|(rows, more)| Batch { rows, more })
        );
    }
}

#[tokio::test]
async fn an_invitation_can_be_sent_again_for_30_days_after_it_ran_out() {
    let world = World::set_up().await;
    let user = world.add_user("ada@example.com").await;
    let invitation = Sql::new(
        "INSERT INTO invitations (id, organization_id, email, email_key, role, invited_by, expires_at, created_at)
         VALUES ({}, {}, 'b', 'b', 'viewer', {}, {}, 0)",
    );
    let invitation = invitation.bind([1; 16]).bind(world.organization.as_bytes());
    world.write(invitation.bind(user.as_bytes()).bind(NOW)).await;
    let left = async || {
        let left = Sql::new("SELECT count(*) AS n FROM invitations");
        world.number(left).await
    };
    world.retain(NOW.plus_millis(30 * DAYS - 1)).await;
    assert_eq!(left().await, 1);
    world.retain(NOW.plus_millis(30 * DAYS)).await;
    assert_eq!(left().await, 0);
}
