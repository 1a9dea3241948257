//! Payloads that go along with calls.

use super::*;

const PAYLOAD: &str = r#"{"card":"4242"}"#;

impl Scene {
    /// An order for an event whose payload goes along.
    async fn order_with_payload(&self) -> (EventId, IncidentId) {
        let world = &self.world;
        world.keep_snapshots().await;
        world
            .write(Sql::new("UPDATE projects SET send_payload = 1"))
            .await;
        // Its time counts by the workers' clock.
        let now = platform::clock::now();
        let (event, incident) = world.failed_event_at(world.project, "evt_1", now).await;
        world.keep_payload(&self.vault, event, PAYLOAD).await;
        self.order_again(incident).await;
        (event, incident)
    }

    async fn order_again(&self, incident: IncidentId) {
        let now = platform::clock::now();
        let order = self
            .world
            .reprocess_of(self.world.project, incident, None, false, now);
        order.await.unwrap();
    }

    async fn count(&self, query: &'static str) -> i64 {
        self.world.number(Sql::new(query)).await
    }
}

#[tokio::test]
async fn a_payload_that_opens_no_more_is_removed_and_the_next_order_goes_without_it() {
    for spoil in [
        "DELETE FROM data_keys WHERE purpose = 'snapshot'",
        "UPDATE data_keys SET wrapped = (SELECT sealed FROM snapshots) WHERE purpose = 'snapshot'",
        "UPDATE snapshots SET sealed = (SELECT wrapped FROM data_keys WHERE purpose = 'snapshot')",
    ] {
        let scene = Scene::set_up().await;
        let (event, incident) = scene.order_with_payload().await;
        assert_eq!(scene.world.write(Sql::new(spoil)).await, 1, "{spoil}");
        let workers = scene.start(&development());
        let halted = scene.until_replay_is(event, ReplayState::Halted).await;
        assert!(!halted.case.replays[0].doubtful);
        assert_eq!(scene.count("SELECT count(*) AS n FROM snapshots").await, 0);
        scene.order_again(incident).await;
        let (request, stream) = scene.call().await;
        assert!(!request.contains("card"));
        answer(stream, "HTTP/1.1 204 No Content\r\n\r\n").await;
        scene.until_replay_is(event, ReplayState::Delivered).await;
        workers.stop().await;
    }
}

#[tokio::test]
async fn a_call_whose_payload_cannot_be_read_now_waits_and_costs_nothing() {
    let scene = Scene::set_up().await;
    let (event, _) = scene.order_with_payload().await;
    let name = Sql::new("UPDATE data_keys SET kid = kid || '-missing' WHERE purpose = 'snapshot'");
    scene.world.write(name).await;
    let workers = scene.start(&development());
    let later = platform::clock::now().plus_millis(50_000);
    let waits = |case: &StoredCase| {
        let next = case.case.replays[0].next_attempt_at;
        case.lease.is_none() && next.is_some_and(|at| at > later)
    };
    let case = scene.until(event, waits).await;
    let replay = &case.case.replays[0];
    assert_eq!(
        (
            replay.state,
            replay.attempts,
            replay.steps,
            replay.cut_offs,
            replay.doubtful
        ),
        (ReplayState::Queued, 0, 0, 0, false)
    );
    assert_eq!(scene.count("SELECT count(*) AS n FROM attempts").await, 0);
    assert_eq!(scene.count("SELECT count(*) AS n FROM snapshots").await, 1);

    let back = Sql::new("UPDATE data_keys SET kid = replace(kid, '-missing', '') WHERE purpose = 'snapshot'");
    scene.world.write(back).await;
    let due = Sql::new("UPDATE replays SET next_attempt_at = 0");
    scene.world.write(due).await;
    let (request, stream) = scene.call().await;
    assert_eq!(header(&request, "x-sendpromptly-attempt"), "1");
    assert!(
        request.ends_with(&format!(r#","payload":{PAYLOAD}}}"#)),
        "{request}"
    );
    answer(stream, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n4242").await;
    scene.until_replay_is(event, ReplayState::Delivered).await;
    workers.stop().await;
    let heads = "SELECT count(*) AS n FROM attempts WHERE answer_head IS NOT NULL";
    assert_eq!(scene.count(heads).await, 0, "an answer may echo the payload");
}
