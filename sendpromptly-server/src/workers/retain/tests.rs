//! That no pass holds up another, and that a clock which is wrong drops nothing.

use sendpromptly_core::time::{DAY_MS, HOUR_MS};

use super::*;
use crate::platform::clock;
use crate::platform::entropy::ordered_id;
use crate::store::Dialect;
use crate::store::old_rows::OldRows;
use crate::store::rows::{self, Column, Kind, Rows, Sql};
use crate::store::sessions;
use crate::testing::World;

const FAILS: &[Pass] = &[
    Pass::rows("fails", |_| OldRows::of("no_such_table", "true")),
    Pass::rows("used_forms", sessions::old_forms),
];

fn worker(world: &World, passes: &'static [Pass]) -> Retain {
    Retain {
        passes,
        ..Retain::new(world.keeper(), RetentionMetrics::default())
    }
}

async fn forms(world: &World) -> i64 {
    world
        .number(Sql::new("SELECT count(*) AS n FROM used_forms"))
        .await
}

/// A form that was used long before.
async fn use_form(world: &World, at: Timestamp) {
    let form = ordered_id(at.plus_millis(-10 * DAY_MS));
    assert!(world.store.use_form(form).await.unwrap());
}

#[tokio::test]
async fn a_pass_that_always_fails_holds_up_none_of_the_others() {
    let world = World::set_up().await;
    let mut retain = worker(&world, FAILS);
    let begin = clock::now().plus_millis(-10 * HOUR_MS);
    for hour in 0..3 {
        let now = begin.plus_millis(hour * HOUR_MS);
        use_form(&world, now).await;
        assert_eq!(forms(&world).await, 1);
        retain.round(now).await.unwrap_err();
        assert_eq!(forms(&world).await, 0, "hour {hour}");
        // Within the hour only what failed is tried again.
        use_form(&world, now).await;
        retain.round(now.plus_millis(HOUR_MS - 1)).await.unwrap_err();
        assert_eq!(forms(&world).await, 1);
        world.write(Sql::new("DELETE FROM used_forms")).await;
    }
}

#[tokio::test]
async fn what_a_round_has_written_is_put_into_the_file_before_a_receipt_must_wait_for_that() {
    let world = World::set_up().await;
    if world.store.dialect() == Dialect::Postgres {
        return; // whose checkpoints are a process of their own
    }
    let now = clock::now();
    use_form(&world, now).await;
    worker(&world, &FAILS[1..]).round(now).await.unwrap();
    assert_eq!(forms(&world).await, 0);
    assert_eq!(world.pages_in_log().await, 0);
}

#[tokio::test]
async fn all_passes_begin_again_after_an_hour_of_rest() {
    let world = World::set_up().await;
    let mut retain = worker(&world, &FAILS[1..]);
    let now = clock::now().plus_millis(-10 * HOUR_MS);
    for hour in 0..2 {
        let now = now.plus_millis(hour * HOUR_MS);
        use_form(&world, now).await;
        while retain.round(now).await.unwrap() == Left::More {}
        assert_eq!(forms(&world).await, 0);
    }
}

#[tokio::test]
async fn a_clock_that_is_ahead_drops_nothing() {
    let world = World::set_up().await;
    let mut retain = worker(&world, &FAILS[1..]);
    let now = clock::now();
    while retain.round(now).await.unwrap() == Left::More {}
    use_form(&world, now).await;
    let wrong = match world.store.dialect() {
        // By the database's clock.
        Dialect::Postgres => now.plus_millis(HOUR_MS),
        // By when it last ran: 40 days may be a server that stood still, more may not.
        Dialect::Sqlite => now.plus_millis(40 * DAY_MS + 1),
    };
    for _ in 0..2 {
        assert_eq!(retain.round(wrong).await.unwrap(), Left::Nothing);
        assert_eq!(forms(&world).await, 1);
    }
    while retain.round(now).await.unwrap() == Left::More {}
    assert_eq!(forms(&world).await, 0);
}

/// More payloads and answers of each hour around a day's beginning than one batch drops, and the keys of both days.
async fn fill_hours_around(world: &World, midnight: Timestamp) {
    const COLUMNS: &[Column] = &[Column::new("id", Kind::Id), Column::new("at", Kind::Int)];
    let mut rows = Rows::new(COLUMNS);
    for hour in -2..4 {
        for number in 0..300 {
            let at = midnight.plus_millis(hour * HOUR_MS + number);
            rows.push([ordered_id(at).into(), at.into()]);
        }
    }
    let project = world.project.as_bytes();
    for fill in [
        "INSERT INTO snapshots (project_id, event_id, era, received_at, sealed)
         SELECT {}, r.id, 0, r.at, r.id FROM {rows} WHERE r.at % 3 = 0",
        "INSERT INTO attempts (project_id, replay_id, number, nonce, lease_token, started_at, ended_at, answer_head)
         SELECT {}, r.id, 1, '', r.id, r.at, r.at, r.id FROM {rows}",
    ] {
        let fill = match world.store.dialect() {
            Dialect::Sqlite => fill.to_owned(),
            Dialect::Postgres => fill.replace("r.at, r.id FROM", "r.at, uuid_send(r.id) FROM"),
        };
        world.write(Sql::over(fill, rows.clone()).bind(project)).await;
    }
    for (purpose, day) in [("snapshot", -1), ("snapshot", 0), ("answer", -1), ("answer", 0)] {
        let key = Sql::new(
            "INSERT INTO data_keys (id, scope, scope_id, purpose, day, kid, wrapped)
             VALUES ({}, 'project', {}, {}, {}, 'k', {})",
        );
        let key = key.bind(ordered_id(midnight)).bind(project).bind(purpose);
        let key = key.bind(midnight.as_millis() / DAY_MS + day).bind(vec![1_u8]);
        world.write(key).await;
    }
}

#[tokio::test]
async fn the_key_of_a_day_is_destroyed_also_where_more_falls_due_in_every_hour_than_a_batch_drops() {
    let world = World::set_up().await;
    let now = clock::now().as_millis();
    let today = Timestamp::from_millis(now - now % DAY_MS - DAY_MS);
    let midnight = today.plus_millis(-30 * DAY_MS);
    fill_hours_around(&world, midnight).await;
    let mut retain = worker(&world, retention::PASSES);
    for hour in -1..4 {
        let now = today.plus_millis(hour * HOUR_MS);
        while retain.round(now).await.unwrap() == Left::More {}
    }
    for purpose in ["snapshot", "answer"] {
        let days = Sql::new(
            "SELECT count(*) AS n, CAST(min(day) AS bigint) AS day FROM data_keys WHERE purpose = {}",
        );
        let row = days
            .bind(purpose)
            .one(world.store.reader())
            .await
            .unwrap()
            .unwrap();
        let (count, day): (i64, i64) = (rows::get(&row, "n").unwrap(), rows::get(&row, "day").unwrap());
        assert_eq!((count, day), (1, midnight.as_millis() / DAY_MS), "{purpose}");
    }
}

#[tokio::test]
async fn on_sqlite_a_leap_is_refused_in_words_until_it_is_noted() {
    let world = World::set_up().await;
    if world.store.dialect() == Dialect::Postgres {
        return; // it has a clock of its own
    }
    let now = clock::now();
    let doubt = async |days: i64| {
        guard::doubt(&world.store, now.plus_millis(days * DAY_MS))
            .await
            .unwrap()
    };
    assert_eq!(doubt(4_000).await, None, "it has never run");
    world.store.note_retained(now).await.unwrap();
    assert_eq!(doubt(40).await, None);
    let mut retain = worker(&world, retention::PASSES);
    for (days, rest) in [(41, IN_DOUBT), (40, EVERY)] {
        while retain.round(now.plus_millis(days * DAY_MS)).await.unwrap() == Left::More {}
        assert_eq!(retain.interval(), rest, "{days}");
    }
    world.store.note_retained(now).await.unwrap();
    let words = doubt(41).await.unwrap().to_string();
    assert!(words.contains("retention run --clock-is-right"), "{words}");
    world
        .store
        .note_retained(now.plus_millis(41 * DAY_MS))
        .await
        .unwrap();
    assert_eq!(doubt(41).await, None);
}
