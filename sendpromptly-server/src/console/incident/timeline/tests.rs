//! What a time line shows, page by page, and how.

use super::*;

#[test]
fn an_answer_is_shown_as_text_whatever_its_bytes_are() {
    assert_eq!(readable(b"a\r\nb\tc"), "a\nb\tc");
    assert_eq!(readable(b"\xff\x1b[31m\x00"), "\u{fffd}\u{fffd}[31m\u{fffd}");
}

fn moments(number: i64) -> Vec<Moment> {
    // Two at a time share a millisecond.
    let moment = |n: i64| {
        Moment::new(
            Timestamp::from_millis(n / 2),
            format!("f{n:03}"),
            "",
            n.to_string(),
        )
    };
    (0..number).map(moment).rev().collect()
}

fn titles(timeline: &Timeline) -> Vec<String> {
    timeline
        .moments
        .iter()
        .map(|moment| moment.title.clone())
        .collect()
}

#[test]
fn following_the_older_ones_leads_once_through_every_moment() {
    let (mut part, mut seen) = (Part::Newest, Vec::new());
    loop {
        let timeline = choose(moments(123), true, &part);
        assert!(timeline.moments.len() <= PAGE);
        seen.splice(0..0, titles(&timeline));
        match timeline.older {
            Some(place) => part = Part::Before(place),
            None => break,
        }
    }
    let every: Vec<_> = (0..123).map(|n| n.to_string()).collect();
    assert_eq!(seen, every);
    // More were there than were read.
    assert!(choose(moments(10), false, &Part::Newest).older.is_some());
}

#[test]
fn one_moment_is_found_by_its_place() {
    let place: Place = "3-f007".parse().unwrap();
    assert_eq!(titles(&choose(moments(20), true, &Part::Whole(place))), ["7"]);
    let none: Place = "3-f008".parse().unwrap();
    assert!(choose(moments(20), true, &Part::Whole(none)).moments.is_empty());
}

#[test]
fn members_are_named_by_their_address_and_others_by_what_they_are() {
    let ada = UserId::from_bytes([1; 16]);
    let names = Names(HashMap::from([(ada, "ada@example.com".to_owned())]));
    assert_eq!(names.actor(&ada.to_string()), "ada@example.com");
    assert_eq!(names.actor("cli:root"), "root, at the command line");
    assert_eq!(names.actor("system:sweep"), "the server");
    let gone = UserId::from_bytes([2; 16]).to_string();
    assert_eq!(names.actor(&gone), format!("a former member ({gone})"));
}
