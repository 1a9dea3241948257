//! Scales: which values an axis names, and where between 0 and 1 a value lies.

use std::time::Duration;

/// A scale of counts, from zero to a round number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    step: u64,
    top: u64,
}

impl Count {
    /// The most steps there are.
    const STEPS: u64 = 4;

    /// A scale that goes up to this count at least.
    #[must_use]
    pub fn up_to(most: u64) -> Self {
        let mut step: u64 = 1;
        for factor in [2, 5, 10].into_iter().cycle() {
            if step.saturating_mul(Self::STEPS) >= most {
                break;
            }
            let power = 10_u64.pow(step.ilog10());
            step = power.saturating_mul(factor);
        }
        let top = step.saturating_mul(most.div_ceil(step).max(1));
        Self { step, top }
    }

    /// The values that have a label.
    pub fn ticks(self) -> impl Iterator<Item = (u64, String)> {
        let count = self.top / self.step;
        (0..=count).map(move |tick| (tick * self.step, short(tick * self.step)))
    }

    /// Where a count lies.
    #[must_use]
    #[allow(clippy::cast_precision_loss)] // a picture is coarser
    pub fn place(self, count: u64) -> f64 {
        count.min(self.top) as f64 / self.top as f64
    }
}

/// A count in a few characters: `950`, `12k`, `1.5M`.
fn short(count: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")];
    for (size, unit) in UNITS {
        if count < size {
            continue;
        }
        let (whole, tenth) = (count / size, count % size * 10 / size);
        return match tenth {
            0 => format!("{whole}{unit}"),
            tenth => format!("{whole}.{tenth}{unit}"),
        };
    }
    count.to_string()
}

/// A logarithmic scale of durations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    /// The first and the last of the marks that it uses.
    marks: (usize, usize),
}

/// Durations that an axis may name, in seconds.
const MARKS: &[(u64, &str)] = &[
    (1, "1 s"),
    (10, "10 s"),
    (60, "1 min"),
    (600, "10 min"),
    (3_600, "1 h"),
    (6 * 3_600, "6 h"),
    (86_400, "1 d"),
    (7 * 86_400, "7 d"),
    (30 * 86_400, "30 d"),
    (365 * 86_400, "1 y"),
];

impl Time {
    /// A scale on which both of these have a place.
    #[must_use]
    pub fn between(shortest: Duration, longest: Duration) -> Self {
        let last = MARKS.len() - 1;
        let below = |mark: &(u64, &str)| Duration::from_secs(mark.0) <= shortest;
        let above = |mark: &(u64, &str)| Duration::from_secs(mark.0) >= longest;
        let first = MARKS.iter().rposition(below).unwrap_or(0).min(last - 1);
        let end = MARKS.iter().position(above).unwrap_or(last);
        Self {
            marks: (first, end.max(first + 1)),
        }
    }

    /// The durations that have a label.
    pub fn ticks(self) -> impl Iterator<Item = (Duration, &'static str)> {
        let marks = &MARKS[self.marks.0..=self.marks.1];
        marks
            .iter()
            .map(|(seconds, label)| (Duration::from_secs(*seconds), *label))
    }

    /// Where a duration lies.
    #[must_use]
    pub fn place(self, duration: Duration) -> f64 {
        let [low, high] = [self.marks.0, self.marks.1].map(|mark| Duration::from_secs(MARKS[mark].0));
        let duration = duration.clamp(low, high);
        let ratio = |longer: Duration| longer.div_duration_f64(low).ln();
        ratio(duration) / ratio(high)
    }
}
