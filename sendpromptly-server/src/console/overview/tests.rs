//! Which slots a period has, and what is drawn of it.

use std::time::Duration;

use sendpromptly_core::replay::Effect;
use sendpromptly_core::spread::Step;

use super::*;
use crate::platform::clock;
use crate::store::hours::Figures;
use crate::testing::console::House;

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

#[tokio::test]
async fn the_page_teaches_until_there_is_something_to_see() {
    let house = House::open().await;
    let viewer = house.member("ada@example.com", Role::Viewer).await;
    let path = format!("/orgs/{}", house.world.organization);
    let empty = house.organization("new").await;
    let owner = house.person("grace@example.com").await;
    house.join(&owner, empty, Role::Owner).await;

    let page = house.get(&owner, &format!("/orgs/{empty}")).await;
    assert!(
        page.body.contains("Begin with a project") && page.body.contains("/projects/new"),
        "{}",
        page.body
    );
    house.join(&owner, empty, Role::Viewer).await;
    assert!(
        !house
            .get(&owner, &format!("/orgs/{empty}"))
            .await
            .body
            .contains("/projects/new")
    );

    let page = house.get(&viewer, &path).await;
    assert!(page.body.contains("No event has come yet"), "{}", page.body);
    assert!(
        page.body
            .contains(&format!("{path}/projects/{}", house.world.project))
    );
    let (_, incident) = house.world.failed_event("evt_1").await;
    let page = house.get(&viewer, &path).await;
    assert!(!page.body.contains("No event has come yet"));
    assert!(page.body.contains(&format!("{path}/incidents/{incident}")));
    // Ids of one millisecond differ by chance.
    let (_, second) = house.world.failed_event("evt_2").await;
    let oldest = incident.min(second);
    let page = house.get(&viewer, &path).await;
    assert!(
        page.body.contains(&format!("{path}/incidents/{oldest}")),
        "{}",
        page.body
    );
    assert!(page.body.contains("data-test=\"open\">2</a>"), "{}", page.body);
}

#[tokio::test]
async fn every_period_has_its_page_and_none_is_heavy() {
    let house = House::open().await;
    let viewer = house.member("ada@example.com", Role::Viewer).await;
    house.world.failed_event("evt_1").await;
    for (span, period) in Span::ALL.map(|span| (span, span.word())) {
        let path = format!("/orgs/{}?period={period}", house.world.organization);
        let page = house.get(&viewer, &path).await;
        assert_eq!(page.status, 200);
        assert_eq!(
            page.body.matches("<svg class=\"plot\"").count(),
            3,
            "{}",
            page.body
        );
        assert_eq!(page.body.matches("<table").count(), 3);
        assert!(page.body.contains(&format!(
            "?period={period}\" aria-current=\"true\">{}",
            span.label()
        )));
        assert!(page.body.len() < 50_000, "{} bytes", page.body.len());
        assert!(!page.body.contains("style="));
    }
}

#[tokio::test]
async fn what_was_repaired_is_not_told_as_a_part_of_what_was_opened() {
    let house = House::open().await;
    let viewer = house.member("ada@example.com", Role::Viewer).await;
    let world = &house.world;
    let now = clock::now();
    let opened_at = now.plus_millis(-48 * HOUR_MS);
    let (event, _) = world.failed_event_at(world.project, "evt_1", opened_at).await;
    world.report(event, Effect::Success, None, now).await;
    let path = format!("/orgs/{}?period=24h", world.organization);
    let page = house.get(&viewer, &path).await.body;
    assert!(page.contains("data-test=\"repaired\">1</span>"), "{page}");
    assert!(
        page.contains("and 0 opened") && !page.contains("of 0 opened"),
        "{page}"
    );
}
