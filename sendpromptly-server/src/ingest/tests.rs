//! What a committer promises, on a SQLite file, and on PostgreSQL where `SENDPROMPTLY_TEST_POSTGRES` names a
//! database to use (the black-box tests run the same promises on both).

use std::time::Duration;

use sendpromptly_core::billing::Plan;
use sendpromptly_core::dedupe::{Endpoint, Fingerprint};
use sendpromptly_core::event::{EffectType, Provider};
use sendpromptly_core::id::{KeyId, OrganizationId, ProjectId};
use sendpromptly_core::replay::Effect;
use sendpromptly_core::request::{IdempotencyKey, Receipt, ResultReport};
use sendpromptly_core::time::Timestamp;

use super::*;
use crate::platform::entropy;
use crate::store::api_keys::KeyHolder;
use crate::store::idempotency::old_answers;
use crate::store::rows::Sql;
use crate::store::{DatabaseUrl, Dialect, StoreRole};

mod fixture;
mod payloads;
mod untold;

use fixture::{Fixture, receipt, report, result};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

async fn write(store: &Store, statement: &str) {
    let tx = store.begin().await.unwrap();
    Sql::new(statement).run(&tx).await.unwrap();
    tx.commit().await.unwrap();
}

fn text(accepted: &Accepted) -> &str {
    std::str::from_utf8(&accepted.body).unwrap()
}

fn event_id(accepted: &Accepted) -> &str {
    let start = text(accepted).find("evt_").unwrap();
    &text(accepted)[start..start + 36]
}

#[tokio::test]
async fn a_second_receipt_of_one_event_is_a_duplicate_with_the_first_ones_times() {
    let fixture = Fixture::set_up().await;
    let first = fixture.send("k1", receipt("evt_1")).await.unwrap();
    let later = NOW.plus(Duration::from_secs(60));
    let again = fixture.send_at("k2", receipt("evt_1"), later).await.unwrap();
    assert_eq!(
        text(&again),
        text(&first).replace("\"duplicate\":false", "\"duplicate\":true")
    );
    assert!(!first.replayed && !again.replayed);
}

#[tokio::test]
async fn the_same_request_under_the_same_key_gets_the_first_answer_and_another_conflicts() {
    let fixture = Fixture::set_up().await;
    let first = fixture.send("k1", receipt("evt_1")).await.unwrap();
    let repeat = fixture.send("k1", receipt("evt_1")).await.unwrap();
    assert_eq!((&repeat.body, repeat.replayed), (&first.body, true));
    assert_eq!(
        fixture.send("k1", receipt("evt_2")).await,
        Err(IngestError::Conflict)
    );
    assert_eq!(
        fixture.send("k1", result("evt_1", Effect::Success)).await,
        Err(IngestError::Conflict)
    );
    let unknown = fixture.send("k2", result("evt_2", Effect::Success)).await;
    assert_eq!(
        unknown,
        Err(IngestError::EventNotFound),
        "the conflict stored no event"
    );
}

#[tokio::test]
async fn a_key_is_free_again_after_24_hours() {
    let fixture = Fixture::set_up().await;
    fixture.send("k1", receipt("evt_1")).await.unwrap();
    let almost = NOW.plus(Duration::from_secs(24 * 3_600) - Duration::from_millis(1));
    assert_eq!(
        fixture.send_at("k1", receipt("evt_2"), almost).await,
        Err(IngestError::Conflict)
    );
    let over = NOW.plus(Duration::from_secs(24 * 3_600));
    assert!(
        !fixture
            .send_at("k1", receipt("evt_2"), over)
            .await
            .unwrap()
            .replayed
    );
    assert_eq!(
        fixture.send_at("k1", receipt("evt_1"), over).await,
        Err(IngestError::Conflict)
    );
}

#[tokio::test]
async fn an_expired_key_is_free_though_a_deadlock_undoes_its_clean_up() {
    let fixture = Fixture::set_up().await;
    if fixture.store.dialect() == Dialect::Sqlite {
        return; // it knows no deadlock
    }
    let project = format!(
        "{:032x}",
        u128::from_be_bytes(*fixture.project.project.as_bytes())
    );
    // A sequence goes on where a transaction is undone, so only the first clean-up meets a deadlock.
    for statement in [
        format!("CREATE SEQUENCE undone_{project}"),
        format!(
            "CREATE FUNCTION undo_{project}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                IF nextval('undone_{project}') = 1 THEN RAISE 'undone' USING ERRCODE = 'deadlock_detected'; END IF;
                RETURN OLD; END $$"
        ),
        format!(
            "CREATE TRIGGER undo_{project} BEFORE DELETE ON idempotency FOR EACH ROW
             WHEN (OLD.project_id = '{project}') EXECUTE FUNCTION undo_{project}()"
        ),
    ] {
        write(&fixture.store, &statement).await;
    }
    fixture.send("k1", receipt("evt_1")).await.unwrap();
    let over = NOW.plus(Duration::from_secs(24 * 3_600));
    let again = fixture.send_at("k1", receipt("evt_1"), over).await;
    assert!(!again.unwrap().replayed);
}

#[tokio::test]
async fn a_refused_request_leaves_its_key_free() {
    let fixture = Fixture::set_up().await;
    assert_eq!(
        fixture.send("k1", result("evt_1", Effect::Failed)).await,
        Err(IngestError::EventNotFound)
    );
    assert!(!fixture.send("k1", receipt("evt_1")).await.unwrap().replayed);
}

#[tokio::test]
async fn a_refusal_that_could_not_be_confirmed_is_not_given() {
    let fixture = Fixture::set_up().await;
    // What is written finds no event; whether the key is remembered can then not be read.
    fixture.store.reader().clone().close().await.unwrap();
    assert_eq!(
        fixture.send("k1", result("evt_1", Effect::Failed)).await,
        Err(IngestError::Unavailable)
    );
}

#[tokio::test]
async fn a_thousand_requests_at_once_under_one_key_store_one_event() {
    let fixture = Fixture::set_up().await;
    let answers = futures_all((0..1_000).map(|_| fixture.send("k1", receipt("evt_1")))).await;
    let fresh = answers
        .iter()
        .filter(|answer| !answer.as_ref().unwrap().replayed)
        .count();
    assert_eq!(fresh, 1);
    assert!(
        answers
            .iter()
            .all(|answer| answer.as_ref().unwrap().body == answers[0].as_ref().unwrap().body)
    );
}

#[tokio::test]
async fn receipts_of_one_event_at_once_under_many_keys_agree_on_its_id() {
    let fixture = Fixture::set_up().await;
    let keys: Vec<String> = (0..200).map(|number| format!("k{number}")).collect();
    let answers = futures_all(keys.iter().map(|key| fixture.send(key, receipt("evt_1")))).await;
    let first = event_id(answers[0].as_ref().unwrap()).to_owned();
    assert!(
        answers
            .iter()
            .all(|answer| event_id(answer.as_ref().unwrap()) == first)
    );
    let new = answers
        .iter()
        .filter(|answer| text(answer.as_ref().unwrap()).contains("\"duplicate\":false"));
    assert_eq!(new.count(), 1);
}

#[tokio::test]
async fn a_success_is_final_and_a_failure_opens_one_incident() {
    let fixture = Fixture::set_up().await;
    fixture.send("k1", receipt("evt_1")).await.unwrap();
    let failed = fixture.send("k2", result("evt_1", Effect::Failed)).await.unwrap();
    assert!(text(&failed).contains("\"status\":\"failed\",\"incident_id\":\"inc_"));
    let succeeded = fixture
        .send("k3", result("evt_1", Effect::Success))
        .await
        .unwrap();
    assert_eq!(
        text(&succeeded),
        text(&failed).replace("\"failed\"", "\"succeeded\"")
    );
    let late = fixture.send("k4", result("evt_1", Effect::Failed)).await.unwrap();
    assert_eq!(late.body, succeeded.body);
}

/// A result that no database stores: PostgreSQL refuses its NUL, and SQLite what the trigger forbids.
async fn poison(store: &Store, provider_event_id: &str) -> Signal {
    if store.dialect() == Dialect::Sqlite {
        let trigger = "CREATE TRIGGER no_poison BEFORE INSERT ON results WHEN NEW.error_code = 'poison'
             BEGIN SELECT RAISE(ABORT, 'poison'); END";
        write(store, trigger).await;
    }
    let mut report = report(provider_event_id, Effect::Failed);
    report.error_code = Some("poison".to_owned());
    report.error_message = Some("\0".to_owned());
    Signal::Result(report)
}

#[tokio::test]
async fn a_bad_row_refuses_no_neighbour_and_leaves_them_in_order_of_arrival() {
    let fixture = Fixture::set_up().await;
    fixture.send("k1", receipt("evt_1")).await.unwrap();
    let poison = poison(&fixture.store, "evt_1").await;
    let failed = fixture.send("k2", result("evt_1", Effect::Failed));
    let succeeded = fixture.send("k3", result("evt_1", Effect::Success));
    // All three are in the queue before a committer runs, so they are one batch.
    let (failed, succeeded, poisoned) = tokio::join!(failed, succeeded, fixture.send("k4", poison));
    assert!(text(&failed.unwrap()).contains("\"status\":\"failed\",\"incident_id\":\"inc_"));
    assert!(text(&succeeded.unwrap()).contains("\"status\":\"succeeded\",\"incident_id\":\"inc_"));
    assert_eq!(poisoned, Err(IngestError::Internal));
}

#[tokio::test]
async fn results_at_once_for_one_event_open_one_incident() {
    let fixture = Fixture::set_up().await;
    fixture.send("k", receipt("evt_1")).await.unwrap();
    let keys: Vec<String> = (0..200).map(|number| format!("k{number}")).collect();
    let answers = futures_all(
        keys.iter()
            .map(|key| fixture.send(key, result("evt_1", Effect::Failed))),
    )
    .await;
    let first = answers[0].as_ref().unwrap();
    assert!(text(first).contains("inc_"));
    assert!(
        answers
            .iter()
            .all(|answer| answer.as_ref().unwrap().body == first.body)
    );
}

#[tokio::test]
async fn answers_are_forgotten_after_24_hours_in_bounded_batches() {
    let fixture = Fixture::set_up().await;
    for number in 0..3 {
        fixture
            .send(&format!("k{number}"), receipt("evt_1"))
            .await
            .unwrap();
    }
    let over = NOW.plus(Duration::from_secs(24 * 3_600));
    let forget = async |now| fixture.store.drop_old(old_answers(now), 2).await.unwrap();
    assert_eq!(forget(over.plus_millis(-1)).await, 0);
    assert_eq!(forget(over).await, 2);
}

#[tokio::test]
async fn results_by_our_id_and_by_the_providers_wait_for_no_second_connection() {
    let fixture = Fixture::with_connections(1).await;
    let first = fixture.send("k1", receipt("evt_1")).await.unwrap();
    fixture.send("k2", receipt("evt_2")).await.unwrap();
    let mut by_our_id = report("evt_1", Effect::Success);
    by_our_id.event_id = Some(event_id(&first).parse().unwrap());
    let by_our_id = fixture.send("k3", Signal::Result(by_our_id));
    let by_providers = fixture.send("k4", result("evt_2", Effect::Success));
    let (by_our_id, by_providers) = tokio::join!(by_our_id, by_providers);
    for answer in [by_our_id, by_providers] {
        assert!(text(&answer.unwrap()).contains("\"status\":\"succeeded\""));
    }
}

#[tokio::test]
async fn receipts_are_accepted_while_others_have_every_connection_but_the_committers() {
    let fixture = Fixture::with_one_reserved().await;
    if fixture.store.dialect() == Dialect::Sqlite {
        return; // one writes at a time there, over the one connection that writes
    }
    let taken = fixture.store.begin().await.unwrap();
    fixture.send("k1", receipt("evt_1")).await.unwrap();
    let again = fixture.send("k2", receipt("evt_1")).await.unwrap();
    assert!(
        text(&again).contains("\"duplicate\":true"),
        "looks at what is stored go the same way"
    );
    taken.rollback().await.unwrap();
}

/// Runs all at once and gives their outcomes in order.
async fn futures_all<F: Future<Output = Result<Accepted, IngestError>>>(
    requests: impl Iterator<Item = F>,
) -> Vec<Result<Accepted, IngestError>> {
    let mut requests: Vec<_> = requests.map(Box::pin).collect();
    let mut outcomes: Vec<Option<_>> = requests.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (request, outcome) in requests.iter_mut().zip(&mut outcomes) {
            if outcome.is_none()
                && let std::task::Poll::Ready(done) = request.as_mut().poll(context)
            {
                *outcome = Some(done);
            }
        }
        if outcomes.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    outcomes.into_iter().flatten().collect()
}
