//! `retention`: dropping by hand what the server drops by itself when its time is over.

use std::sync::Arc;

use clap::Subcommand;
use sendpromptly_core::time::Timestamp;
use serde::Serialize;
use tokio::time::Instant;

use super::{CommandError, Context, print_json};
use crate::checkpoints::Checkpoints;
use crate::platform::clock;
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
    let RetentionCommand::Run { dry_run, compact } = command;
    let keeper = Keeper {
        store: context.store.clone(),
        checkpoints: Arc::new(Checkpoints::open(&context.config.keys)?),
    };
    let now = clock::now();
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

/// In batches, so that a server beside it can write between any two.
async fn drop_all(pass: &Pass, keeper: &Keeper, now: Timestamp) -> Result<u64, CommandError> {
    let (mut rows, mut pace) = (0, Pace::default());
    loop {
        let begin = Instant::now();
        let batch = pass.run(keeper, now, pace.limit()).await?;
        rows += batch.rows;
        if !batch.more {
            return Ok(rows);
        }
        tokio::time::sleep(pace.rest_after(begin.elapsed())).await;
    }
}
