//! Every way to tamper with a chain is found, and located.

use proptest::prelude::*;

use super::*;
use crate::id::IncidentId;
use crate::time::Timestamp;

mod checkpoints;

const ORGANIZATION: OrganizationId = OrganizationId::from_bytes([9; 16]);

fn draft(number: u8) -> Draft {
    let origin = Origin {
        actor: Actor::Cli("ann".to_owned()),
        address: Some([192, 0, 2, number].into()),
    };
    let target = IncidentId::from_bytes([number; 16]);
    Draft::new(
        &origin,
        Action::IncidentDismissed,
        target,
        &[("reason", "a test")],
    )
}

/// A chain of so many entries, a second apart.
fn chain_of(count: u8) -> Vec<Entry> {
    let mut head = Head::EMPTY;
    let mut entries = Vec::new();
    for number in 1..=count {
        let now = Timestamp::from_millis(1_000 * i64::from(number));
        let (new, next) = chain(ORGANIZATION, head, [&draft(number)], now, || [number; 42]);
        entries.extend(new);
        head = next;
    }
    entries
}

fn key() -> AuditKey {
    AuditKey::from_seed([5; 32])
}

fn checkpoint(kind: CheckpointKind, entry: &Entry) -> SignedCheckpoint {
    key().sign(Checkpoint::new(ORGANIZATION, kind, entry.as_head(), entry.at))
}

fn walk(entries: &[Entry], checkpoints: &[SignedCheckpoint]) -> Result<Head, Fault> {
    let mut walk = Walk::new(ORGANIZATION, checkpoints);
    entries.iter().try_for_each(|entry| walk.step(entry))?;
    walk.finish(None)
}

fn rehash(entries: &mut [Entry]) {
    let mut prev = [0; 32];
    for entry in entries {
        entry.prev = prev;
        entry.hash = entry.computed_hash();
        prev = entry.hash;
    }
}

#[test]
fn an_untouched_chain_verifies_up_to_its_head() {
    let entries = chain_of(5);
    let seen = [
        checkpoint(CheckpointKind::Periodic, &entries[2]),
        checkpoint(CheckpointKind::Periodic, &entries[4]),
    ];
    assert_eq!(walk(&entries, &seen), Ok(entries[4].as_head()));
    assert_eq!(walk(&[], &[]), Ok(Head::EMPTY));
}

#[test]
fn an_edited_entry_is_found() {
    let edits: [fn(&mut Entry); 5] = [
        |entry| entry.actor.push('x'),
        |entry| entry.action = "incident.resolved".to_owned(),
        |entry| entry.target.clear(),
        |entry| entry.at = entry.at.plus_millis(1),
        |entry| entry.commitment[0] ^= 1,
    ];
    for edit in edits {
        let mut entries = chain_of(5);
        edit(&mut entries[2]);
        assert_eq!(walk(&entries, &[]), Err(Fault::Changed(3)));
    }
}

#[test]
fn text_that_moves_from_one_field_to_the_next_is_found() {
    let mut entries = chain_of(1);
    let moved = entries[0].target.remove(0);
    entries[0].action.push(moved);
    assert_eq!(walk(&entries, &[]), Err(Fault::Changed(1)));
}

#[test]
fn edited_details_are_found_and_erased_ones_verify_as_redacted() {
    let mut entries = chain_of(3);
    entries[1].details = None;
    let mut redacted = Walk::new(ORGANIZATION, &[]);
    entries.iter().for_each(|entry| redacted.step(entry).unwrap());
    assert_eq!(redacted.redacted(), 1);

    entries[2].details.as_mut().unwrap().text.push(' ');
    assert_eq!(walk(&entries, &[]), Err(Fault::Details(3)));
}

#[test]
fn an_inserted_dropped_or_moved_entry_is_found() {
    let mut dropped = chain_of(5);
    dropped.remove(2);
    assert_eq!(
        walk(&dropped, &[]),
        Err(Fault::Sequence {
            expected: 3,
            found: 4
        })
    );

    let mut inserted = chain_of(5);
    inserted.insert(2, inserted[1].clone());
    assert_eq!(
        walk(&inserted, &[]),
        Err(Fault::Sequence {
            expected: 3,
            found: 2
        })
    );

    let mut moved = chain_of(5);
    moved.swap(2, 3);
    assert_eq!(
        walk(&moved, &[]),
        Err(Fault::Sequence {
            expected: 3,
            found: 4
        })
    );
}

#[test]
fn a_dropped_entry_whose_followers_are_renumbered_is_found() {
    let mut entries = chain_of(5);
    entries.remove(2);
    for (entry, seq) in entries.iter_mut().zip(1..) {
        entry.seq = seq;
        entry.hash = entry.computed_hash();
    }
    assert!(matches!(walk(&entries, &[]), Err(Fault::Link(_))));
}

#[test]
fn a_tail_that_was_cut_off_is_found_by_a_checkpoint() {
    let entries = chain_of(5);
    let seen = [checkpoint(CheckpointKind::Periodic, &entries[4])];
    assert_eq!(
        walk(&entries[..3], &seen),
        Err(Fault::CutShort { end: 3, seen: 5 })
    );
    assert_eq!(walk(&[], &seen), Err(Fault::CutShort { end: 0, seen: 5 }));
}

#[test]
fn a_chain_that_was_rewritten_whole_is_found_by_a_checkpoint() {
    let mut entries = chain_of(5);
    let seen = [checkpoint(CheckpointKind::Periodic, &entries[3])];
    entries[1].actor = "cli:eve".to_owned();
    rehash(&mut entries);
    assert_eq!(
        walk(&entries, &[]),
        Ok(entries[4].as_head()),
        "the chain alone cannot tell"
    );
    assert_eq!(walk(&entries, &seen), Err(Fault::Rewritten(4)));
}

#[test]
fn a_stored_head_that_is_not_the_last_entry_is_found() {
    let entries = chain_of(2);
    let mut walk = Walk::new(ORGANIZATION, &[]);
    walk.step(&entries[0]).unwrap();
    assert_eq!(walk.finish(Some(entries[1].as_head())), Err(Fault::Head(1)));
}

#[test]
fn time_does_not_run_backwards_in_a_chain() {
    let first = chain_of(1);
    let (next, _) = chain(
        ORGANIZATION,
        first[0].as_head(),
        [&draft(2)],
        Timestamp::from_millis(0),
        || [2; 42],
    );
    assert_eq!(next[0].at, first[0].at);
}

#[test]
fn a_checkpoint_holds_under_its_own_key_only_and_not_when_changed() {
    let signed = checkpoint(CheckpointKind::Periodic, &chain_of(1)[0]);
    assert!(key().public().has_signed(&signed));
    assert!(!AuditKey::from_seed([6; 32]).public().has_signed(&signed));
    for change in [
        |checkpoint: &mut Checkpoint| checkpoint.seq += 1,
        |checkpoint: &mut Checkpoint| checkpoint.kind = CheckpointKind::Restore,
        |checkpoint: &mut Checkpoint| checkpoint.head[0] ^= 1,
        |checkpoint: &mut Checkpoint| checkpoint.at = checkpoint.at.plus_millis(1),
        |checkpoint: &mut Checkpoint| checkpoint.organization = INSTANCE,
    ] {
        let mut changed = signed;
        change(&mut changed.checkpoint);
        assert!(!key().public().has_signed(&changed));
    }
    assert_eq!(
        AuditPublicKey::from_hex(&key().public().to_hex()),
        Some(key().public())
    );
}

#[test]
fn lines_of_an_export_read_back() {
    let entries = chain_of(2);
    let mut redacted = entries[1].clone();
    redacted.details = None;
    let signed = checkpoint(CheckpointKind::Prune, &entries[1]);
    for line in [
        ExportLine::Entry(entries[0].clone()),
        ExportLine::Entry(redacted),
        ExportLine::Checkpoint(signed),
    ] {
        assert_eq!(ExportLine::parse(&line.to_json()), Ok(line));
    }
    let half = ExportLine::Entry(entries[0].clone()).to_json();
    let (half, _) = half.split_once("\"details\"").unwrap();
    let half = format!("{half}\"details\":null}}");
    for wrong in ["", "{}", r#"{"type":"entry"}"#, "[1]", &half] {
        assert!(ExportLine::parse(wrong).is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn no_single_change_of_an_exported_entry_verifies(at: usize, byte in 0x20..0x7f_u8) {
        let entries = chain_of(2);
        let line = ExportLine::Entry(entries[1].clone()).to_json();
        let mut changed = line.clone().into_bytes();
        let at = at % changed.len();
        changed[at] = byte;
        let changed = String::from_utf8(changed).unwrap();
        // The id is a name for people and no part of the chain.
        let id = line.find("audit_id").unwrap();
        prop_assume!(changed != line && !(id..id + 49).contains(&at));
        if let Ok(ExportLine::Entry(entry)) = ExportLine::parse(&changed) {
            prop_assume!(entry != entries[1]);
            prop_assert!(walk(&[entries[0].clone(), entry], &[]).is_err());
        }
    }
}
