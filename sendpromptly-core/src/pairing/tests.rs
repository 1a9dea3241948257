//! Which receipts and announcements are of one event, and which are not.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const AT: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn name(number: u8) -> [u8; 16] {
    [number; 16]
}

fn event(number: u8) -> EventId {
    EventId::from_bytes([number; 16])
}

const fn told(teller: Teller, name: [u8; 16], at: Timestamp) -> Told {
    Told { teller, name, at }
}

#[test]
fn a_resource_is_named_by_shop_topic_and_id_where_it_has_one_event_of_the_topic() {
    let paid = Resource::of("Example.myshopify.com", "orders/paid", "17").unwrap();
    assert_eq!(
        Resource::of("example.myshopify.com", "orders/paid", "17"),
        Some(paid)
    );
    for other in [
        Resource::of("another.myshopify.com", "orders/paid", "17"),
        Resource::of("example.myshopify.com", "orders/create", "17"),
        Resource::of("example.myshopify.com", "orders/paid", "18"),
    ] {
        assert!(other.is_some() && other != Some(paid));
    }
    for nothing in ["", "1.5", "-1", "gid://shopify/Order/1", "123456789012345678901"] {
        assert_eq!(
            Resource::of("a.example", "orders/paid", nothing),
            None,
            "{nothing}"
        );
    }
    for often in ["orders/updated", "app_subscriptions/update", "products/update"] {
        assert_eq!(Resource::of("a.example", often, "17"), None, "{often}");
    }
}

#[test]
fn an_announcement_and_a_receipt_of_a_resource_are_one_event_whichever_comes_first() {
    for [first, second] in [[Teller::App, Teller::Provider], [Teller::Provider, Teller::App]] {
        let mut pairs = Pairs::default();
        let fit = pairs.tell(told(first, name(1), AT), event(1));
        assert_eq!(fit, Fit::New { number: 0 });
        let joins = Fit::Joins {
            number: 0,
            event: event(1),
        };
        assert_eq!(
            pairs.tell(told(second, name(2), AT.plus_minutes(5)), event(2)),
            joins
        );
        for (teller, of) in [(first, 1), (second, 2)] {
            assert_eq!(pairs.tell(told(teller, name(of), AT), event(3)), Fit::Repeat);
        }
    }
}

#[test]
fn what_happened_at_another_time_or_has_its_receipt_is_another_event() {
    let mut pairs = Pairs::default();
    pairs.tell(told(Teller::Provider, name(1), AT), event(1));
    let later = AT.plus_minutes(5).plus_millis(1);
    assert_eq!(
        pairs.tell(told(Teller::App, name(2), later), event(2)),
        Fit::New { number: 1 }
    );
    let mut received = Pairs::new(vec![Pair {
        has_receipt: true,
        ..pairs.as_slice()[0]
    }]);
    let again = received.tell(told(Teller::App, name(3), AT), event(3));
    assert_eq!(again, Fit::New { number: 1 });
}

#[test]
fn one_that_is_known_by_its_name_on_both_sides_is_joined_by_no_other() {
    for [first, second] in [[Teller::App, Teller::Provider], [Teller::Provider, Teller::App]] {
        let mut pairs = Pairs::default();
        pairs.tell(told(first, name(1), AT), event(1));
        assert_eq!(pairs.tell_of(event(1), told(second, name(1), AT)), Some(0));
        assert_eq!(pairs.tell_of(event(1), told(second, name(1), AT)), None);
        let other = pairs.tell(told(second, name(2), AT), event(2));
        assert_eq!(other, Fit::New { number: 1 });
    }
}

/// Somebody tells of a true event: which one, who, and how long after it.
fn telling() -> impl Strategy<Value = (u8, Teller)> {
    (0..4_u8, prop_oneof![Just(Teller::App), Just(Teller::Provider)])
}

proptest! {
    /// True events lie apart. Whatever is lost, repeated or late, what is told of one is held together, and nothing of two.
    #[test]
    fn what_is_told_of_one_event_is_one_and_of_two_is_two(told_of in proptest::collection::vec(telling(), 0..40)) {
        let mut pairs = Pairs::default();
        let mut held = BTreeMap::new();
        for (turn, (truly, teller)) in told_of.into_iter().enumerate() {
            // The clocks of two subscriptions differ a little.
            let shift = match teller { Teller::App => 0, Teller::Provider => 4 * MINUTE_MS };
            let at = AT.plus_minutes(u32::from(truly) * 20).plus_millis(shift);
            let own = truly * 2 + u8::from(teller == Teller::App);
            let new = event(u8::try_from(turn).unwrap() + 100);
            let found = match pairs.tell(told(teller, name(own), at), new) {
                Fit::New { .. } => Some(new),
                Fit::Joins { event, .. } => Some(event),
                Fit::Repeat => None,
            };
            match (found, held.get(&truly)) {
                (Some(found), None) => { held.insert(truly, found); }
                (Some(found), Some(first)) => prop_assert_eq!(found, *first),
                (None, first) => prop_assert!(first.is_some()),
            }
        }
        let events: BTreeSet<_> = held.values().map(|event| *event.as_bytes()).collect();
        prop_assert_eq!(events.len(), held.len());
        prop_assert_eq!(pairs.as_slice().len(), held.len());
    }

    /// Even of events at one time, none is told of twice by one side: as many are missed as were lost.
    #[test]
    fn no_event_has_two_receipts_or_two_announcements(told_of in proptest::collection::vec(telling(), 0..40)) {
        let mut pairs = Pairs::default();
        let mut names = BTreeSet::new();
        for (turn, (truly, teller)) in told_of.into_iter().enumerate() {
            names.insert((teller, truly));
            pairs.tell(told(teller, name(truly), AT), event(u8::try_from(turn).unwrap()));
        }
        let of = |teller| names.iter().filter(|(told, _)| *told == teller).count();
        prop_assert_eq!(pairs.as_slice().len(), of(Teller::App).max(of(Teller::Provider)));
        for pair in pairs.as_slice() {
            prop_assert!(pair.app.is_some() || pair.provider.is_some());
        }
    }
}
