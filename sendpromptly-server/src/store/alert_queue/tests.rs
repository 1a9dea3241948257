//! News from the change that they tell of to the message that has ended.

use sendpromptly_core::alert::{Channel, GROUPED_FOR, News};
use sendpromptly_core::audit::Origin;
use sendpromptly_core::id::{AlertId, ProjectId};
use sendpromptly_core::replay::Effect;
use sendpromptly_core::time::Timestamp;

use super::*;
use crate::platform::entropy;
use crate::store::alerts::AlertMinutes;
use crate::store::rows::Sql;
use crate::testing::{NOW, World, operator};
use crate::vault::Vault;

mod escalations;
mod nodes;
mod silence;
mod told;
mod tries;

const MINUTE_MS: i64 = 60_000;

async fn vault(world: &World) -> Vault {
    Vault::open(&world.store, &world.keys()).await.unwrap()
}

pub(in crate::store) async fn add(world: &World, escalation: bool) -> AlertId {
    let vault = vault(world).await;
    world
        .add_alert(&vault, Channel::Email, "ops@example.com", escalation)
        .await
}

/// Adds a destination that no message is sent to.
async fn add_by(world: &World, project: ProjectId, channel: &str) -> AlertId {
    let id = AlertId::new(NOW, entropy::for_id());
    let add = Sql::new(
        "INSERT INTO alert_destinations (project_id, id, channel, sealed, shown, escalation, created_at)
         VALUES ({}, {}, {}, {}, 's', 0, 0)",
    );
    let add = add.bind(project.as_bytes()).bind(id.as_bytes());
    world.write(add.bind(channel).bind(vec![1_u8])).await;
    id
}

/// Writes news as though something had happened then.
pub(in crate::store) async fn happens(
    world: &World,
    project: ProjectId,
    subject: [u8; 16],
    news: &str,
    at: Timestamp,
) {
    let write = Sql::new(
        "INSERT INTO alert_changes (project_id, id, subject_id, news, at) VALUES ({}, {}, {}, {}, {})",
    );
    let write = write.bind(project.as_bytes()).bind(entropy::ordered_id(at));
    world.write(write.bind(subject).bind(news).bind(at)).await;
}

fn all_room() -> Room {
    Room {
        channels: vec![Channel::Email, Channel::Slack, Channel::Webhook],
        full: Vec::new(),
    }
}

pub(in crate::store) async fn hand_on(world: &World, now: Timestamp) {
    while world.store.hand_on_alerts(now).await.unwrap() {}
}

pub(in crate::store) async fn claim(world: &World, now: Timestamp) -> Option<ClaimedAlert> {
    hand_on(world, now).await;
    world.store.claim_alert(&all_room(), now).await.unwrap()
}

pub(in crate::store) async fn end(world: &World, claimed: &ClaimedAlert, end: AlertEnd, now: Timestamp) {
    world.store.end_alert(claimed, &end, now).await.unwrap();
}

pub(super) fn counts(claimed: &ClaimedAlert) -> Vec<(News, u32)> {
    let counts = claimed.message.content.counts.iter();
    counts.map(|(news, count)| (*news, *count)).collect()
}

/// How many news are kept.
async fn kept(world: &World) -> i64 {
    world
        .number(Sql::new("SELECT count(*) AS n FROM alert_news"))
        .await
}

/// How many destinations there is more to tell.
async fn behind(world: &World) -> i64 {
    let behind = "SELECT count(*) AS n FROM alert_destinations WHERE newest > told_to";
    world.number(Sql::new(behind)).await
}

async fn set(world: &World, escalate: Option<u32>, silence: Option<u32>) {
    let minutes = AlertMinutes { escalate, silence };
    let origin: Origin = operator();
    let set = world
        .store
        .set_alert_minutes(world.scope(), world.project, minutes, &origin, NOW);
    assert!(set.await.unwrap());
}

#[tokio::test]
async fn where_nobody_is_told_nothing_is_queued() {
    let world = World::set_up().await;
    world.failed_event("evt_1").await;
    let waiting = Sql::new("SELECT count(*) AS n FROM alert_changes");
    assert_eq!(world.number(waiting).await, 0);
    assert!(claim(&world, NOW).await.is_none());
}

#[tokio::test]
async fn the_first_news_are_told_at_once_and_a_burst_after_them_as_one_message() {
    let world = World::set_up().await;
    let destination = add(&world, false).await;
    let (event, incident) = world.failed_event("evt_0").await;
    let first = claim(&world, NOW).await.unwrap();
    assert_eq!((first.destination, first.tries), (destination, 1));
    assert_eq!(counts(&first), [(News::Opened, 1)]);
    assert_eq!(first.message.content.incidents[0].incident, incident);
    end(&world, &first, AlertEnd::Sent, NOW).await;
    for number in 1..=40 {
        world.failed_event(&format!("evt_{number}")).await;
    }
    world
        .report(event, Effect::Success, None, NOW.plus_millis(1))
        .await;
    assert!(claim(&world, NOW.plus_millis(4 * MINUTE_MS)).await.is_none());
    let later = NOW.plus(GROUPED_FOR);
    let digest = claim(&world, later).await.unwrap();
    assert_eq!(counts(&digest), [(News::Opened, 40), (News::Resolved, 1)]);
    assert_eq!(digest.message.content.incidents.len(), NAMED as usize);
    end(&world, &digest, AlertEnd::Sent, later).await;
    assert!(claim(&world, later.plus(GROUPED_FOR * 2)).await.is_none());
    assert_eq!(behind(&world).await, 0);
}

#[tokio::test]
async fn what_comes_while_a_message_is_sent_is_told_by_the_next() {
    let world = World::set_up().await;
    add(&world, false).await;
    let (event, _) = world.failed_event("evt_1").await;
    let first = claim(&world, NOW).await.unwrap();
    world
        .report(event, Effect::Success, None, NOW.plus_millis(1))
        .await;
    hand_on(&world, NOW).await;
    end(&world, &first, AlertEnd::Sent, NOW).await;
    assert!(claim(&world, NOW.plus_millis(1)).await.is_none());
    let next = claim(&world, NOW.plus(GROUPED_FOR)).await.unwrap();
    assert_eq!(counts(&next), [(News::Resolved, 1)]);
}

#[tokio::test]
async fn news_are_handed_on_in_small_batches_and_once_for_however_many_destinations() {
    let world = World::set_up().await;
    for _ in 0..10 {
        add_by(&world, world.project, "slack").await;
    }
    let at_once = batch(world.store.dialect()) as u8;
    let all = at_once * 2 + at_once / 2;
    for number in 0..all {
        happens(&world, world.project, [number; 16], "opened", NOW).await;
    }
    let mut batches = vec![];
    while world.store.hand_on_alerts(NOW).await.unwrap() {
        batches.push(kept(&world).await);
    }
    let two = vec![at_once.into(), i64::from(at_once) * 2];
    assert_eq!((batches, kept(&world).await), (two, all.into()));
    let told = world.store.claim_alert(&all_room(), NOW).await.unwrap().unwrap();
    assert_eq!(counts(&told), [(News::Opened, all.into())]);
}

#[tokio::test]
async fn of_an_incident_the_last_is_told_also_where_two_nodes_hand_on_in_another_order() {
    let world = World::set_up().await;
    add(&world, false).await;
    happens(&world, world.project, [1; 16], "resolved", NOW.plus_millis(2)).await;
    hand_on(&world, NOW).await;
    happens(&world, world.project, [1; 16], "opened", NOW).await;
    hand_on(&world, NOW).await;
    let told = claim(&world, NOW).await.unwrap();
    assert_eq!(counts(&told), [(News::Resolved, 1)]);
    end(&world, &told, AlertEnd::Sent, NOW).await;
    happens(&world, world.project, [1; 16], "reopened", NOW.plus_millis(1)).await;
    let later = NOW.plus(GROUPED_FOR);
    assert!(claim(&world, later).await.is_none(), "nothing to tell");
    assert_eq!(behind(&world).await, 0);
}

#[tokio::test]
async fn that_an_incident_is_resolved_is_told_also_where_the_clock_of_the_node_that_opened_it_is_ahead() {
    let world = World::set_up().await;
    add(&world, false).await;
    let event = world.receive("evt_1").await;
    let (ahead, behind) = (NOW.plus_millis(1_500), NOW.plus_millis(1_000));
    world.report(event, Effect::Failed, None, ahead).await;
    hand_on(&world, NOW).await;
    world.report(event, Effect::Success, None, behind).await;
    let told = claim(&world, NOW).await.unwrap();
    assert_eq!(counts(&told), [(News::Resolved, 1)]);
}

#[tokio::test]
async fn a_claim_passes_over_what_there_is_no_room_for() {
    let world = World::set_up().await;
    let other = ProjectId::from_bytes([7; 16]);
    world.add_project(other).await;
    add_by(&world, world.project, "email").await;
    let slack = add_by(&world, world.project, "slack").await;
    let elsewhere = add_by(&world, other, "email").await;
    happens(&world, world.project, [1; 16], "opened", NOW).await;
    happens(&world, other, [1; 16], "opened", NOW).await;
    hand_on(&world, NOW).await;
    let claim = async |channels: &[Channel], full: &[ProjectId]| {
        let room = Room {
            channels: channels.to_vec(),
            full: full.to_vec(),
        };
        let claimed = world.store.claim_alert(&room, NOW).await.unwrap();
        claimed.map(|claimed| claimed.destination)
    };
    assert_eq!(claim(&[], &[]).await, None);
    assert_eq!(claim(&[Channel::Slack, Channel::Webhook], &[]).await, Some(slack));
    assert_eq!(claim(&[Channel::Slack, Channel::Webhook], &[]).await, None);
    assert_eq!(claim(&[Channel::Email], &[world.project]).await, Some(elsewhere));
}

#[tokio::test]
async fn what_cannot_be_read_holds_up_nobody_else() {
    let world = World::set_up().await;
    let broken = ProjectId::from_bytes([7; 16]);
    world.add_project(broken).await;
    add_by(&world, broken, "slack").await;
    let later_version = add_by(&world, world.project, "pigeon").await;
    let good = add_by(&world, world.project, "slack").await;
    happens(&world, broken, [1; 16], "opened", NOW).await;
    hand_on(&world, NOW).await;
    happens(&world, world.project, [1; 16], "opened", NOW).await;
    happens(&world, world.project, [2; 16], "opened", NOW).await;
    hand_on(&world, NOW).await;
    let spoil = Sql::new("UPDATE projects SET mode = 'odd' WHERE id = {}");
    world.write(spoil.bind(broken.as_bytes())).await;
    let unknown = Sql::new("UPDATE alert_news SET news = 'odd' WHERE subject_id = {}");
    world.write(unknown.bind([2; 16])).await;
    let first = Sql::new("UPDATE alert_destinations SET due_at = 0 WHERE project_id = {} OR id = {}");
    let first = first.bind(broken.as_bytes()).bind(later_version.as_bytes());
    world.write(first).await;
    let room = all_room();
    assert!(world.store.claim_alert(&room, NOW).await.is_err());
    let told = world.store.claim_alert(&room, NOW).await.unwrap().unwrap();
    assert_eq!((told.destination, counts(&told)), (good, vec![(News::Opened, 1)]));
    assert!(world.store.claim_alert(&room, NOW).await.unwrap().is_none());
}
