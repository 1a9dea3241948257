//! `retention`: dropping by hand what the server drops by itself when its time is over.

use std::sync::Arc;

use clap::Subcommand;
use sendpromptly_core::time::Timestamp;
use serde::Serialize;
use tokio::time::Instant;

use super::{CommandError, Context, print_json};
use crate::checkpoints::Checkpoints;
use crate::platform::clock;
use crate::retention::guard::{self, Doubt};
use crate::retention::pace::Pace;
use crate::retention::{Keeper, PAGES, PASSES, Pass};

/// What can be done with what is old.
#[derive(Debug, Subcommand)]
pub enum RetentionCommand {
    /// Drop everything whose time is over, as a running server does each hour
    Run {
        /// Only say how much it is, and drop nothing
        #[arg(long)]
        dry_run: bool,
        /// Then rewrite a SQLite file without the space that has become free; the server must be stopped
        #[arg(long, conflicts_with = "dry_run")]
        compact: bool,
        /// It is right that the clock is more than 40 days beyond the last run
        #[arg(long, conflicts_with = "dry_run")]
        clock_is_right: bool,
    },
}

#[derive(Serialize)]
struct Passed {
    pass: &'static str,
    rows: u64,
}

/// Runs it: one line for each pass.
///
/// # Errors
/// [`CommandError`] by its cause.
pub async fn run(context: &Context, command: RetentionCommand) -> Result<(), CommandError> {
    let RetentionCommand::Run {
        dry_run,
        compact,
        clock_is_right,
    } = command;
    let checkpoints = open_checkpoints(context)?;
    let keeper = Keeper::new(context.store.clone(), Arc::new(checkpoints));
    let now = clock::now();
    if !dry_run {
        match guard::doubt(&context.store, now).await? {
            Some(Doubt::Leapt { .. }) if clock_is_right => {}
            Some(doubt) => return Err(CommandError::refused(format_args!("nothing is dropped: {doubt}"))),
            None => {}
        }
        context.store.note_retained(now).await?;
    }
    for pass in PASSES {
        let rows = if dry_run {
            pass.count(&keeper, now).await?
        } else {
            drop_all(pass, &keeper, now).await?
        };
        let pass = pass.name();
        print_json(&Passed { pass, rows })?;
    }
    if compact {
        context.store.compact().await?;
    } else if !dry_run {
        while context.store.give_space_back(PAGES).await? {}
    }
    Ok(())
}

/// By the servers' key: a prune mark of another one would break the proof of the audit log for good.
fn open_checkpoints(context: &Context) -> Result<Checkpoints, CommandError> {
    Checkpoints::open_with_key(&context.config.keys).map_err(|error| {
        CommandError::refused(format_args!(
            "{error}; where the audit log's old end goes, the servers' audit key signs that: run this where it lies"
        ))
    })
}

/// In batches, so that a server beside it can write between any two.
async fn drop_all(pass: &Pass, keeper: &Keeper, now: Timestamp) -> Result<u64, CommandError> {
    let (mut rows, mut pace) = (0, Pace::default());
    loop {
        let begin = Instant::now();
        let batch = pass.run(keeper, now, pace.limit()).await?;
        let took = begin.elapsed();
        keeper.store.write_log_back().await?;
        rows += batch.rows;
        if !batch.more {
            return Ok(rows);
        }
        tokio::time::sleep(pace.rest_after(took)).await;
    }
}
