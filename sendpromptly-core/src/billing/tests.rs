//! Events in any order and any number end in the same subscription, and what an organization may do follows from it.

use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::event::Mode;

const DAY: i64 = 86_400;
const START: i64 = 1_800_000_000;
const GRACE: Duration = Duration::from_secs(7 * 86_400);

fn organization() -> OrganizationId {
    OrganizationId::from_bytes([7; 16])
}

fn event(number: usize, at: i64, kind: &str, object: &Value) -> Fact {
    let id = format!("evt_{number}");
    let event = json!({"id": id, "type": kind, "created": at, "data": {"object": object}});
    match read_event(event.to_string().as_bytes(), None) {
        Ok(Event::Tells(fact)) => fact,
        other => panic!("{other:?}"),
    }
}

fn subscription(status: &str) -> Value {
    json!({"id": "sub_1", "customer": "cus_1", "status": status,
        "metadata": {"organization_id": organization().to_string()}, "items": {"data": [{"current_period_end": START + 30 * DAY}]}})
}

fn invoice() -> Value {
    json!({"id": "in_1", "customer": "cus_1",
        "parent": {"subscription_details": {"subscription": "sub_1"}},
        "lines": {"data": [{"period": {"end": START + 30 * DAY}}]}})
}

fn checkout() -> Value {
    json!({"customer": "cus_1", "subscription": "sub_1", "client_reference_id": organization().to_string()})
}

/// Events of one subscription: seconds after the start, type, and the status that a subscription's event bears.
type Story = &'static [(i64, &'static str, &'static str)];

const CREATED: &str = "customer.subscription.created";
const UPDATED: &str = "customer.subscription.updated";
const BOUGHT: Story = &[
    (0, CREATED, "incomplete"),
    (0, "invoice.paid", ""),
    (0, UPDATED, "active"),
    (1, "checkout.session.completed", ""),
];
const LATE_AND_PAID: Story = &[
    (0, CREATED, "incomplete"),
    (0, "invoice.paid", ""),
    (0, UPDATED, "active"),
    (1, "checkout.session.completed", ""),
    (30 * DAY, UPDATED, "active"),
    (30 * DAY + 3_600, "invoice.payment_failed", ""),
    (30 * DAY + 3_600, UPDATED, "past_due"),
    (33 * DAY, "invoice.payment_failed", ""),
    (33 * DAY, UPDATED, "past_due"),
    (35 * DAY, "invoice.paid", ""),
    (35 * DAY, UPDATED, "active"),
];
const LATE: Story = &[
    (0, CREATED, "active"),
    (1, "checkout.session.completed", ""),
    (30 * DAY, "invoice.payment_failed", ""),
    (30 * DAY, UPDATED, "past_due"),
    (33 * DAY, "invoice.payment_failed", ""),
    (34 * DAY, UPDATED, "past_due"),
];
const ENDED: Story = &[
    (0, CREATED, "trialing"),
    (1, "checkout.session.completed", ""),
    (9 * DAY, "customer.subscription.deleted", "canceled"),
    (9 * DAY, UPDATED, "active"),
    (9 * DAY + 5, "invoice.paid", ""),
];
const PAUSED: Story = &[
    (0, CREATED, "trialing"),
    (1, "checkout.session.completed", ""),
    (9 * DAY, UPDATED, "paused"),
    (9 * DAY, "customer.subscription.paused", "paused"),
    (9 * DAY + 5, "invoice.paid", ""),
];
const RESUMED: Story = &[
    (0, CREATED, "trialing"),
    (1, "checkout.session.completed", ""),
    (9 * DAY, "customer.subscription.paused", "paused"),
    (9 * DAY, "customer.subscription.resumed", "active"),
];
const NEVER_PAID: Story = &[
    (0, CREATED, "incomplete"),
    (0, "invoice.payment_failed", ""),
    (5, "invoice.payment_failed", ""),
    (5, "checkout.session.completed", ""),
];
const STORIES: &[(Story, Status)] = &[
    (BOUGHT, Status::Active),
    (LATE_AND_PAID, Status::Active),
    (LATE, Status::PastDue),
    (ENDED, Status::Canceled),
    (PAUSED, Status::Paused),
    (RESUMED, Status::Active),
    (NEVER_PAID, Status::Incomplete),
];

fn facts(story: Story) -> Vec<Fact> {
    let fact = |(number, (at, kind, status)): (usize, &(i64, &str, &str))| {
        let object = match *kind {
            "checkout.session.completed" => checkout(),
            kind if kind.starts_with("invoice") => invoice(),
            _ => subscription(status),
        };
        event(number, START + at, kind, &object)
    };
    story.iter().enumerate().map(fact).collect()
}

#[test]
fn each_story_ends_as_stripe_tells_it() {
    for (story, status) in STORIES {
        let settled = settle(organization(), &facts(story), &[]).unwrap();
        assert_eq!(settled.status, *status, "{story:?}");
        assert_eq!(
            (settled.id.as_str(), settled.customer.as_str()),
            ("sub_1", "cus_1")
        );
    }
}

#[test]
fn grace_counts_from_the_first_payment_that_is_missing() {
    let settled = settle(organization(), &facts(LATE), &[]).unwrap();
    let since = Timestamp::from_millis((START + 30 * DAY) * 1_000);
    assert_eq!(settled.past_due_since, Some(since));
    let plan = Plan {
        made_at: Timestamp::from_millis(START * 1_000),
        status: Some(settled.status),
        past_due_since: settled.past_due_since,
    };
    let ends = since.plus(GRACE);
    assert_eq!(plan.access(ends.plus_millis(-1), GRACE), Access::Grace(ends));
    assert_eq!(plan.access(ends, GRACE), Access::Ended);
}

#[test]
fn only_active_trial_and_grace_allow_monitoring() {
    let made_at = Timestamp::from_millis(START * 1_000);
    let later = made_at.plus(TRIAL);
    for status in Status::ALL {
        let plan = Plan {
            made_at,
            status: Some(*status),
            past_due_since: (*status == Status::PastDue).then_some(later),
        };
        assert!(
            plan.access(made_at, GRACE).allows(),
            "{status}: nothing takes the trial away"
        );
        let allowed = matches!(status, Status::Active | Status::PastDue);
        assert_eq!(plan.access(later, GRACE).allows(), allowed, "{status}");
    }
    let plan = Plan {
        made_at,
        status: None,
        past_due_since: None,
    };
    assert_eq!(plan.access(later.plus_millis(-1), GRACE), Access::Trial(later));
    assert_eq!(plan.access(later, GRACE), Access::Ended);
}

#[test]
fn a_subscription_belongs_to_the_organization_that_it_named_first() {
    let other = OrganizationId::from_bytes([8; 16]);
    let mut facts = facts(BOUGHT);
    let mut object = subscription("active");
    object["metadata"]["organization_id"] = other.to_string().into();
    facts.push(event(99, START + 50, UPDATED, &object));
    assert_eq!(settle(other, &facts, &[]), None);
    assert!(settle(organization(), &facts, &[]).is_some());
}

#[test]
fn what_names_nobody_is_nobodys() {
    let mut object = subscription("active");
    object["metadata"] = json!({});
    let unnamed = event(1, START, CREATED, &object);
    assert_eq!(settle(organization(), &[unnamed], &[]), None);
}

#[test]
fn a_checkout_names_nobody_for_anybody_may_write_its_address() {
    let mut theirs = subscription("active");
    theirs["metadata"] = json!({});
    let facts = [
        event(1, START, CREATED, &theirs),
        event(2, START + 1, "checkout.session.completed", &checkout()),
    ];
    assert_eq!(settle(organization(), &facts, &[]), None);
    // Nor by what was kept of checkouts once.
    let named = facts.map(|fact| Fact {
        organization: (fact.says == Says::CheckedOut).then(organization),
        ..fact
    });
    assert_eq!(settle(organization(), &named, &[]), None);
}

#[test]
fn what_else_a_customer_pays_for_does_not_count() {
    let mut facts = facts(ENDED);
    let object = json!({"id": "sub_2", "customer": "cus_1", "status": "active", "items": {"data": []}});
    facts.push(event(50, START + 5, CREATED, &object));
    let settled = settle(organization(), &facts, &[]).unwrap();
    assert_eq!((settled.id.as_str(), settled.status), ("sub_1", Status::Canceled));
}

#[test]
fn of_several_subscriptions_the_one_that_allows_most_counts() {
    let mut facts = facts(ENDED);
    let mut object = subscription("active");
    object["id"] = "sub_2".into();
    facts.push(event(50, START + 5, CREATED, &object));
    assert_eq!(settle(organization(), &facts, &[]).unwrap().id, "sub_2");
}

#[test]
fn subscriptions_that_are_alive_are_counted() {
    let another = |status: &str| {
        let mut object = subscription(status);
        object["id"] = "sub_2".into();
        event(50, START + 5, CREATED, &object)
    };
    for (status, alive) in [("active", 2), ("past_due", 2), ("incomplete", 1), ("canceled", 1)] {
        let facts = [facts(BOUGHT), vec![another(status)]].concat();
        assert_eq!(
            settle(organization(), &facts, &[]).unwrap().alive,
            alive,
            "{status}"
        );
    }
}

#[test]
fn older_and_newer_shapes_of_events_are_read_alike() {
    let older = json!({"id": "sub_1", "customer": {"id": "cus_1"}, "status": "active",
        "metadata": {"organization_id": organization().to_string()}, "current_period_end": START + 30 * DAY});
    assert_eq!(
        event(1, START, UPDATED, &older),
        event(1, START, UPDATED, &subscription("active"))
    );
    let mut older = invoice();
    older["parent"] = Value::Null;
    older["subscription"] = "sub_1".into();
    assert_eq!(
        event(1, START, "invoice.paid", &older),
        event(1, START, "invoice.paid", &invoice())
    );
}

#[test]
fn what_says_nothing_of_a_subscription_is_passed_over() {
    for (kind, object) in [
        ("charge.succeeded", json!({"id": "ch_1"})),
        (
            "checkout.session.completed",
            json!({"customer": "cus_1", "subscription": null, "mode": "payment"}),
        ),
        (
            "invoice.paid",
            json!({"customer": "cus_1", "lines": {"data": []}}),
        ),
    ] {
        let event = json!({"id": "evt_1", "type": kind, "created": START, "data": {"object": object}});
        let read = read_event(event.to_string().as_bytes(), None);
        assert_eq!(read, Ok(Event::SaysNothing), "{kind}");
    }
}

#[test]
fn what_is_of_the_other_mode_says_nothing() {
    let mut event =
        json!({"id": "evt_1", "type": UPDATED, "created": START, "data": {"object": subscription("active")}});
    let mut read = |livemode: Value, ours| {
        event["livemode"] = livemode;
        read_event(event.to_string().as_bytes(), ours)
    };
    let (test, live) = (Some(Mode::Test), Some(Mode::Live));
    assert_eq!(read(json!(true), test), Ok(Event::OfAnotherMode));
    assert_eq!(read(json!(false), live), Ok(Event::OfAnotherMode));
    for (livemode, ours) in [
        (json!(true), live),
        (json!(false), test),
        // What is not told, or not known here, differs from nothing.
        (Value::Null, live),
        (json!("true"), test),
        (json!(true), None),
    ] {
        let told = read(livemode.clone(), ours);
        assert!(
            matches!(told, Ok(Event::Tells(_))),
            "{livemode} {ours:?}: {told:?}"
        );
    }
}

#[test]
fn a_checkout_that_was_paid_tells_of_its_subscription() {
    let at = Timestamp::from_millis(START * 1_000 + 999);
    let read = |body: &Value| read_checkout("cs_1", body.to_string().as_bytes(), at);
    let with = |status: &str, subscription: Value| json!({"id": "cs_1", "status": status, "subscription": subscription});
    assert_eq!(read(&with("open", Value::Null)), Ok(CheckoutState::Open));
    assert_eq!(read(&with("expired", Value::Null)), Ok(CheckoutState::Expired));
    let Ok(CheckoutState::Complete(fact)) = read(&with("complete", subscription("past_due"))) else {
        panic!("it was paid");
    };
    let settled = settle(organization(), std::slice::from_ref(&fact), &[]).unwrap();
    assert_eq!(
        (settled.id.as_str(), settled.customer.as_str()),
        ("sub_1", "cus_1")
    );
    assert_eq!(
        (settled.status, settled.past_due_since),
        (Status::PastDue, Some(fact.at))
    );
    assert_eq!(fact.at.as_millis(), START * 1_000, "as whole as an event's time");
    for wrong in [
        json!({"id": "cs_2", "status": "expired"}),
        with("paid", Value::Null),
        with("complete", Value::Null),
        // Not the subscription itself.
        with("complete", "sub_1".into()),
        with("complete", json!({"id": "sub_1", "status": "active"})),
        json!([]),
    ] {
        assert_eq!(read(&wrong), Err(NotAnEvent), "{wrong}");
    }
    assert_eq!(read_checkout("cs_1", b"<html>", at), Err(NotAnEvent));
}

#[test]
fn what_is_no_event_is_refused() {
    let right =
        json!({"id": "evt_1", "type": UPDATED, "created": START, "data": {"object": subscription("active")}});
    let with = |pointer: &str, value: Value| {
        let mut event = right.clone();
        *event.pointer_mut(pointer).unwrap() = value;
        event.to_string()
    };
    for body in [
        String::new(),
        "[]".to_owned(),
        "{".to_owned(),
        with("/id", Value::Null),
        with("/id", "x".repeat(256).into()),
        with("/type", json!(1)),
        with("/created", json!(-1)),
        with("/created", json!(1.5)),
        with("/created", json!(i64::MAX)),
        with("/data/object/status", "unheard_of".into()),
        with("/data/object/status", "paid".into()),
        with("/data/object/customer", Value::Null),
        with("/data/object/id", "a b".into()),
    ] {
        assert_eq!(read_event(body.as_bytes(), None), Err(NotAnEvent), "{body}");
    }
}

proptest! {
    #[test]
    fn any_order_and_any_repeats_of_events_end_in_the_same_state(
        (story, heard) in (0..STORIES.len()).prop_flat_map(|story| {
            let all: Vec<usize> = (0..STORIES[story].0.len()).collect();
            let length = all.len();
            let repeats = proptest::collection::vec(0..length, 0..8);
            (Just(story), (Just(all), repeats).prop_flat_map(|(all, repeats)| {
                Just([all, repeats].concat()).prop_shuffle()
            }))
        })
    ) {
        let facts = facts(STORIES[story].0);
        let expected = settle(organization(), &facts, &[]);
        let heard: Vec<Fact> = heard.into_iter().map(|index| facts[index].clone()).collect();
        prop_assert_eq!(settle(organization(), &heard, &[]), expected);
    }

    #[test]
    fn no_text_breaks_the_reader(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_event(&body, None);
    }
}
