//! What is applied, and how often.

use sendpromptly_verify::unix_now;

use crate::app::{App, success};
use crate::callback::{CREDITS, Repair};

#[tokio::test]
async fn a_genuine_callback_is_applied_and_its_result_told() {
    let app = App::start().await;
    assert_eq!(app.call(CREDITS.attempt()).await, success());
    assert_eq!(app.credits().await, 500);
}

#[tokio::test]
async fn a_replay_that_comes_again_is_applied_once() {
    let app = App::start().await;
    for _ in 0..3 {
        assert_eq!(app.call(CREDITS.attempt()).await, success());
    }
    assert_eq!(app.credits().await, 500);
}

#[tokio::test]
async fn two_orders_for_one_effect_apply_it_once() {
    let app = App::start().await;
    for replay in [1, 2] {
        let answer = app.call(Repair { replay, ..CREDITS }.attempt()).await;
        assert_eq!(answer, success());
    }
    assert_eq!(app.credits().await, 500);
}

#[tokio::test]
async fn an_effect_that_the_usual_work_applied_late_is_not_applied_again() {
    let app = App::start().await;
    app.run("INSERT INTO effects VALUES ('evt_example', 'credit_grant')")
        .await;
    assert_eq!(app.call(CREDITS.attempt()).await, success());
    assert_eq!(app.credits().await, 0);
}

#[tokio::test]
async fn attempts_at_the_same_time_apply_it_once() {
    let app = App::start().await;
    let answers = tokio::join!(
        app.call(CREDITS.attempt()),
        app.call(CREDITS.attempt()),
        app.call(CREDITS.attempt()),
        app.call(CREDITS.attempt()),
    );
    assert_eq!(answers, (success(), success(), success(), success()));
    assert_eq!(app.credits().await, 500);
}

#[tokio::test]
async fn what_is_tampered_with_or_stale_or_sent_again_is_refused_and_changes_nothing() {
    let app = App::start().await;
    let mut tampered = CREDITS.attempt();
    tampered.body = String::from_utf8(tampered.body)
        .unwrap()
        .replace("account_42", "account_43")
        .into();
    let mut unsigned = CREDITS.attempt();
    unsigned.signature = format!("v1={}", "0".repeat(64));
    let stale = CREDITS.attempt_at(unix_now() - 301);
    let future = CREDITS.attempt_at(unix_now() + 330);
    for callback in [tampered, unsigned, stale, future] {
        assert_eq!(app.call(callback.clone()).await, (401, None), "{callback:?}");
    }
    assert_eq!(app.credits().await, 0);

    let overheard = CREDITS.attempt();
    assert_eq!(app.call(overheard.clone()).await, success());
    assert_eq!(app.call(overheard).await, (401, None));
}

#[tokio::test]
async fn what_this_app_cannot_apply_is_told_as_failed_and_may_be_ordered_again() {
    let app = App::start().await;
    let failed = (200, Some("failed".to_owned()));
    let nobody = Repair {
        account: "account_0",
        ..CREDITS
    };
    let unknown = Repair {
        effect: "seat_update",
        ..CREDITS
    };
    let unpaid = Repair {
        payment: "evt_other",
        ..CREDITS
    };
    for repair in [nobody, unknown, unpaid] {
        assert_eq!(app.call(repair.attempt()).await, failed, "{repair:?}");
    }
    assert_eq!(app.call(CREDITS.attempt()).await, success());
    assert_eq!(app.credits().await, 500);
}

#[tokio::test]
async fn access_is_unlocked_too() {
    let app = App::start().await;
    let access = Repair {
        effect: "access_unlock",
        ..CREDITS
    };
    assert_eq!(app.call(access.attempt()).await, success());
    let has_access: i64 = sqlx::query_scalar("SELECT has_access FROM accounts")
        .fetch_one(&app.pool)
        .await
        .unwrap();
    assert_eq!(has_access, 1);
}
