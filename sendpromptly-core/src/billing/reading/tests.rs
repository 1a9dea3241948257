//! Whatever order events come in, and whenever Stripe is asked, what it told last is what counts in the end.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::billing::{NotAnEvent, Says, read_subscription, settle};
use crate::id::OrganizationId;

const START: i64 = 1_800_000_000_000;

fn organization() -> OrganizationId {
    OrganizationId::from_bytes([7; 16])
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(START + millis)
}

/// An event of this second.
fn fact(number: u8, second: i64, says: Says) -> Fact {
    Fact {
        event: [number; 16],
        at: at(second * 1_000),
        customer: "cus_1".to_owned(),
        subscription: "sub_1".to_owned(),
        organization: Some(organization()),
        says,
        paid_until: Some(at(second)),
        is_read: false,
    }
}

fn answer(status: Status) -> Answer {
    Answer {
        status,
        paid_until: None,
    }
}

/// What follows from events and the answers between them, kept as a store keeps it.
#[derive(Default)]
struct Kept {
    facts: Vec<Fact>,
    reading: Option<Reading>,
    under_way: Option<(Answer, Timestamp)>,
    /// Whether something was heard since Stripe has told.
    is_due: bool,
}

impl Kept {
    fn hear(&mut self, fact: &Fact) {
        if self.facts.iter().all(|known| known.event != fact.event) {
            self.facts.push(fact.clone());
            self.under_way = None;
            self.is_due = true;
        }
    }

    fn ask(&mut self, answer: Answer, now: Timestamp) {
        self.under_way = Some((answer, now));
    }

    fn take_answer(&mut self) {
        if let Some((answer, at)) = self.under_way.take() {
            self.reading = Some(Reading::of(
                "sub_1",
                answer,
                at,
                &self.facts,
                self.reading.as_ref(),
            ));
            self.facts.iter_mut().for_each(|fact| fact.is_read = true);
            self.is_due = false;
        }
    }

    fn read(&mut self, status: Status, now: Timestamp) {
        self.ask(answer(status), now);
        self.take_answer();
    }

    fn settled(&self) -> Subscription {
        settle(organization(), &self.facts, self.reading.as_slice()).unwrap()
    }
}

#[test]
fn what_stripe_answers_counts_whatever_its_events_said() {
    let mut kept = Kept::default();
    // Of one second: by their words alone the subscription would be active.
    kept.hear(&fact(1, 0, Says::Active));
    kept.hear(&fact(2, 0, Says::PastDue));
    assert_eq!(kept.settled().status, Status::Active);
    kept.read(Status::PastDue, at(400));
    assert_eq!(kept.settled().status, Status::PastDue);
}

#[test]
fn an_event_that_comes_after_the_answer_counts_until_the_next_one() {
    let mut kept = Kept::default();
    kept.hear(&fact(1, 0, Says::Incomplete));
    kept.read(Status::Incomplete, at(400));
    // Of the same second as the answer, so it may tell more than that.
    kept.hear(&fact(2, 0, Says::Active));
    assert_eq!(kept.settled().status, Status::Active);
    kept.hear(&fact(3, 9, Says::Canceled));
    assert_eq!(kept.settled().status, Status::Canceled);
    kept.read(Status::Active, at(9_500));
    assert_eq!(kept.settled().status, Status::Active);
}

#[test]
fn an_event_that_comes_late_takes_nothing_back() {
    let mut kept = Kept::default();
    kept.hear(&fact(2, 60, Says::Active));
    kept.read(Status::Active, at(61_000));
    kept.hear(&fact(1, 3, Says::Canceled));
    assert_eq!(kept.settled().status, Status::Active);
}

#[test]
fn grace_counts_from_the_first_time_that_a_payment_was_said_to_be_missing() {
    let mut kept = Kept::default();
    kept.hear(&fact(1, 0, Says::Active));
    kept.read(Status::PastDue, at(500));
    assert_eq!(kept.settled().past_due_since, Some(at(500)));
    kept.hear(&fact(2, 86_400, Says::PastDue));
    kept.read(Status::PastDue, at(86_401_000));
    assert_eq!(
        kept.settled().past_due_since,
        Some(at(500)),
        "a second word begins no second grace"
    );
    kept.read(Status::Active, at(90_000_000));
    assert_eq!(kept.settled().past_due_since, None);
    kept.hear(&fact(3, 100_000, Says::PaymentFailed));
    kept.read(Status::PastDue, at(100_050_000));
    assert_eq!(kept.settled().past_due_since, Some(at(100_000_000)));
}

#[test]
fn another_subscriptions_answer_says_nothing_of_this_one() {
    let mut kept = Kept::default();
    kept.hear(&fact(1, 0, Says::Active));
    kept.read(Status::Canceled, at(500));
    let mut other = fact(2, 0, Says::PastDue);
    other.subscription = "sub_2".to_owned();
    kept.facts.push(other);
    let settled = kept.settled();
    assert_eq!((settled.id.as_str(), settled.status), ("sub_2", Status::PastDue));
}

#[test]
fn waits_grow_to_an_hour_and_end_after_three_days() {
    let waits: Vec<_> = (1..).map_while(next_try).collect();
    assert_eq!(waits[0], Duration::from_secs(5));
    assert!(waits.is_sorted() && waits.last() == Some(&Duration::from_secs(3_600)));
    let whole: Duration = waits.iter().sum();
    let days = whole.as_secs_f64() / 86_400.0;
    assert!((2.5..3.5).contains(&days), "{days} days");
    assert_eq!(next_try(u32::MAX), None);
}

#[test]
fn the_answer_must_be_the_subscription_that_was_asked_for() {
    let right = json!({"id": "sub_1", "status": "trialing", "current_period_end": 1,
        "items": {"data": [{"current_period_end": 1_900_000_000}]}});
    let read = |body: &serde_json::Value| read_subscription("sub_1", body.to_string().as_bytes());
    let expected = Answer {
        status: Status::Active,
        paid_until: Some(Timestamp::from_millis(1_900_000_000_000)),
    };
    assert_eq!(read(&right), Ok(expected));
    for (field, wrong) in [
        ("id", json!("sub_2")),
        ("id", json!(null)),
        ("status", json!("unheard_of")),
        ("status", json!("paid")),
        ("status", json!(1)),
    ] {
        let mut body = right.clone();
        body[field] = wrong;
        assert_eq!(read(&body), Err(NotAnEvent), "{body}");
    }
    assert_eq!(read_subscription("sub_1", b"<html>"), Err(NotAnEvent));
}

/// What may happen at a moment.
#[derive(Debug, Clone)]
enum Step {
    /// The subscription becomes something else at Stripe, which makes an event of it.
    Change(Says),
    /// One of the events comes, perhaps not for the first time.
    Deliver(prop::sample::Index),
    /// Stripe is asked, and makes its answer.
    Ask,
    /// Its answer comes; not all do.
    Answer,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let changes = [
        Says::Incomplete,
        Says::Active,
        Says::PastDue,
        Says::Unpaid,
        Says::Paused,
        Says::Canceled,
    ];
    let step = prop_oneof![
        prop::sample::select(changes.to_vec()).prop_map(Step::Change),
        any::<prop::sample::Index>().prop_map(Step::Deliver),
        Just(Step::Ask),
        Just(Step::Answer),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    #[test]
    fn any_order_and_any_repeats_of_events_and_answers_end_in_what_is_true_at_stripe(
        steps in steps(),
        tail in any::<u64>(),
    ) {
        let mut kept = Kept::default();
        let mut events = vec![fact(0, 0, Says::Active)];
        let mut truth = Status::Active;
        for (number, step) in steps.into_iter().enumerate() {
            let now = at(number as i64 * 150);
            match step {
                Step::Change(says) => {
                    truth = says.status().unwrap();
                    events.push(fact(number as u8 + 1, now.as_secs() - START / 1_000, says));
                }
                Step::Deliver(index) => kept.hear(index.get(&events)),
                Step::Ask => kept.ask(answer(truth), now),
                Step::Answer => kept.take_answer(),
            }
        }
        // What has not come yet comes in some order, and Stripe is asked for as long as that is due.
        let turn = tail as usize % events.len();
        events.rotate_left(turn);
        events.iter().for_each(|event| kept.hear(event));
        if tail % 2 == 0 {
            kept.ask(answer(truth), at(60_000));
        }
        events.iter().for_each(|event| kept.hear(event));
        if kept.is_due {
            kept.read(truth, at(61_000));
        }
        prop_assert_eq!(kept.settled().status, truth);
        prop_assert_eq!(kept.settled().past_due_since.is_some(), truth == Status::PastDue);
    }
}
