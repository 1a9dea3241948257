//! What a ring's text may be, how it is changed, and what its keys unwrap.

use proptest::prelude::*;

use super::*;

fn line(kid: &str, byte: u8) -> String {
    format!("{kid}:{}\n", format!("{byte:02x}").repeat(32))
}

fn data_key(byte: u8) -> DataKey {
    DataKey::new([byte; 16], [byte; 32])
}

fn kids(text: &str) -> Vec<String> {
    let ring = MasterKeys::parse(text).unwrap();
    ring.kids().map(str::to_owned).collect()
}

#[test]
fn a_ring_is_read_with_its_remarks_and_in_its_order() {
    let text = format!(
        "# kept apart\n\n{}  {}#{}",
        line("k2", 2),
        line("k1", 1),
        line("k0", 0)
    );
    assert_eq!(kids(&text), ["k2", "k1"]);
    assert_eq!(MasterKeys::parse(&text).unwrap().first(), "k2");
}

#[test]
fn a_malformed_ring_is_refused_by_its_line_and_not_repeated() {
    let good = line("k1", 0x5a);
    let long = "k".repeat(MAX_KID + 1);
    for (text, refused) in [
        (String::new(), RingError::Empty),
        ("# nothing\n".to_owned(), RingError::Empty),
        (format!("{good}k2"), RingError::Line(2)),
        (format!("{good}k2:5a5a"), RingError::Line(2)),
        (line("", 0x5a), RingError::Line(1)),
        (line("a key", 0x5a), RingError::Line(1)),
        (line(&long, 0x5a), RingError::Line(1)),
        (good.to_uppercase(), RingError::Line(1)),
        (format!("{good}{good}"), RingError::Twice(2)),
    ] {
        let said = MasterKeys::parse(&text).unwrap_err();
        assert_eq!(said, refused, "{text}");
        assert!(!said.to_string().contains("5a5a"));
    }
}

#[test]
fn a_new_key_stands_first_and_remarks_keep_their_places() {
    let ring = format!("# a remark\n{}# another\n{}", line("k1", 1), line("k0", 0));
    let new = new_line([7; 40]);
    let changed = with_first(&ring, &new);
    assert_eq!(
        *changed,
        format!("# a remark\n{}\n{}", *new, &ring["# a remark\n".len()..])
    );
    assert_eq!(kids(&changed), ["mk-0707070707070707", "k1", "k0"]);
    assert_eq!(kids(&with_first("", &new)), ["mk-0707070707070707"]);
}

#[test]
fn a_key_is_taken_out_by_its_whole_name() {
    let ring = format!("# k1:\n{}{}{}", line("k1", 1), line("k11", 2), line("k2", 3));
    assert_eq!(kids(&without(&ring, "k1")), ["k11", "k2"]);
    assert!(without(&ring, "k1").starts_with("# k1:\n"));
    assert_eq!(*without(&ring, "k"), ring);
}

#[test]
fn a_missing_key_is_told_from_another_one_of_its_name() {
    let ring = MasterKeys::parse(&line("k1", 1)).unwrap();
    let wrapped = ring.wrap("k1", &data_key(9), [0; 12]).unwrap();
    assert_eq!(ring.wrap("k2", &data_key(9), [0; 12]), Err(UnwrapError::NoKey));
    assert_eq!(
        ring.unwrap("k2", [9; 16], &wrapped).err(),
        Some(UnwrapError::NoKey)
    );
    let other = MasterKeys::parse(&line("k1", 2)).unwrap();
    assert_eq!(
        other.unwrap("k1", [9; 16], &wrapped).err(),
        Some(UnwrapError::OtherKey)
    );
}

#[test]
fn keys_do_not_print() {
    let ring = MasterKeys::parse(&line("k1", 0x77)).unwrap();
    let printed = format!("{ring:?}");
    assert!(
        printed.contains("k1") && !printed.contains("77") && !printed.contains("119"),
        "{printed}"
    );
}

proptest! {
    #[test]
    fn every_data_key_unwraps_and_no_flipped_bit_or_other_place_does(
        id: [u8; 16], key: [u8; 32], master: [u8; 40], nonce: [u8; 12], at in 0_usize..60, bit in 0..8_u8,
    ) {
        let ring = MasterKeys::parse(&new_line(master)).unwrap();
        let kid = ring.first().to_owned();
        let data_key = DataKey::new(id, key);
        let wrapped = ring.wrap(&kid, &data_key, nonce).unwrap();
        prop_assert_eq!(wrapped.len(), 60);
        let unwrapped = ring.unwrap(&kid, id, &wrapped).unwrap();
        // The same key: what one derives, the other does.
        prop_assert_eq!(unwrapped.derive("x"), data_key.derive("x"));

        let mut flipped = wrapped.clone();
        flipped[at] ^= 1 << bit;
        prop_assert_eq!(ring.unwrap(&kid, id, &flipped).err(), Some(UnwrapError::OtherKey));
        prop_assert_eq!(ring.unwrap(&kid, id, &wrapped[..at]).err(), Some(UnwrapError::OtherKey));
        let mut elsewhere = id;
        elsewhere[at % 16] ^= 1 << bit;
        prop_assert_eq!(ring.unwrap(&kid, elsewhere, &wrapped).err(), Some(UnwrapError::OtherKey));
    }

    #[test]
    fn the_name_of_the_master_key_is_part_of_what_it_wraps(key: [u8; 32], master: [u8; 32]) {
        let digits = hex::encode(&master);
        let ring = MasterKeys::parse(&format!("k1:{digits}\nk2:{digits}\n")).unwrap();
        let wrapped = ring.wrap("k1", &DataKey::new([1; 16], key), [0; 12]).unwrap();
        prop_assert_eq!(ring.unwrap("k2", [1; 16], &wrapped).err(), Some(UnwrapError::OtherKey));
    }

    #[test]
    fn keys_that_come_and_go_leave_the_others_as_they_are(
        seeds in proptest::collection::vec(any::<[u8; 40]>(), 1..6), gone: prop::sample::Index,
    ) {
        let mut text = Zeroizing::new("# ring\n".to_owned());
        let mut expected: Vec<String> = Vec::new();
        for seed in &seeds {
            let line = new_line(*seed);
            let kid = name_of(&line).unwrap().to_owned();
            prop_assume!(!expected.contains(&kid));
            text = with_first(&text, &line);
            expected.insert(0, kid);
        }
        prop_assert_eq!(&kids(&text), &expected);
        let gone = expected.remove(gone.index(expected.len()));
        let text = without(&text, &gone);
        match MasterKeys::parse(&text) {
            Ok(_) => prop_assert_eq!(kids(&text), expected),
            Err(error) => prop_assert!(error == RingError::Empty && expected.is_empty()),
        }
    }
}
