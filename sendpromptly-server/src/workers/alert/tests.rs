//! Rounds of which a part fails, or that have much to send.

use sendpromptly_core::alert::Channel;
use sendpromptly_core::id::{AlertId, ProjectId};

use super::*;
use crate::platform::entropy;
use crate::store::rows::Sql;
use crate::testing::{NOW, World};
use crate::workers::tests::scene::{Scene, development};

/// A worker, with what keeps it running.
fn worker(scene: &Scene) -> (Alert, watch::Sender<Stage>) {
    let stage = watch::Sender::new(Stage::Running);
    let alert = Alert::new(
        scene.world.store.clone(),
        scene.vault.clone(),
        scene.sender(&development()),
        AlertMetrics::default(),
        stage.subscribe(),
        None,
    );
    (alert, stage)
}

async fn count(world: &World, of: &str) -> i64 {
    world
        .number(Sql::new(format!("SELECT count(*) AS n FROM {of}")))
        .await
}

/// A project that is quiet for too long, a message to be noted, news to be handed on, and others to be forgotten.
async fn much_to_do(scene: &Scene) {
    let (world, store) = (&scene.world, &scene.world.store);
    let to = "http://127.0.0.1:9/alerts";
    world.add_alert(&scene.vault, Channel::Webhook, to, false).await;
    world.failed_event("evt_1").await;
    assert!(!store.hand_on_alerts(NOW).await.unwrap());
    let room = UnderWay::default().room();
    let claimed = store.claim_alert(&room, NOW).await.unwrap().unwrap();
    store.end_alert(&claimed, &AlertEnd::Sent, NOW).await.unwrap();
    world.failed_event("evt_2").await;
    let of_nobody = Sql::new(
        "INSERT INTO alert_news (project_id, escalation, number, subject_id, news, at)
         SELECT id, 1, 1, id, 'escalated', 0 FROM projects",
    );
    world.write(of_nobody).await;
    world
        .write(Sql::new(
            "UPDATE projects SET silence_minutes = 15, silence_since = 0",
        ))
        .await;
}

#[tokio::test]
async fn what_cannot_be_handed_on_or_noted_keeps_nothing_else_from_being_done() {
    for (refused, handed_on, to_note) in [("alert_news", 0, 0), ("told_alerts", 1, 1)] {
        let scene = Scene::set_up().await;
        let world = &scene.world;
        much_to_do(&scene).await;
        world.refuse_into(refused).await;
        let (mut alert, _stage) = worker(&scene);
        alert.forget.next = Instant::now();
        let quiet = clock::now().max(NOW).plus_minutes(20);
        assert!(alert.round(quiet).await.is_err(), "{refused}");
        let opened = "alert_changes WHERE news = 'opened'";
        assert_eq!(count(world, opened).await, 1 - handed_on, "{refused}");
        assert_eq!(count(world, "told_messages").await, to_note, "{refused}");
        let of_nobody = "alert_news WHERE escalation = 1";
        assert_eq!(count(world, of_nobody).await, 0, "{refused}");
        let silent = "alert_changes WHERE news = 'silent'";
        assert_eq!(count(world, silent).await, 1, "{refused}");
    }
}

/// A project with four messages that are due.
async fn four_due(world: &World) {
    let project = ProjectId::new(NOW, entropy::for_id());
    world.add_project(project).await;
    let news = Sql::new(
        "INSERT INTO alert_news (project_id, escalation, number, subject_id, news, at)
         VALUES ({}, 0, 1, {}, 'silent', 0)",
    );
    world
        .write(news.bind(project.as_bytes()).bind(project.as_bytes()))
        .await;
    for _ in 0..4 {
        let add = Sql::new(
            "INSERT INTO alert_destinations (project_id, id, channel, sealed, shown, escalation, newest, due_at,
                created_at) VALUES ({}, {}, 'webhook', {}, 's', 0, 1, 0, 0)",
        );
        let id = AlertId::new(NOW, entropy::for_id());
        let add = add.bind(project.as_bytes()).bind(id.as_bytes());
        world.write(add.bind(vec![1_u8])).await;
    }
}

#[tokio::test]
async fn a_round_claims_so_many_messages_and_leaves_the_rest_to_the_next() {
    let scene = Scene::set_up().await;
    let world = &scene.world;
    let projects = CLAIMS / 4 + 3;
    for _ in 0..projects {
        four_due(world).await;
    }
    let (mut alert, _stage) = worker(&scene);
    let not_claimed = "alert_destinations WHERE due_at = 0";
    assert_eq!(alert.round(NOW).await.unwrap(), Left::More);
    assert_eq!(count(world, not_claimed).await, 12);
    assert_eq!(alert.round(NOW).await.unwrap(), Left::Nothing);
    assert_eq!(count(world, not_claimed).await, 0);
}
