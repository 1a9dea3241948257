//! Stripe is asked after each event, an older answer never stands for a newer event, and no question is lost.

use sendpromptly_core::billing::{Says, Status};

use super::*;
use crate::store::billing::tests::fact;
use crate::store::scope::OrganizationScope;
use crate::testing::{NOW, World, over_many};

/// When a question is due that was ordered at [`NOW`].
fn due() -> Timestamp {
    NOW.plus(GATHER)
}

async fn hear(world: &World, event: u8, says: Says) {
    let fact = fact(event, i64::from(event), says, Some(world.organization));
    world.store.hear_stripe(&fact, NOW).await.unwrap();
}

async fn claim(world: &World, now: Timestamp) -> ClaimedRead {
    world.store.claim_read(now).await.unwrap().unwrap()
}

/// Records that Stripe, asked at this time, told this; whether it counts.
async fn told(world: &World, claimed: &ClaimedRead, status: Status, at: Timestamp) -> bool {
    let answer = Answer {
        status,
        paid_until: None,
    };
    let end = ReadEnd::Told(answer, at);
    world.store.end_read(claimed, end, at).await.unwrap()
}

async fn status(world: &World) -> Option<Status> {
    let scope = OrganizationScope::of_the_command_line(world.organization);
    let record = world.store.billing(scope).await.unwrap().unwrap();
    record.plan.status
}

/// Far enough from [`NOW`] for every lease and wait to be over.
fn later() -> Timestamp {
    NOW.plus(Duration::from_secs(90))
}

#[tokio::test]
async fn whether_stripe_is_to_be_asked_is_found_by_what_is_due_also_in_a_table_never_analyzed() {
    let world = World::set_up().await;
    let fill = over_many(
        "INSERT INTO stripe_subscriptions (subscription, customer, heard_at, look_at)
             SELECT CAST(r.number AS text), 'cus', 0, r.number FROM {rows}",
    );
    world.write(fill).await;
    for (queue, index) in [
        (EVENTS, "stripe_subscriptions_to_read"),
        (LOOKS, "stripe_subscriptions_to_look_at"),
    ] {
        let plan = queue.any(NOW).plan(&world.store.reader).await;
        assert!(plan.contains(index), "{plan}");
    }
}

#[tokio::test]
async fn what_stripe_tells_decides_and_it_is_asked_once_for_events_that_come_together() {
    let world = World::set_up().await;
    hear(&world, 1, Says::Incomplete).await;
    hear(&world, 2, Says::Active).await;
    assert!(
        world.store.claim_read(NOW).await.unwrap().is_none(),
        "events are gathered"
    );
    let claimed = claim(&world, due()).await;
    assert!(world.store.claim_read(due()).await.unwrap().is_none());
    assert!(told(&world, &claimed, Status::PastDue, due()).await);
    assert_eq!(status(&world).await, Some(Status::PastDue));
    assert!(world.store.claim_read(later()).await.unwrap().is_none());
}

#[tokio::test]
async fn an_answer_that_an_event_has_overtaken_is_dropped_and_stripe_is_asked_again() {
    let world = World::set_up().await;
    hear(&world, 1, Says::Active).await;
    let first = claim(&world, due()).await;
    hear(&world, 2, Says::PastDue).await;
    assert!(!told(&world, &first, Status::Active, due()).await);
    assert_eq!(status(&world).await, Some(Status::PastDue));
    let second = claim(&world, due()).await;
    assert!(told(&world, &second, Status::Canceled, due()).await);
    assert!(!told(&world, &first, Status::Active, due()).await);
    assert_eq!(status(&world).await, Some(Status::Canceled));
}

#[tokio::test]
async fn a_question_of_a_node_that_died_is_asked_by_another_and_counts_once() {
    let world = World::set_up().await;
    hear(&world, 1, Says::Active).await;
    let died = claim(&world, due()).await;
    let lease = due().plus(LEASE);
    assert!(
        world
            .store
            .claim_read(lease.plus_millis(-1))
            .await
            .unwrap()
            .is_none()
    );
    let other = claim(&world, lease).await;
    let tries = |tries| Cause::Event { tries };
    assert_eq!((died.cause, other.cause), (tries(1), tries(2)));
    assert!(told(&world, &other, Status::Unpaid, lease).await);
    assert!(!told(&world, &died, Status::Active, lease).await);
    assert_eq!(status(&world).await, Some(Status::Unpaid));
}

#[tokio::test]
async fn without_an_answer_events_decide_until_stripe_tells() {
    let world = World::set_up().await;
    hear(&world, 1, Says::Active).await;
    let claimed = claim(&world, due()).await;
    let end = ReadEnd::Waits(later());
    assert!(world.store.end_read(&claimed, end, due()).await.unwrap());
    assert_eq!(status(&world).await, Some(Status::Active));
    let again = claim(&world, later()).await;
    assert_eq!(again.cause, Cause::Event { tries: 2 });
    assert!(
        world
            .store
            .end_read(&again, ReadEnd::GivenUp, later())
            .await
            .unwrap()
    );
    let counts = world.store.billing_counts().await.unwrap();
    assert_eq!((counts.to_read, counts.given_up), (0, 1));
    assert_eq!(counts.organizations[&Some(Status::Active)], 1);
    // The next event begins anew.
    hear(&world, 2, Says::PastDue).await;
    let counts = world.store.billing_counts().await.unwrap();
    assert_eq!((counts.to_read, counts.given_up), (1, 0));
    assert_eq!(claim(&world, due()).await.cause, Cause::Event { tries: 1 });
}

#[tokio::test]
async fn of_what_stripe_knows_no_longer_the_events_decide() {
    let world = World::set_up().await;
    hear(&world, 1, Says::Active).await;
    let claimed = claim(&world, due()).await;
    assert!(told(&world, &claimed, Status::Active, later()).await);
    // Made before Stripe was asked, by its time, and heard after.
    hear(&world, 2, Says::Canceled).await;
    assert_eq!(status(&world).await, Some(Status::Active));
    let claimed = claim(&world, due()).await;
    assert!(
        world
            .store
            .end_read(&claimed, ReadEnd::Unknown, due())
            .await
            .unwrap()
    );
    assert_eq!(status(&world).await, Some(Status::Canceled));
    assert!(world.store.claim_read(later()).await.unwrap().is_none());
}

#[tokio::test]
async fn stripe_is_asked_for_nobody_elses_subscription() {
    let world = World::set_up().await;
    let stranger = fact(1, 1, Says::Active, None);
    world.store.hear_stripe(&stranger, NOW).await.unwrap();
    assert!(world.store.claim_read(later()).await.unwrap().is_none());
    // Whose it is is told by another subscription of the same customer.
    let mut named = fact(2, 2, Says::Active, Some(world.organization));
    named.subscription = "sub_2".to_owned();
    world.store.hear_stripe(&named, NOW).await.unwrap();
    let asked = [claim(&world, due()).await, claim(&world, due()).await];
    let mut asked = asked.map(|claimed| claimed.subscription);
    asked.sort();
    assert_eq!(asked, ["sub_1", "sub_2"]);
}

/// When a subscription is looked at that Stripe told of when it was asked at [`due`].
fn next_day() -> Timestamp {
    due().plus(LOOK_EVERY)
}

/// Stripe has told of the subscription after an event.
async fn told_after_an_event(world: &World, status: Status) {
    hear(world, 1, Says::Active).await;
    let claimed = claim(world, due()).await;
    assert!(told(world, &claimed, status, due()).await);
}

#[tokio::test]
async fn a_subscription_of_which_no_event_tells_is_looked_at_once_a_day() {
    let world = World::set_up().await;
    told_after_an_event(&world, Status::Active).await;
    let early = world.store.claim_look(next_day().plus_millis(-1)).await.unwrap();
    assert!(early.is_none());
    for day in 0..2 {
        let now = next_day().plus(LOOK_EVERY * day);
        let look = world.store.claim_look(now).await.unwrap().unwrap();
        assert_eq!((look.subscription.as_str(), look.cause), ("sub_1", Cause::Look));
        assert!(
            world.store.claim_look(now).await.unwrap().is_none(),
            "one at a time"
        );
        let status = [Status::PastDue, Status::Active][day as usize];
        assert!(told(&world, &look, status, now).await);
        assert_eq!(self::status(&world).await, Some(status));
        assert_eq!(
            world.store.billing_counts().await.unwrap().to_read,
            0,
            "nothing waits for it"
        );
    }
}

#[tokio::test]
async fn what_has_ended_is_not_looked_at() {
    let world = World::set_up().await;
    told_after_an_event(&world, Status::Active).await;
    let look = world.store.claim_look(next_day()).await.unwrap().unwrap();
    assert!(told(&world, &look, Status::Canceled, next_day()).await);
    let much_later = next_day().plus(LOOK_EVERY * 30);
    assert!(world.store.claim_look(much_later).await.unwrap().is_none());
}

#[tokio::test]
async fn what_has_ended_by_its_events_and_stripe_does_not_know_is_not_looked_at() {
    let world = World::set_up().await;
    hear(&world, 1, Says::Canceled).await;
    let claimed = claim(&world, due()).await;
    let end = world.store.end_read(&claimed, ReadEnd::Unknown, due());
    assert!(end.await.unwrap());
    let much_later = next_day().plus(LOOK_EVERY * 30);
    assert!(world.store.claim_look(much_later).await.unwrap().is_none());
}

/// The key may have been of another mode for a while.
#[tokio::test]
async fn what_stripe_does_not_know_is_looked_at_again_the_next_day() {
    let world = World::set_up().await;
    told_after_an_event(&world, Status::Active).await;
    let look = world.store.claim_look(next_day()).await.unwrap().unwrap();
    let end = world.store.end_read(&look, ReadEnd::Unknown, next_day());
    assert!(end.await.unwrap());
    let again = next_day().plus(LOOK_EVERY);
    let early = world.store.claim_look(again.plus_millis(-1)).await.unwrap();
    assert!(early.is_none());
    let look = world.store.claim_look(again).await.unwrap().unwrap();
    assert!(told(&world, &look, Status::PastDue, again).await);
    assert_eq!(status(&world).await, Some(Status::PastDue));
}

#[tokio::test]
async fn a_look_that_found_no_answer_is_made_again_the_next_day_and_holds_up_no_question() {
    let world = World::set_up().await;
    told_after_an_event(&world, Status::Active).await;
    let look = world.store.claim_look(next_day()).await.unwrap().unwrap();
    let end = world.store.end_read(&look, ReadEnd::NotSeen, next_day());
    assert!(end.await.unwrap());
    assert_eq!(status(&world).await, Some(Status::Active));
    assert!(world.store.claim_read(next_day()).await.unwrap().is_none());
    let again = next_day().plus(LOOK_EVERY);
    assert!(
        world
            .store
            .claim_look(again.plus_millis(-1))
            .await
            .unwrap()
            .is_none()
    );
    assert!(world.store.claim_look(again).await.unwrap().is_some());
}

#[tokio::test]
async fn an_event_overtakes_a_look_and_what_was_given_up_is_looked_at_the_next_day() {
    let world = World::set_up().await;
    told_after_an_event(&world, Status::Active).await;
    let look = world.store.claim_look(next_day()).await.unwrap().unwrap();
    hear(&world, 2, Says::PastDue).await;
    assert!(!told(&world, &look, Status::Active, next_day()).await);
    assert_eq!(status(&world).await, Some(Status::PastDue));
    let much_later = next_day().plus(LOOK_EVERY * 9);
    let waits = world.store.claim_look(much_later).await.unwrap();
    assert!(waits.is_none(), "what events have ordered is asked for anyway");
    let claimed = claim(&world, next_day()).await;
    let end = world.store.end_read(&claimed, ReadEnd::GivenUp, next_day());
    assert!(end.await.unwrap());
    assert_eq!(world.store.billing_counts().await.unwrap().given_up, 1);
    let now = next_day().plus(LOOK_EVERY);
    let look = world.store.claim_look(now).await.unwrap().unwrap();
    assert!(told(&world, &look, Status::Unpaid, now).await);
    assert_eq!(status(&world).await, Some(Status::Unpaid));
    assert_eq!(world.store.billing_counts().await.unwrap().given_up, 0);
}
