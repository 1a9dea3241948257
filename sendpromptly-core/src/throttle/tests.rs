//! What waits come to, for whoever mistypes and for whoever guesses.

use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn budgets() -> impl Strategy<Value = Budget> {
    let of = |(guessed, share)| Budget::of(guessed, share);
    (
        prop::sample::select(Guessed::ALL),
        prop::sample::select(Share::ALL),
    )
        .prop_map(of)
}

/// How many tries somebody gets in this time who fails each one and comes again as soon as he may.
fn tries_within(budget: Budget, time: Duration) -> u32 {
    let (mut failures, mut now, mut tries) = (None, NOW, 0);
    while now.since(NOW) < time {
        match budget.count(failures, now) {
            Ok(counted) => (failures, tries) = (Some(counted), tries + 1),
            Err(wait) => now = now.plus(wait),
        }
    }
    tries
}

#[test]
fn five_tries_are_free_and_then_waits_double_up_to_a_quarter_of_an_hour() {
    let budget = Budget::of(Guessed::Password, Share::AccountFromNetwork);
    let (mut failures, mut now) = (None, NOW);
    for _ in 0..5 {
        failures = Some(budget.count(failures, now).unwrap());
    }
    let mut waits = Vec::new();
    for _ in 0..8 {
        let wait = budget.count(failures, now).unwrap_err();
        waits.push(wait.as_secs());
        now = now.plus(wait);
        failures = Some(budget.count(failures, now).unwrap());
    }
    assert_eq!(waits, [15, 30, 60, 120, 240, 480, 900, 900]);
}

#[test]
fn a_patient_stranger_gets_few_guesses_a_day() {
    let a_day = |guessed, share| tries_within(Budget::of(guessed, share), DAY);
    assert!(a_day(Guessed::Password, Share::Account) < 130);
    assert!(a_day(Guessed::Code, Share::Account) < 30);
    assert!(a_day(Guessed::Code, Share::KnownDevice) < 45);
}

#[test]
fn mistyping_is_forgiven_with_time() {
    let budget = Budget::of(Guessed::Password, Share::AccountFromNetwork);
    let six = Failures {
        count: 6,
        last_at: NOW,
    };
    let quarter = Duration::from_secs(15 * 60);
    let after = |quarters: u32| {
        budget
            .count(Some(six), NOW.plus(quarter * quarters))
            .unwrap()
            .count
    };
    assert_eq!([after(1), after(3), after(6), after(60)], [6, 4, 1, 1]);
}

#[test]
fn what_is_dropped_after_a_month_is_forgiven_by_then() {
    let of_each = |guessed| Share::ALL.iter().map(move |share| Budget::of(guessed, *share));
    for budget in Guessed::ALL.iter().flat_map(|guessed| of_each(*guessed)) {
        let (mut failures, mut now) = (None, NOW);
        for _ in 0..1_000 {
            now = now.plus(budget.wait(failures, now));
            failures = Some(budget.count(failures, now).unwrap());
        }
        let later = now.plus(FORGIVEN_AFTER);
        assert_eq!(budget.count(failures, later).unwrap().count, 1, "{budget:?}");
    }
}

#[test]
fn a_known_device_counts_in_no_budget_that_strangers_use() {
    for guessed in Guessed::ALL {
        let known = Share::known(*guessed);
        assert!(known.iter().all(|share| !Share::STRANGER.contains(share)));
    }
    assert!(!Share::Account.ends_with_success() && !Share::Network.ends_with_success());
}

proptest! {
    #[test]
    fn nobody_waits_longer_than_the_longest_wait(budget in budgets(), count: u32, ahead in -10_000_i64..10_000) {
        let failures = Failures { count, last_at: NOW.plus_millis(ahead) };
        let wait = budget.wait(Some(failures), NOW);
        prop_assert!(wait <= budget.longest);
        // Whoever waits as he is told may try.
        prop_assert!(budget.count(Some(failures), NOW.plus(wait).plus_millis(ahead.max(0))).is_ok());
    }

    #[test]
    fn however_tries_are_spread_no_more_come_through_than_the_free_ones_and_one_a_longest_wait(
        budget in budgets(),
        gaps in prop::collection::vec(0_u64..3_000_000, 1..300),
    ) {
        let (mut failures, mut now, mut passed) = (None, NOW, 0_u128);
        for gap in gaps {
            now = now.plus(Duration::from_millis(gap));
            if let Ok(counted) = budget.count(failures, now) {
                failures = Some(counted);
                passed += 1;
            }
        }
        // The waits double: so many tries at most lie between the free ones and the longest wait.
        let doublings = 11;
        let bound = u128::from(budget.free) + doublings
            + now.since(NOW).as_millis() / budget.longest.as_millis();
        prop_assert!(passed <= bound, "{passed} > {bound}");
    }
}
