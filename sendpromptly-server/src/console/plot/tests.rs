//! What plots look like, whatever the figures.

use proptest::prelude::*;

use super::*;

fn plot(slots: usize) -> Plot<'static> {
    Plot {
        id: "events",
        title: "Events",
        description: "Events <by> hour".to_owned(),
        slots: (0..slots).map(|slot| format!("slot {slot}")).collect(),
        labels: vec![(0, "Mon 23 Nov".to_owned()), (slots - 1, "now".to_owned())],
    }
}

fn bars(counts: &[u64]) -> Bars<'static> {
    Bars {
        class: "events",
        noun: "events",
        counts: counts.to_vec(),
    }
}

/// Every number of these attributes.
fn numbers(svg: &str, attribute: &str) -> Vec<f64> {
    let start = format!(" {attribute}=\"");
    let parts = svg.split(&start).skip(1);
    parts
        .map(|part| part.split('"').next().unwrap().parse().unwrap())
        .collect()
}

/// Neither style nor script, and all that is opened is closed.
fn assert_well_formed(svg: &str) {
    for refused in ["style=", "<style", "<script", "href", " on"] {
        assert!(
            !svg.replace("nine of ten", "").contains(refused),
            "{refused} in {svg}"
        );
    }
    for element in ["svg", "g", "rect", "title", "desc", "text"] {
        let opened =
            svg.matches(&format!("<{element}>")).count() + svg.matches(&format!("<{element} ")).count();
        assert_eq!(
            opened,
            svg.matches(&format!("</{element}>")).count(),
            "{element} in {svg}"
        );
    }
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
}

#[test]
fn a_plot_says_what_it_is_to_those_who_cannot_see_it() {
    let svg = plot(3).bars(&[bars(&[1, 0, 4])]);
    assert!(svg.contains("role=\"img\" aria-labelledby=\"events-title events-description\""));
    assert!(svg.contains("<title id=\"events-title\">Events</title>"));
    assert!(svg.contains("<desc id=\"events-description\">Events &lt;by&gt; hour</desc>"));
    assert!(svg.contains("<title>slot 2: 4 events</title>"));
    assert_eq!(svg.matches("<rect").count(), 2, "nothing has no bar");
}

#[test]
fn the_axis_of_counts_names_round_numbers() {
    let labels = |most| {
        Count::up_to(most)
            .ticks()
            .map(|(_, label)| label)
            .collect::<Vec<_>>()
    };
    assert_eq!(labels(0), ["0", "1"]);
    assert_eq!(labels(3), ["0", "1", "2", "3"]);
    assert_eq!(labels(7), ["0", "2", "4", "6", "8"]);
    assert_eq!(labels(1_234), ["0", "500", "1k", "1.5k"]);
    assert_eq!(labels(4_100_000), ["0", "2M", "4M", "6M"]);
}

#[test]
fn the_axis_of_durations_spans_what_there_is() {
    let labels = |short, long| {
        let scale = Time::between(Duration::from_secs(short), Duration::from_secs(long));
        scale.ticks().map(|(_, label)| label).collect::<Vec<_>>()
    };
    assert_eq!(labels(0, 0), ["1 s", "10 s"]);
    assert_eq!(labels(90, 4_000), ["1 min", "10 min", "1 h", "6 h"]);
    assert_eq!(labels(2 * 86_400, 3 * 86_400), ["1 d", "7 d"]);
    assert_eq!(labels(400 * 86_400, 900 * 86_400), ["30 d", "1 y"]);
}

proptest! {
    #[test]
    fn bars_stay_within_the_plot(
        first in prop::collection::vec(any::<u64>(), 1..31), second in prop::collection::vec(0u64..1_000, 31),
    ) {
        let rows = [bars(&first), bars(&second[..first.len()])];
        let svg = plot(first.len()).bars(&rows);
        assert_well_formed(&svg);
        let drawn: Vec<_> = svg.split("<rect").skip(1).map(|rest| {
            let rect = format!(" {}", rest.split('>').next().unwrap());
            ["x", "y", "width", "height"].map(|attribute| numbers(&rect, attribute)[0])
        }).collect();
        let counts = rows.iter().flat_map(|row| &row.counts);
        prop_assert_eq!(drawn.len(), counts.filter(|count| **count > 0).count());
        for [x, y, width, height] in drawn {
            prop_assert!(x >= LEFT && x + width <= WIDTH && width > 0.0, "{svg}");
            prop_assert!(y >= TOP - 0.1 && y + height <= HEIGHT - BOTTOM + 0.1 && height >= 1.0, "{svg}");
        }
    }

    #[test]
    fn ranges_stay_within_the_plot(seen in prop::collection::vec(prop::option::of((any::<u64>(), any::<u64>())), 1..31)) {
        let ranges: Vec<_> = seen.iter().map(|range| range.map(|(a, b)| Range {
            median: Duration::from_millis(a.min(b)),
            most: Duration::from_millis(a.max(b)),
        })).collect();
        let svg = plot(seen.len()).ranges("repairs", &ranges);
        assert_well_formed(&svg);
        prop_assert_eq!(svg.matches("<circle").count(), ranges.iter().flatten().count());
        prop_assert!(numbers(&svg, "cy").iter().all(|y| (TOP - 0.1..=HEIGHT - BOTTOM + 0.1).contains(y)));
        prop_assert!(numbers(&svg, "cx").iter().all(|x| (LEFT..=WIDTH).contains(x)));
    }
}
