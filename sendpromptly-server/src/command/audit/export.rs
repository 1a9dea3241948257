//! `audit export`: an organization's chain as lines of JSON.

use std::io::Write;

use sendpromptly_core::audit::INSTANCE;
use sendpromptly_core::id::OrganizationId;

use super::super::{CommandError, Context};
use crate::platform::clock;
use crate::trail::export::Export;

pub(super) async fn run(context: &Context, organization: OrganizationId) -> Result<(), CommandError> {
    let store = &context.store;
    if organization != INSTANCE && !store.has_organization(organization).await? {
        return Err(CommandError::not_found("organization", organization));
    }
    let checkpoints = context.checkpoints().await?;
    let now = clock::now();
    let mut export = Export::begin(store, &checkpoints, organization, &context.origin(), now).await?;
    let mut output = std::io::stdout().lock();
    while let Some(lines) = export.next().await? {
        output.write_all(lines.as_bytes()).map_err(unread)?;
    }
    output.flush().map_err(unread)
}

fn unread(error: std::io::Error) -> CommandError {
    CommandError::refused(format_args!(
        "the export is not whole, it cannot be printed: {error}"
    ))
}
