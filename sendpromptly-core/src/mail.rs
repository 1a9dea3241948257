//! When a mail that was not taken is tried again, and when it is given up.

use std::time::Duration;

use crate::time::Timestamp;

/// How long a mail is tried for, 24 hours: what it tells is of no use after a day.
pub const TRIED_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// The pauses after each try that failed; the last one repeats.
const PAUSES: [Duration; 6] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(2 * 60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(60 * 60),
];

/// When the next try is due after so many that failed, now the last of them: 5 seconds after the first, then ever later,
/// up to an hour. `None` where that is more than a day after the mail was written: it is given up.
#[must_use]
pub fn next_try(created_at: Timestamp, tries: u32, now: Timestamp) -> Option<Timestamp> {
    let index = (tries.max(1) as usize - 1).min(PAUSES.len() - 1);
    let next = now.plus(PAUSES[index]);
    (next.since(created_at) <= TRIED_FOR).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_grow_apart_and_end_after_a_day() {
        let created = Timestamp::from_millis(1_800_000_000_000);
        let (mut now, mut tries) = (created, 1);
        while let Some(next) = next_try(created, tries, now) {
            assert!(next > now);
            (now, tries) = (next, tries + 1);
        }
        assert!((25..35).contains(&tries), "{tries}");
        assert!(now.since(created) > Duration::from_secs(22 * 60 * 60));
        assert_eq!(next_try(created, 1, created), Some(created.plus(PAUSES[0])));
        assert_eq!(next_try(created, 1, created.plus(TRIED_FOR)), None);
    }
}
