//! What checkpoints prove, in whatever files and order they come: prunes, restores, and contradictions.

use super::*;

/// So many further entries, which differ by their mark from those of another branch.
fn branch(from: &Entry, mark: u8, count: u8) -> Vec<Entry> {
    let drafts: Vec<_> = (0..count).map(|_| draft(mark)).collect();
    chain(ORGANIZATION, from.as_head(), &drafts, from.at, || [mark; 42]).0
}

fn joined(first: &[Entry], more: &[Entry]) -> Vec<Entry> {
    [first, more].concat()
}

/// A checkpoint made so many seconds after the first entry.
fn made_at(second: i64, kind: CheckpointKind, entry: &Entry) -> SignedCheckpoint {
    let at = Timestamp::from_millis(1_000_000 + second * 1_000);
    key().sign(Checkpoint::new(ORGANIZATION, kind, entry.as_head(), at))
}

const PERIODIC: CheckpointKind = CheckpointKind::Periodic;
const RESTORE: CheckpointKind = CheckpointKind::Restore;
const PRUNE: CheckpointKind = CheckpointKind::Prune;

#[test]
fn a_declared_restore_passes_and_is_reported_and_an_undeclared_one_fails() {
    let lost = chain_of(5);
    let entries = joined(&lost[..3], &branch(&lost[2], 77, 1));
    let before = made_at(1, PERIODIC, &lost[4]);
    let restore = made_at(2, RESTORE, &lost[2]);
    assert!(walk(&entries, &[before, restore]).is_ok());
    assert_eq!(
        Walk::new(ORGANIZATION, &[before, restore]).restores(),
        [Restore {
            back_to: 3,
            lost: Some(5),
            at: restore.checkpoint.at
        }]
    );
    assert_eq!(
        walk(&entries, &[before]),
        Err(Fault::CutShort { end: 4, seen: 5 })
    );
}

#[test]
fn a_restore_declares_no_loss_but_that_beyond_it() {
    let mut entries = chain_of(5);
    let before = made_at(1, PERIODIC, &entries[2]);
    entries[1].actor = "cli:eve".to_owned();
    rehash(&mut entries);
    for back_to in [2, 3] {
        let restore = made_at(2, RESTORE, &entries[back_to]);
        assert_eq!(
            walk(&entries[..=back_to], &[before, restore]),
            Err(Fault::Rewritten(3)),
            "a backup that was tampered with"
        );
    }
}

#[test]
fn files_may_come_in_any_order_and_more_than_once() {
    let lost = chain_of(5);
    let entries = joined(&lost[..3], &branch(&lost[2], 77, 3));
    let before = made_at(1, PERIODIC, &lost[4]);
    let restore = made_at(2, RESTORE, &lost[2]);
    let after = made_at(3, PERIODIC, &entries[4]);
    for files in [
        vec![before, restore, after, before],
        vec![after, restore, before],
        vec![restore, restore, before, after, after],
    ] {
        assert!(walk(&entries, &files).is_ok());
        assert_eq!(Walk::new(ORGANIZATION, &files).restores().len(), 1);
        assert_eq!(
            walk(&entries[..4], &files),
            Err(Fault::CutShort { end: 4, seen: 5 }),
            "what came after the restore still counts"
        );
    }
}

/// Monday's backup was the wrong one; an hour later Tuesday's is restored, which has more of the first branch.
#[test]
fn a_second_restore_may_go_back_to_another_branch() {
    let first = chain_of(6);
    let wrong = joined(&first[..2], &branch(&first[1], 77, 3));
    let right = joined(&first[..5], &branch(&first[4], 88, 1));
    let checkpoints = [
        made_at(1, PERIODIC, &first[5]),
        made_at(2, RESTORE, &first[1]),
        made_at(3, PERIODIC, &wrong[3]),
        made_at(4, RESTORE, &first[4]),
        made_at(5, PERIODIC, &right[5]),
    ];
    assert!(walk(&right, &checkpoints).is_ok());
    assert_eq!(walk(&wrong, &checkpoints), Err(Fault::Rewritten(5)));
    assert_eq!(
        walk(&right[..5], &checkpoints),
        Err(Fault::CutShort { end: 5, seen: 6 })
    );
}

/// Whoever rewrites a chain has the server sign its head anew; the checkpoint from before still tells.
#[test]
fn a_later_checkpoint_of_the_same_place_does_not_hide_an_earlier_one() {
    let mut entries = chain_of(3);
    let before = made_at(1, PERIODIC, &entries[2]);
    entries[0].actor = "cli:eve".to_owned();
    rehash(&mut entries);
    let after = made_at(2, PERIODIC, &entries[2]);
    assert_eq!(walk(&entries, &[before, after]), Err(Fault::Rewritten(3)));

    let pruned = made_at(2, PRUNE, &entries[2]);
    let rest = branch(&entries[2], 77, 1);
    assert_eq!(walk(&rest, &[before, pruned]), Err(Fault::Rewritten(3)));
}

#[test]
fn a_pruned_chain_begins_after_its_checkpoint() {
    let entries = chain_of(5);
    let seen = [made_at(1, PERIODIC, &entries[0]), made_at(2, PRUNE, &entries[2])];
    assert_eq!(walk(&entries[3..], &seen), Ok(entries[4].as_head()));
    let missing = Fault::Sequence {
        expected: 4,
        found: 5,
    };
    assert_eq!(walk(&entries[4..], &seen), Err(missing));
    let undeclared = Fault::Sequence {
        expected: 1,
        found: 4,
    };
    assert_eq!(walk(&entries[3..], &[]), Err(undeclared));
}

#[test]
fn a_chain_that_was_pruned_whole_verifies_up_to_its_head() {
    let entries = chain_of(3);
    let pruned = made_at(1, PRUNE, &entries[2]);
    let whole = Walk::new(ORGANIZATION, &[pruned]);
    let stored = Some(entries[2].as_head());
    assert_eq!(whole.finish(stored).map(|head| head.seq), Ok(3));
    let emptied = Walk::new(ORGANIZATION, &[pruned]);
    assert_eq!(
        emptied.finish(Some(Head::EMPTY)),
        Err(Fault::CutShort { end: 0, seen: 3 })
    );
}

#[test]
fn a_backup_from_before_the_pruning_begins_earlier_and_verifies() {
    let entries = chain_of(6);
    let checkpoints = [
        made_at(1, PRUNE, &entries[0]),
        made_at(2, PRUNE, &entries[2]),
        made_at(3, RESTORE, &entries[4]),
    ];
    for begins in [0, 1, 3] {
        assert!(walk(&entries[begins..], &checkpoints).is_ok(), "{begins}");
    }
    assert!(
        walk(&entries[2..], &checkpoints).is_err(),
        "no pruning ended there"
    );
}

#[test]
fn a_checkpoint_at_the_last_place_there_can_be_is_walked_to() {
    let entries = chain_of(1);
    let mut last = entries[0].clone();
    last.seq = u64::MAX;
    for kind in [PERIODIC, RESTORE, PRUNE] {
        assert_eq!(
            walk(&entries, &[checkpoint(kind, &last)]),
            Err(Fault::CutShort {
                end: 1,
                seen: u64::MAX
            })
        );
    }
}
