//! Which slots a period has, and what is drawn of it.

use std::time::Duration;

use sendpromptly_core::spread::Step;

use super::*;
use crate::store::hours::Figures;

/// A quarter past five in the afternoon.
fn now() -> Timestamp {
    Timestamp::parse("2026-11-25T17:15:00Z").unwrap()
}

#[test]
fn a_period_ends_with_the_slot_that_is_not_over_yet() {
    for (span, from, last) in [
        (Span::Day, "2026-11-24T18:00:00.000Z", "2026-11-25T17:00:00.000Z"),
        (Span::Week, "2026-11-18T18:00:00.000Z", "2026-11-25T12:00:00.000Z"),
        (
            Span::Month,
            "2026-10-27T00:00:00.000Z",
            "2026-11-25T00:00:00.000Z",
        ),
    ] {
        let slots = span.slots(now());
        assert_eq!(slots.from.to_string(), from, "{span:?}");
        assert_eq!(slots.begin(slots.count - 1).to_string(), last, "{span:?}");
        assert_eq!(Span::parse(span.word()), span);
    }
    assert_eq!(Span::parse("1y"), Span::Day);
}

#[test]
fn every_figure_of_a_plot_stands_in_its_table() {
    let mut slot = Figures {
        events: 12_345,
        opened: 77,
        ..Figures::default()
    };
    slot.repairs.add(Step::of(Duration::from_secs(90)), 9);
    slot.repairs.add(Step::of(Duration::from_secs(7_200)), 1);
    for span in Span::ALL {
        let slots = span.slots(now());
        let mut figures = vec![Figures::default(); slots.count as usize];
        figures[3] = slot.clone();
        let period = Period {
            slots: figures,
            counted_until: None,
        };
        let drawings = drawing::all(span, slots, &period);
        let row = |index: usize| drawings[index].rows[3].1.clone();
        assert_eq!(row(0), ["12345"]);
        assert_eq!(row(1), ["77", "10"]);
        assert_eq!(row(2), ["10", "1 min", "1 min"]);
        for drawing in &drawings {
            assert_eq!(drawing.rows.len(), slots.count as usize);
            assert!(
                drawing
                    .rows
                    .iter()
                    .all(|(_, cells)| cells.len() == drawing.columns.len())
            );
            let labels = drawing.svg.matches("text-anchor=\"middle\"").count();
            assert!((3..=5).contains(&labels), "{labels} labels for {span:?}");
        }
    }
}
