//! The plots of the overview, and the same figures as tables.

use sendpromptly_core::time::Timestamp;

use super::super::plot::{Bars, Plot, Range};
use super::super::when::{clock, day, words};
use super::Span;
use crate::store::hours::Figures;
use crate::store::overview::{Period, Slots};

/// A plot with its key and its table.
pub(super) struct Drawing {
    /// Names it within the page.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) svg: String,
    /// Class and meaning of each row of marks, where there are several.
    pub(super) key: &'static [(&'static str, &'static str)],
    pub(super) columns: &'static [&'static str],
    /// A slot's name and its figures.
    pub(super) rows: Vec<(String, Vec<String>)>,
}

/// Events, incidents, and the time to repair.
pub(super) fn all(span: Span, slots: Slots, period: &Period) -> Vec<Drawing> {
    let axis = Axis::of(span, slots);
    vec![
        events(&axis, &period.slots),
        incidents(&axis, &period.slots),
        repairs(&axis, &period.slots),
    ]
}

/// The names of the slots.
struct Axis {
    /// What a slot is: an hour, a day.
    unit: &'static str,
    names: Vec<String>,
    labels: Vec<(usize, String)>,
}

impl Axis {
    fn of(span: Span, slots: Slots) -> Self {
        let begins = || (0..slots.count).map(|index| slots.begin(index));
        let (unit, name): (_, fn(Timestamp) -> String) = match span {
            Span::Day | Span::Week => ("hour", |at| format!("{}, {}", day(at), clock(at))),
            Span::Month => ("day", day),
        };
        let unit = if span == Span::Week { "6 hours" } else { unit };
        let labels = begins().enumerate().filter_map(|(index, at)| {
            let label = label(span, index, at)?;
            Some((index, label))
        });
        Self {
            unit,
            labels: labels.collect(),
            names: begins().map(name).collect(),
        }
    }

    fn plot<'a>(&self, id: &'a str, title: &'a str, description: String) -> Plot<'a> {
        Plot {
            id,
            title,
            description,
            slots: self.names.clone(),
            labels: self.labels.clone(),
        }
    }

    fn rows(
        &self,
        figures: &[Figures],
        cells: impl Fn(&Figures) -> Vec<String>,
    ) -> Vec<(String, Vec<String>)> {
        let rows = self.names.iter().zip(figures);
        rows.map(|(name, figures)| (name.clone(), cells(figures)))
            .collect()
    }
}

/// The label of a slot at the axis, where it has one.
fn label(span: Span, index: usize, at: Timestamp) -> Option<String> {
    let time = clock(at);
    match span {
        Span::Day => ["00:00", "06:00", "12:00", "18:00"]
            .contains(&time.as_str())
            .then_some(time),
        Span::Week => (time == "00:00" && index % 8 < 4).then(|| day(at)),
        Span::Month => (index % 7 == 1).then(|| day(at)),
    }
}

fn events(axis: &Axis, figures: &[Figures]) -> Drawing {
    let counts: Vec<_> = figures.iter().map(|slot| slot.events).collect();
    let description = format!(
        "Events for each {}: {} in all, at most {}. The last bar is not over yet.",
        axis.unit,
        counts.iter().sum::<u64>(),
        counts.iter().max().unwrap_or(&0)
    );
    let bars = Bars {
        class: "events",
        noun: "events",
        counts,
    };
    Drawing {
        id: "events",
        title: "Events",
        svg: axis.plot("events", "Events", description).bars(&[bars]),
        key: &[],
        columns: &["Events"],
        rows: axis.rows(figures, |slot| vec![slot.events.to_string()]),
    }
}

fn incidents(axis: &Axis, figures: &[Figures]) -> Drawing {
    let opened: Vec<_> = figures.iter().map(|slot| slot.opened).collect();
    let resolved: Vec<_> = figures.iter().map(|slot| slot.repairs.total()).collect();
    let description = format!(
        "Incidents for each {}: {} opened and {} resolved in all. The last bars are not over yet.",
        axis.unit,
        opened.iter().sum::<u64>(),
        resolved.iter().sum::<u64>()
    );
    let bars = [("opened", opened), ("resolved", resolved)].map(|(word, counts)| Bars {
        class: word,
        noun: word,
        counts,
    });
    Drawing {
        id: "incidents",
        title: "Incidents",
        svg: axis.plot("incidents", "Incidents", description).bars(&bars),
        key: &[("opened", "Opened"), ("resolved", "Resolved")],
        columns: &["Opened", "Resolved"],
        rows: axis.rows(figures, |slot| {
            vec![slot.opened.to_string(), slot.repairs.total().to_string()]
        }),
    }
}

fn repairs(axis: &Axis, figures: &[Figures]) -> Drawing {
    let ranges: Vec<_> = figures.iter().map(range).collect();
    let longest = ranges.iter().flatten().map(|range| range.most).max();
    let description = longest.map_or_else(
        || "No incident was resolved in this time.".to_owned(),
        |longest| {
            format!(
                "Time from opening to resolution for each {} in which an incident was resolved: a dot at the median, \
                 a line up to what nine of ten did not exceed. The longest line ends at {}.",
                axis.unit,
                words(longest)
            )
        },
    );
    Drawing {
        id: "repairs",
        title: "Time to repair",
        svg: axis
            .plot("repairs", "Time to repair", description)
            .ranges("repairs", &ranges),
        key: &[("median", "Median"), ("most", "Nine of ten within")],
        columns: &["Repaired", "Median", "Nine of ten within"],
        rows: axis.rows(figures, |slot| {
            let range = range(slot);
            let told = |told: Option<_>| told.map_or_else(|| "–".to_owned(), words);
            vec![
                slot.repairs.total().to_string(),
                told(range.map(|range| range.median)),
                told(range.map(|range| range.most)),
            ]
        }),
    }
}

fn range(figures: &Figures) -> Option<Range> {
    Some(Range {
        median: figures.repairs.percentile(50)?,
        most: figures.repairs.percentile(90)?,
    })
}
