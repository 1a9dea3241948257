//! `POST /orgs/{org}/audit/check`: walks the log from its first entry and holds it against the signed checkpoints.
//!
//! One walk at a time, and of a log that is not too long: a walk reads and hashes every entry. A longer log is
//! checked at the command line.

use std::time::Duration;

use askama::Template;
use sendpromptly_core::audit::SignedCheckpoint;
use sendpromptly_core::id::OrganizationId;

use super::super::access::Seat;
use super::super::page::{self, Frame, Nav};
use super::super::{PageError, Visit};
use crate::http::Response;
use crate::trail::walk::{self, Sound};

/// Entries that are walked here at most.
const MOST: u64 = 200_000;

#[derive(Template)]
#[template(path = "audit_check.html")]
struct CheckPage {
    frame: Frame,
    path: String,
    organization: OrganizationId,
    found: Found,
}

/// What a walk has found.
enum Found {
    /// The log is longer than what is walked here.
    TooLong(u64),
    Sound {
        sound: Sound,
        checkpoints: usize,
        /// The store notes that it was signed, and the checkpoint file has none of it: another node's may.
        signed_elsewhere: bool,
        /// Lines of the checkpoint file that prove nothing.
        bad: usize,
    },
    Broken(String),
}

/// Walks it and tells what was found.
///
/// # Errors
/// [`PageError`] by its cause; [`PageError::TooMany`] while another walk is under way.
pub async fn run(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let organization = seat.scope.id();
    let found = find(&visit, &seat).await?;
    page::page(&CheckPage {
        frame: visit.frame_of(&seat, "Check of the audit log", Nav::Audit),
        path: seat.path("/audit"),
        organization,
        found,
    })
}

async fn find(visit: &Visit, seat: &Seat) -> Result<Found, PageError> {
    let _turn = visit
        .console
        .check_turn
        .try_acquire()
        .map_err(|_| PageError::TooMany(Duration::from_secs(5)))?;
    let store = visit.store();
    let standing = store.audit_standing(seat.scope).await?;
    if standing.stored() > MOST {
        return Ok(Found::TooLong(standing.stored()));
    }
    // Read before the chain, which may grow meanwhile: no checkpoint is then newer than what is walked.
    let (checkpoints, bad) = checkpoints(visit, seat.scope.id()).await?;
    let known = visit.console.setting.checkpoints.known_keys();
    let walked = walk::walk(store, seat.scope.id(), &checkpoints, Some(known)).await?;
    Ok(match walked {
        Ok(sound) => Found::Sound {
            sound,
            checkpoints: checkpoints.len(),
            signed_elsewhere: checkpoints.is_empty() && standing.signed > 0,
            bad,
        },
        Err(fault) => Found::Broken(format!("{}.", capitalized(&fault.to_string()))),
    })
}

async fn checkpoints(
    visit: &Visit,
    organization: OrganizationId,
) -> Result<(Vec<SignedCheckpoint>, usize), PageError> {
    let source = visit.console.setting.checkpoints.clone();
    let read = tokio::task::spawn_blocking(move || source.read()).await;
    let file = read.map_err(|error| PageError::Internal(error.to_string()))??;
    let of_organization = |signed: &SignedCheckpoint| signed.checkpoint.organization == organization;
    Ok((
        file.checkpoints.into_iter().filter(of_organization).collect(),
        file.bad.len(),
    ))
}

fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(characters).collect()
}
