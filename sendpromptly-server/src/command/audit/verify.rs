//! `audit verify`: every chain walked from its first stored entry to its head, and held against checkpoints.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sendpromptly_core::audit::{INSTANCE, Restore, SignedCheckpoint};
use sendpromptly_core::hex;
use sendpromptly_core::id::OrganizationId;
use serde::Serialize;

use super::super::{CommandError, Context, print_json};
use crate::checkpoints::{Stranger, file};
use crate::config::KeyConfig;
use crate::store::{Store, StoreError};
use crate::trail;
use crate::vault::audit_key::{self, KnownKeys};

/// The checkpoints of each chain.
type Checkpoints = BTreeMap<OrganizationId, Vec<SignedCheckpoint>>;

/// What was found of one chain.
#[derive(Serialize)]
#[serde(untagged)]
enum Report {
    Sound {
        organization_id: String,
        ok: bool,
        entries: u64,
        head: String,
        redacted: u64,
        pruned: u64,
        checkpoints: usize,
        restores: Vec<Restored>,
    },
    Broken {
        organization_id: String,
        ok: bool,
        bad_entry: u64,
        fault: String,
    },
}

/// A restore that was declared.
#[derive(Serialize)]
struct Restored {
    at: String,
    back_to: u64,
    lost_up_to: Option<u64>,
}

/// A line of a checkpoint file that proves nothing.
#[derive(Serialize)]
struct BadCheckpoint<'a> {
    file: String,
    ok: bool,
    line: usize,
    fault: &'a str,
}

pub(super) async fn run(
    context: &Context,
    only: Option<OrganizationId>,
    files: &[PathBuf],
    public_key: Option<&Path>,
) -> Result<(), CommandError> {
    let store = &context.store;
    // Read before the chains, which may grow meanwhile: no checkpoint is then newer than what is walked.
    let Evidence {
        checkpoints,
        bad_lines,
        known,
    } = read_checkpoints(store, &context.config.keys, files, public_key).await?;
    let strange = match &known {
        Some(known) => find_other_keys(store, known, public_key.is_some()).await?,
        None => None,
    };
    let chains = chains(store, only, &checkpoints).await?;
    let mut broken = 0;
    for organization in &chains {
        let seen = checkpoints.get(organization).map_or(&[][..], Vec::as_slice);
        let report = walk(store, *organization, seen, known.as_ref()).await?;
        if let Report::Broken {
            organization_id,
            fault,
            ..
        } = &report
        {
            broken += 1;
            eprintln!("{organization_id}: {fault}");
        }
        print_json(&report)?;
    }
    match (broken, bad_lines) {
        (0, 0) => strange.map_or(Ok(()), |stranger| Err(CommandError::refused(stranger))),
        (0, bad) => Err(CommandError::refused(format_args!(
            "{bad} lines of the checkpoint files prove nothing"
        ))),
        (broken, _) => Err(CommandError::refused(format_args!(
            "{broken} of {} audit chains are broken",
            chains.len()
        ))),
    }
}

/// Walks an organization's chain and holds it against this server's checkpoints; gives how many entries it has.
pub(in crate::command) async fn prove(
    context: &Context,
    organization: OrganizationId,
) -> Result<u64, CommandError> {
    let store = &context.store;
    let Evidence {
        checkpoints,
        bad_lines,
        known,
    } = read_checkpoints(store, &context.config.keys, &[], None).await?;
    let seen = checkpoints.get(&organization).map_or(&[][..], Vec::as_slice);
    match walk(store, organization, seen, known.as_ref()).await? {
        Report::Broken { fault, .. } => Err(CommandError::Refused(fault)),
        Report::Sound { .. } if bad_lines > 0 || seen.is_empty() => Err(CommandError::refused(
            "no signed checkpoint vouches for the audit chain",
        )),
        Report::Sound { entries, .. } => Ok(entries),
    }
}

/// What a chain is held against.
#[derive(Default)]
struct Evidence {
    /// The checkpoints whose signatures hold.
    checkpoints: Checkpoints,
    /// How many lines are none.
    bad_lines: usize,
    /// The keys by which they hold; not there where there are no checkpoints yet.
    known: Option<KnownKeys>,
}

async fn read_checkpoints(
    store: &Store,
    config: &KeyConfig,
    files: &[PathBuf],
    public_key: Option<&Path>,
) -> Result<Evidence, CommandError> {
    let default = [config.checkpoints.path.clone()];
    let files = if files.is_empty() && default[0].exists() {
        &default
    } else {
        files
    };
    if files.is_empty() {
        must_have_no_checkpoints(store, &default[0]).await?;
        eprintln!(
            "warning: there are no checkpoints yet, so a chain that was rewritten whole would not be found"
        );
        return Ok(Evidence::default());
    }
    let known = find_public_keys(config, public_key)?;
    let mut checkpoints = Checkpoints::new();
    let mut bad_lines = 0;
    for path in files {
        let shown = path.display().to_string();
        let read = file::read(path, &known)
            .map_err(|error| CommandError::refused(format_args!("{shown}: {error}")))?;
        for bad in &read.bad {
            eprintln!("{shown}: {bad}");
            print_json(&BadCheckpoint {
                file: shown.clone(),
                ok: false,
                line: bad.line,
                fault: &bad.why,
            })?;
        }
        if read.broken_end {
            eprintln!("warning: {shown} ends within a line, as a crash leaves it; that line is passed over");
        }
        bad_lines += read.bad.len();
        for signed in read.checkpoints {
            checkpoints
                .entry(signed.checkpoint.organization)
                .or_default()
                .push(signed);
        }
    }
    // Another node may have signed them all, into its own file.
    if checkpoints.is_empty() && bad_lines == 0 && store.has_checkpoints().await? {
        eprintln!(
            "warning: the store notes checkpoints, and none of them is here, so a chain that was rewritten whole would not \
             be found; name the files in which they are with --checkpoints"
        );
    }
    Ok(Evidence {
        checkpoints,
        bad_lines,
        known: Some(known),
    })
}

/// A checkpoint file that is gone is as bad as a chain that is cut.
async fn must_have_no_checkpoints(store: &Store, expected: &Path) -> Result<(), CommandError> {
    if store.has_checkpoints().await? {
        return Err(CommandError::refused(format_args!(
            "the store notes checkpoints, but {} is not there; name the files in which they are with --checkpoints",
            expected.display()
        )));
    }
    Ok(())
}

/// Tells of other keys that have signed checkpoints of this store, for what they vouch for is not held against them here.
/// Gives what is wrong where the newest one is among them, unless somebody has named these keys to look at their time alone.
async fn find_other_keys(
    store: &Store,
    known: &KnownKeys,
    is_named: bool,
) -> Result<Option<Stranger>, StoreError> {
    let noted = store.audit_keys().await?;
    for other in noted.iter().filter(|other| !known.contain(other)) {
        eprintln!(
            "warning: checkpoints of this store were signed by another audit key as well, {other}: hold the log against them \
             by --public-key and --checkpoints"
        );
    }
    let newest = noted.into_iter().next().filter(|newest| !known.contain(newest));
    Ok(newest.filter(|_| !is_named).map(Stranger::OfStore))
}

fn find_public_keys(config: &KeyConfig, given: Option<&Path>) -> Result<KnownKeys, CommandError> {
    let path = given.map_or_else(|| audit_key::public_path(&config.audit.path), Path::to_owned);
    KnownKeys::read(&path).map_err(|error| {
        CommandError::refused(format_args!(
            "{error}; name the public key that you kept with --public-key"
        ))
    })
}

/// Which chains to walk: those of the store, and those that a checkpoint has seen, for a chain that is gone
/// whole is found by its checkpoints alone.
async fn chains(
    store: &Store,
    only: Option<OrganizationId>,
    checkpoints: &Checkpoints,
) -> Result<BTreeSet<OrganizationId>, CommandError> {
    let mut chains: BTreeSet<_> = store.organization_ids().await?.into_iter().collect();
    chains.extend(
        store
            .audit_heads()
            .await?
            .into_iter()
            .map(|(organization, _)| organization),
    );
    chains.extend(checkpoints.keys());
    chains.insert(INSTANCE);
    match only {
        None => Ok(chains),
        Some(organization) if chains.contains(&organization) => Ok(BTreeSet::from([organization])),
        Some(organization) => Err(CommandError::not_found("organization", organization)),
    }
}

async fn walk(
    store: &Store,
    organization: OrganizationId,
    checkpoints: &[SignedCheckpoint],
    known: Option<&KnownKeys>,
) -> Result<Report, StoreError> {
    let organization_id = organization.to_string();
    let walked = trail::walk::walk(store, organization, checkpoints, known).await?;
    Ok(match walked {
        Ok(sound) => Report::Sound {
            organization_id,
            ok: true,
            entries: sound.head.seq,
            head: hex::encode(&sound.head.hash),
            redacted: sound.redacted,
            pruned: sound.pruned,
            checkpoints: checkpoints.len(),
            restores: sound.restores.iter().map(restored).collect(),
        },
        Err(fault) => Report::Broken {
            organization_id,
            ok: false,
            bad_entry: fault.entry(),
            fault: fault.to_string(),
        },
    })
}

fn restored(restore: &Restore) -> Restored {
    Restored {
        at: restore.at.to_string(),
        back_to: restore.back_to,
        lost_up_to: restore.lost,
    }
}
