//! `audit export`: an organization's chain as lines of JSON.

use std::io::{BufWriter, Write};

use sendpromptly_core::audit::{Action, Draft, ExportLine, INSTANCE};
use sendpromptly_core::id::OrganizationId;

use super::super::{CommandError, Context};
use crate::checkpoints::Checkpoints;
use crate::platform::clock;
use crate::store::audit;

/// Entries read at once.
const BATCH: u32 = 500;

pub(super) async fn run(context: &Context, organization: OrganizationId) -> Result<(), CommandError> {
    let store = &context.store;
    if organization != INSTANCE && !store.has_organization(organization).await? {
        return Err(CommandError::not_found("organization", organization));
    }
    let checkpoints = Checkpoints::open(&context.config.keys)?;
    let now = clock::now();
    let draft = Draft::new(&context.origin(), Action::AuditExported, organization, &[]);
    store
        .commit_audited(&[], &audit::drafts_of(organization, now, vec![draft]))
        .await?;

    // The chain may grow meanwhile: what is exported ends where the checkpoint stands.
    let head = store.audit_head(organization).await?;
    let mut output = BufWriter::new(std::io::stdout().lock());
    let mut after = 0;
    while after < head.seq {
        let entries = store.audit_entries(organization, after, BATCH).await?;
        let Some(last) = entries.last() else { break };
        after = last.seq;
        for entry in entries.into_iter().filter(|entry| entry.seq <= head.seq) {
            writeln!(output, "{}", ExportLine::Entry(entry).to_json()).map_err(unread)?;
        }
    }
    let checkpoint = checkpoints.sign(organization, head, now);
    writeln!(output, "{}", ExportLine::Checkpoint(checkpoint).to_json()).map_err(unread)?;
    output.flush().map_err(unread)
}

fn unread(error: std::io::Error) -> CommandError {
    CommandError::refused(format_args!(
        "the export is not whole, it cannot be printed: {error}"
    ))
}
