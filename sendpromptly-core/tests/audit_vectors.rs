//! The audit vectors in `tests/vectors`: what this crate writes, byte by byte, so that a verifier of another
//! make, such as `verify_audit.py` beside them, can be held against it.
//!
//! Where a format changes on purpose, `UPDATE_VECTORS=1` writes the files anew.

// A test reads files, and fails where it unwraps.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use std::path::PathBuf;

use sendpromptly_core::audit::{
    Action, Actor, AuditKey, AuditPublicKey, Checkpoint, CheckpointKind, Draft, Entry, ExportLine, Head,
    Origin, SignedCheckpoint, Walk, chain,
};
use sendpromptly_core::id::{IncidentId, KeyId, OrganizationId, ProjectId, ReplayId, UserId};
use sendpromptly_core::time::Timestamp;

const ORGANIZATION: OrganizationId = OrganizationId::from_bytes(*b"\x01\x90audit-vectors-");
const MINUTE: i64 = 60_000;

/// Anybody may know this key: it signs vectors only.
fn key() -> AuditKey {
    AuditKey::from_seed([0x5a; 32])
}

fn at(minute: i64) -> Timestamp {
    Timestamp::from_millis(1_769_851_800_123 + minute * MINUTE)
}

/// Links a draft to the end of a chain, a minute after the entry before.
fn link(entries: &mut Vec<Entry>, draft: &Draft) {
    let head = entries.last().map_or(Head::EMPTY, Entry::as_head);
    let mark = u8::try_from(head.seq).unwrap() + 1;
    let (new, _) = chain(ORGANIZATION, head, [draft], at(i64::from(mark)), || [mark; 42]);
    entries.extend(new);
}

fn entries() -> Vec<Entry> {
    let incident = IncidentId::from_bytes([0x11; 16]);
    let person = Origin {
        actor: Actor::User(UserId::from_bytes([0x22; 16])),
        address: Some("2001:db8::7".parse().unwrap()),
    };
    let shell = Origin {
        actor: Actor::Cli("zoë".to_owned()),
        address: None,
    };
    let app = Origin {
        actor: Actor::Key(KeyId::from_bytes([0x33; 16])),
        address: Some("192.0.2.7".parse().unwrap()),
    };
    let replay = ReplayId::from_bytes([0x44; 16]).to_string();
    let reason = "refunded by hand: \"no\" \u{1f642}\n";
    let drafts = [
        Draft::new(
            &shell,
            Action::OrganizationCreated,
            ORGANIZATION,
            &[("name", "Ünïted")],
        ),
        Draft::new(
            &shell,
            Action::ProjectCreated,
            ProjectId::from_bytes([0x55; 16]),
            &[],
        ),
        Draft::new(
            &Origin::system("sweep"),
            Action::IncidentOpened,
            incident,
            &[("reason", "timeout")],
        ),
        Draft::new(
            &person,
            Action::IncidentDismissed,
            incident,
            &[("reason", reason)],
        ),
        Draft::new(&person, Action::IncidentReopened, incident, &[]),
        Draft::new(
            &shell,
            Action::IncidentReprocessed,
            incident,
            &[("replay_id", &replay)],
        ),
        Draft::new(&app, Action::IncidentResolved, incident, &[]),
    ];
    let mut entries = Vec::new();
    drafts.iter().for_each(|draft| link(&mut entries, draft));
    entries
}

fn signed(kind: CheckpointKind, entry: &Entry, minute: i64) -> SignedCheckpoint {
    key().sign(Checkpoint::new(ORGANIZATION, kind, entry.as_head(), at(minute)))
}

fn lines(entries: &[Entry], checkpoints: &[SignedCheckpoint]) -> String {
    let entries = entries.iter().cloned().map(ExportLine::Entry);
    let checkpoints = checkpoints.iter().copied().map(ExportLine::Checkpoint);
    entries
        .chain(checkpoints)
        .map(|line| line.to_json() + "\n")
        .collect()
}

/// Seven entries, the details of the fourth erased; checkpoints of the fifth and of the last.
fn whole() -> String {
    let mut entries = entries();
    entries[3].details = None;
    let seen = [4, 6].map(|index| signed(CheckpointKind::Periodic, &entries[index], 60));
    lines(&entries, &seen)
}

/// The first three entries were pruned.
fn pruned() -> String {
    let entries = entries();
    let prune = signed(CheckpointKind::Prune, &entries[2], 60);
    lines(
        &entries[3..],
        &[prune, signed(CheckpointKind::Periodic, &entries[6], 61)],
    )
}

/// A restore went back to the fourth entry of seven and declared it; then one more came.
fn restored() -> String {
    let lost = entries();
    let mut entries = lost[..4].to_vec();
    link(
        &mut entries,
        &Draft::new(
            &Origin::system("restore"),
            Action::AuditExported,
            ORGANIZATION,
            &[],
        ),
    );
    let checkpoints = [
        signed(CheckpointKind::Periodic, &lost[6], 60),
        signed(CheckpointKind::Restore, &lost[3], 61),
        signed(CheckpointKind::Periodic, &entries[4], 62),
    ];
    lines(&entries, &checkpoints)
}

fn vector(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../tests/vectors")
        .join(name)
}

fn must_be(name: &str, made: &str) {
    let path = vector(name);
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(&path, made).unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), made, "{name}");
}

#[test]
fn the_vectors_are_what_this_crate_writes() {
    must_be("audit.jsonl", &whole());
    must_be("audit_pruned.jsonl", &pruned());
    must_be("audit_restored.jsonl", &restored());
    must_be("audit_public_key", &(key().public().to_hex() + "\n"));
}

#[test]
fn the_vectors_verify() {
    let public = std::fs::read_to_string(vector("audit_public_key")).unwrap();
    let public = AuditPublicKey::from_hex(public.trim()).unwrap();
    for (name, redacted) in [
        ("audit.jsonl", 1),
        ("audit_pruned.jsonl", 0),
        ("audit_restored.jsonl", 0),
    ] {
        let (mut entries, mut checkpoints) = (Vec::new(), Vec::new());
        for line in std::fs::read_to_string(vector(name)).unwrap().lines() {
            match ExportLine::parse(line).unwrap() {
                ExportLine::Entry(entry) => entries.push(entry),
                ExportLine::Checkpoint(signed) => {
                    assert!(public.has_signed(&signed), "{name}");
                    checkpoints.push(signed);
                }
            }
        }
        let mut walk = Walk::new(ORGANIZATION, &checkpoints);
        entries.iter().for_each(|entry| walk.step(entry).unwrap());
        assert_eq!(walk.redacted(), redacted, "{name}");
        let last = entries.last().map(Entry::as_head);
        assert_eq!(walk.finish(last).ok(), last, "{name}");
    }
}
