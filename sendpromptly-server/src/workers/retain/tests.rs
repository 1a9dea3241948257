//! What is dropped when its time is over, and what stays.

use sendpromptly_core::replay::AttemptOutcome;

use super::*;
use crate::store::attempts::AttemptEnd;
use crate::store::rows::Sql;
use crate::testing::{NOW, World};
use crate::vault::Purpose;

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
    let retain = Retain {
        store: world.store.clone(),
        vault,
    };
    let heads = async || {
        let kept = Sql::new("SELECT count(*) AS n FROM attempts WHERE answer_head IS NOT NULL");
        world.number(kept).await
    };
    let keys = async || {
        let kept = Sql::new("SELECT count(*) AS n FROM data_keys WHERE purpose = 'answer'");
        world.number(kept).await
    };

    retain.drop_old(NOW.plus_millis(30 * DAYS - 1)).await.unwrap();
    assert_eq!((heads().await, keys().await), (1, 1));
    retain.drop_old(NOW.plus_millis(30 * DAYS)).await.unwrap();
    assert_eq!(heads().await, 0);
    retain.drop_old(NOW.plus_millis(31 * DAYS)).await.unwrap();
    assert_eq!(keys().await, 0);
}

#[tokio::test]
async fn a_signing_secret_is_gone_an_hour_after_its_end_and_the_newest_stays() {
    let world = World::set_up().await;
    let vault = Vault::open(&world.store, &world.keys()).await.unwrap();
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
    let retain = Retain {
        store: world.store.clone(),
        vault,
    };
    let secrets = async || world.store.signing_secrets(world.project).await.unwrap().len();
    let before = secrets().await;
    retain.drop_old(NOW.plus_millis(AN_HOUR_MS - 1)).await.unwrap();
    assert_eq!(secrets().await, before);
    retain.drop_old(NOW.plus_millis(AN_HOUR_MS)).await.unwrap();
    assert_eq!(secrets().await, before - 1);
}

#[tokio::test]
async fn a_deleted_project_is_removed_after_an_hour() {
    let world = World::set_up().await;
    let vault = Vault::open(&world.store, &world.keys()).await.unwrap();
    world.queue(world.project, 2).await;
    let origin = crate::testing::operator();
    let deleted = world
        .store
        .delete_project(world.scope(), world.project, &origin, NOW)
        .await;
    assert!(deleted.unwrap());
    let retain = Retain {
        store: world.store.clone(),
        vault,
    };
    let projects = async || world.number(Sql::new("SELECT count(*) AS n FROM projects")).await;
    let drop_old = async |millis| retain.drop_old(NOW.plus_millis(millis)).await.unwrap();
    assert_eq!(drop_old(AN_HOUR_MS - 1).await, Left::Nothing);
    assert_eq!(projects().await, 1);
    // Nothing else waits until all of it is removed.
    let form = crate::platform::entropy::ordered_id(NOW.plus_millis(-DAYS));
    assert!(world.store.use_form(form).await.unwrap());
    assert_eq!(drop_old(AN_HOUR_MS).await, Left::More);
    let forms = world
        .number(Sql::new("SELECT count(*) AS n FROM used_forms"))
        .await;
    assert_eq!((projects().await, forms), (1, 0));
    while drop_old(AN_HOUR_MS).await == Left::More {}
    assert_eq!(projects().await, 0);
}
