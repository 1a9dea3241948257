//! Events in any order end in the same rows, and one that comes again changes nothing.

use futures_util::future::join_all;
use sendpromptly_core::billing::{Says, Status};

use super::*;
use crate::platform::clock;
use crate::testing::World;

pub(super) fn fact(event: u8, seconds: i64, says: Says, organization: Option<OrganizationId>) -> Fact {
    Fact {
        event: [event; 16],
        at: Timestamp::from_millis(1_800_000_000_000 + seconds * 1_000),
        customer: "cus_1".to_owned(),
        subscription: "sub_1".to_owned(),
        organization,
        says,
        paid_until: None,
        is_read: false,
    }
}

async fn hear(world: &World, facts: &[Fact]) -> BillingRecord {
    for fact in facts {
        world.store.hear_stripe(fact, clock::now()).await.unwrap();
    }
    let scope = OrganizationScope::of_the_command_line(world.organization);
    world.store.billing(scope).await.unwrap().unwrap()
}

#[tokio::test]
async fn any_order_of_events_ends_in_the_same_row() {
    let order = |organization| {
        [
            fact(1, 0, Says::Incomplete, None),
            fact(2, 1, Says::Paid, None),
            fact(3, 2, Says::Active, Some(organization)),
            fact(4, 9, Says::PastDue, None),
        ]
    };
    let indexes = [[0, 1, 2, 3], [3, 2, 1, 0], [2, 3, 0, 1], [1, 3, 2, 0]];
    let mut ends = Vec::new();
    for indexes in indexes {
        let world = World::set_up().await;
        let facts = order(world.organization);
        let shuffled = indexes.map(|index| facts[index].clone());
        let end = hear(&world, &shuffled).await;
        ends.push((
            end.plan.status,
            end.plan.past_due_since,
            end.subscription,
            end.customer,
        ));
    }
    let since = fact(4, 9, Says::PastDue, None).at;
    assert_eq!((ends[0].0, ends[0].1), (Some(Status::PastDue), Some(since)));
    assert!(ends.iter().all(|end| *end == ends[0]), "{ends:?}");
}

#[tokio::test]
async fn an_event_that_comes_again_is_heard_once() {
    let world = World::set_up().await;
    let active = fact(1, 0, Says::Active, Some(world.organization));
    let now = clock::now();
    assert_eq!(world.store.hear_stripe(&active, now).await.unwrap(), Heard::New);
    assert_eq!(world.store.hear_stripe(&active, now).await.unwrap(), Heard::Again);
}

#[tokio::test]
async fn events_about_one_customer_that_come_at_once_end_as_those_that_come_one_by_one() {
    let world = World::set_up().await;
    let scope = OrganizationScope::of_the_command_line(world.organization);
    for round in 0..16 {
        // Only one of them tells whose customer it is, and an end that is not seen would leave the subscription alive.
        let mut facts = [
            fact(round * 4, 0, Says::Incomplete, None),
            fact(round * 4 + 1, 1, Says::Paid, None),
            fact(round * 4 + 2, 2, Says::Active, Some(world.organization)),
            fact(round * 4 + 3, 9, Says::Canceled, None),
        ];
        for fact in &mut facts {
            fact.customer = format!("cus_{round}");
            fact.subscription = format!("sub_{round}");
        }
        facts.rotate_left(usize::from(round % 4));
        let heard = join_all(
            facts
                .iter()
                .map(|fact| world.store.hear_stripe(fact, clock::now())),
        )
        .await;
        assert!(
            heard.iter().all(|heard| matches!(heard, Ok(Heard::New))),
            "{heard:?}"
        );
        let record = world.store.billing(scope).await.unwrap().unwrap();
        assert_eq!(
            (record.plan.status, record.alive),
            (Some(Status::Canceled), 0),
            "round {round}"
        );
    }
}

#[tokio::test]
async fn an_event_that_comes_several_times_at_once_is_heard_once() {
    let world = World::set_up().await;
    let active = fact(1, 0, Says::Active, Some(world.organization));
    let heard = join_all((0..8).map(|_| world.store.hear_stripe(&active, clock::now()))).await;
    let new = heard.into_iter().filter(|heard| matches!(heard, Ok(Heard::New)));
    assert_eq!(new.count(), 1);
}

#[tokio::test]
async fn customers_of_one_organization_of_whom_events_come_at_once_are_both_its() {
    let world = World::set_up().await;
    let scope = OrganizationScope::of_the_command_line(world.organization);
    let facts = (0..12).map(|number| {
        let mut fact = fact(number, 0, Says::Active, Some(world.organization));
        fact.customer = format!("cus_{number}");
        fact.subscription = format!("sub_{number}");
        fact
    });
    let facts = facts.collect::<Vec<_>>();
    let heard = join_all(
        facts
            .iter()
            .map(|fact| world.store.hear_stripe(fact, clock::now())),
    )
    .await;
    assert!(heard.iter().all(Result::is_ok), "{heard:?}");
    let record = world.store.billing(scope).await.unwrap().unwrap();
    assert_eq!(record.alive, 12);
}

#[tokio::test]
async fn an_event_that_names_nobody_known_is_kept_and_changes_nothing() {
    let world = World::set_up().await;
    let stranger = OrganizationId::from_bytes([9; 16]);
    let record = hear(&world, &[fact(1, 0, Says::Active, Some(stranger))]).await;
    assert_eq!((record.plan.status, record.customer), (None, None));
}

#[tokio::test]
async fn a_subscription_that_turns_out_to_be_another_ones_is_taken_away() {
    let world = World::set_up().await;
    let other = OrganizationId::from_bytes([9; 16]);
    let record = hear(&world, &[fact(2, 5, Says::Active, Some(world.organization))]).await;
    assert_eq!(record.plan.status, Some(Status::Active));
    let record = hear(&world, &[fact(1, 0, Says::Incomplete, Some(other))]).await;
    assert_eq!((record.plan.status, record.subscription), (None, None));
}
