//! Cases that the store refuses, for what is stored of them cannot be read. They hold up nothing else.

use sendpromptly_core::time::HOUR_MS;

use super::scene::add_secret;
use super::*;
use crate::store::claims::Claim;

impl Scene {
    /// Makes what is stored of an event's incident unreadable.
    async fn spoil(&self, event: EventId) {
        let spoil = Sql::new("UPDATE incidents SET state = 'spoilt' WHERE event_id = {}");
        assert_eq!(self.world.write(spoil.bind(event.as_bytes())).await, 1);
    }

    /// So many calls that a dead node began, the first one first.
    async fn dead_calls(&self, count: usize) -> Vec<Claim> {
        self.world.queue(self.world.project, count).await;
        let due = Sql::new("UPDATE replays SET next_attempt_at = 0");
        self.world.write(due).await;
        let (mut claims, mut at) = (Vec::new(), platform::clock::now().plus_millis(-24 * HOUR_MS));
        while claims.len() < count {
            claims.extend(self.world.claim(at).await);
            at = at.plus(LEASE);
        }
        claims
    }

    /// Cuts off the calls of dead nodes, and makes none.
    async fn cut_off(&self) {
        let (_, stopping) = watch::channel(Stage::Stopping);
        let mut deliver = Deliver::new(self.calls(), stopping);
        deliver.round(platform::clock::now()).await.unwrap();
    }
}

#[tokio::test]
async fn a_due_call_whose_case_is_refused_does_not_hold_up_other_projects() {
    let scene = Scene::set_up().await;
    let (world, other) = (&scene.world, ProjectId::from_bytes([1; 16]));
    world.add_project(other).await;
    add_secret(world, &scene.vault, other).await;
    let (spoilt, incident) = world.failed_event_of(other, "evt_1").await;
    let order = world.reprocess_of(other, incident, None, false, platform::clock::now());
    order.await.unwrap();
    scene.spoil(spoilt).await;
    let (good, _) = scene.order().await;
    let (_stage, running) = watch::channel(Stage::Running);
    let mut deliver = Deliver::new(scene.calls(), running);
    deliver.round(platform::clock::now()).await.unwrap();
    assert_eq!(world.case(good).await.case.replays[0].attempts, 1);
    // Now it is the only one that is due.
    deliver.round(platform::clock::now()).await.unwrap();
    let attempts = Sql::new("SELECT count(*) AS n FROM attempts");
    assert_eq!(world.number(attempts).await, 1);
}

#[tokio::test]
async fn a_dead_call_whose_end_is_refused_does_not_hold_up_the_others() {
    let scene = Scene::set_up().await;
    let claims = scene.dead_calls(3).await;
    scene.spoil(claims[0].attempt.event).await;
    scene.cut_off().await;
    let open = Sql::new("SELECT count(*) AS n FROM attempts WHERE ended_at IS NULL");
    assert_eq!(scene.world.number(open).await, 1);
    assert_eq!(scene.world.attempt_outcome(&claims[0]).await, None);
}

#[tokio::test]
async fn a_batch_of_dead_calls_whose_ends_are_refused_does_not_hold_up_the_others() {
    let scene = Scene::set_up().await;
    let claims = scene.dead_calls(65).await;
    let (good, refused) = claims.split_last().unwrap();
    for claim in refused {
        scene.spoil(claim.attempt.event).await;
    }
    scene.cut_off().await;
    assert_eq!(scene.world.attempt_outcome(&claims[0]).await, None);
    let outcome = scene.world.attempt_outcome(good).await;
    assert_eq!(outcome.as_deref(), Some("cut_off"));
}
