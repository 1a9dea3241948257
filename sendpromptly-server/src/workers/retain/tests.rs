//! That no pass holds up another, and that a clock which is wrong drops nothing.

use sendpromptly_core::time::{DAY_MS, HOUR_MS};

use super::*;
use crate::platform::clock;
use crate::platform::entropy::ordered_id;
use crate::store::Dialect;
use crate::store::old_rows::OldRows;
use crate::store::rows::Sql;
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
    let words = doubt(41).await.unwrap().to_string();
    assert!(words.contains("retention run --clock-is-right"), "{words}");
    world
        .store
        .note_retained(now.plus_millis(41 * DAY_MS))
        .await
        .unwrap();
    assert_eq!(doubt(41).await, None);
}
