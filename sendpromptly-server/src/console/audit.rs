//! `/orgs/{org}/audit`: the audit log, to read, to check and to take away; nothing here can change it.
//!
//! It tells e-mail and network addresses of members, so it is for admins and owners. Whoever is no member any more
//! is named by an id.

use std::collections::HashMap;

use askama::Template;
use sendpromptly_core::audit::{Action, Entry};
use sendpromptly_core::id::UserId;

use super::access::Seat;
use super::page::{self, Frame, Nav};
use super::when::When;
use super::{PageError, Visit};
use crate::http::Response;
use crate::store::audit_pages::{AuditPage, AuditStanding, PageQuery};

pub mod check;
pub mod export;
mod filter;
#[cfg(test)]
mod tests;
pub mod words;

use filter::Typed;

/// Entries on a page.
const PAGE: u32 = 50;

/// Members whose addresses are proposed.
const PROPOSED: u32 = 100;

#[derive(Template)]
#[template(path = "audit.html")]
struct LogPage {
    frame: Frame,
    path: String,
    typed: Typed,
    actions: Vec<Choice>,
    members: Vec<String>,
    rows: Vec<Row>,
    /// The address of the next page.
    older: Option<String>,
    /// Whether the page ends because it has looked at enough.
    cut: bool,
    first_page: bool,
    standing: AuditStanding,
}

struct Choice {
    word: &'static str,
    label: String,
    chosen: bool,
}

/// An entry as it is shown.
struct Row {
    seq: u64,
    at: When,
    actor: String,
    /// The actor as the log names it, where that is shown otherwise.
    actor_id: Option<String>,
    action: String,
    target: String,
    /// Where the target can be seen.
    link: Option<String>,
    /// `None` where they were erased.
    details: Option<Vec<(String, String)>>,
}

/// Shows a page of it.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn show(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let store = visit.store();
    let typed = Typed::read(&visit.query);
    let wanted = PageQuery {
        before: visit.query.text("before").parse().ok(),
        limit: PAGE,
    };
    let filter = typed.resolve(store).await?;
    let (found, standing, members) = tokio::try_join!(
        store.audit_page(seat.scope, &filter, wanted),
        store.audit_standing(seat.scope),
        store.member_addresses(seat.scope, PROPOSED)
    )?;
    let names = store.names_of(seat.scope, users_in(&found.entries)).await?;
    let path = seat.path("");
    page::page(&LogPage {
        frame: visit.frame_of(&seat, "Audit log", Nav::Audit),
        actions: Action::ALL.iter().map(|action| choice(*action, &typed)).collect(),
        members,
        rows: found
            .entries
            .iter()
            .map(|entry| row(entry, &path, &names))
            .collect(),
        older: older(&path, &typed, &found),
        cut: found.cut,
        first_page: wanted.before.is_none(),
        standing,
        typed,
        path,
    })
}

fn choice(action: Action, typed: &Typed) -> Choice {
    Choice {
        word: action.as_str(),
        label: words::action(action),
        chosen: typed.action == action.as_str(),
    }
}

fn older(path: &str, typed: &Typed, found: &AuditPage) -> Option<String> {
    let before = found.next?;
    let filters = typed.to_query();
    let and = if filters.is_empty() { "" } else { "&" };
    Some(format!("{path}/audit?{filters}{and}before={before}"))
}

/// The users that entries name, as actors or as targets.
fn users_in(entries: &[Entry]) -> Vec<UserId> {
    let named = entries.iter().flat_map(|entry| [&entry.actor, &entry.target]);
    let mut users: Vec<UserId> = named.filter_map(|name| name.parse().ok()).collect();
    users.sort_unstable();
    users.dedup();
    users
}

fn row(entry: &Entry, path: &str, names: &HashMap<UserId, String>) -> Row {
    let actor = actor(&entry.actor, names);
    let target = user_name(&entry.target, names);
    Row {
        seq: entry.seq,
        at: When::of(entry.at),
        actor_id: (actor != entry.actor).then(|| entry.actor.clone()),
        actor,
        action: match entry.action.parse::<Action>() {
            Ok(action) => words::action(action),
            Err(_) => entry.action.clone(),
        },
        link: link(&entry.target, path),
        target: target.unwrap_or_else(|| entry.target.clone()),
        details: entry.details.as_ref().map(|details| fields(&details.text)),
    }
}

fn actor(actor: &str, names: &HashMap<UserId, String>) -> String {
    if let Some(email) = user_name(actor, names) {
        return email;
    }
    match actor.split_once(':') {
        Some(("cli", user)) => format!("{user}, at the command line"),
        Some(("system", _)) => "The server itself".to_owned(),
        _ if actor.starts_with("key_") => "An API key".to_owned(),
        _ => actor.to_owned(),
    }
}

fn user_name(text: &str, names: &HashMap<UserId, String>) -> Option<String> {
    let user: UserId = text.parse().ok()?;
    names.get(&user).cloned()
}

fn link(target: &str, path: &str) -> Option<String> {
    let place = match target.split_once('_')?.0 {
        "inc" => "incidents",
        "prj" => "projects",
        _ => return None,
    };
    Some(format!("{path}/{place}/{target}"))
}

/// The details' fields in words.
fn fields(details: &str) -> Vec<(String, String)> {
    let Ok(serde_json::Value::Object(fields)) = serde_json::from_str(details) else {
        return vec![("details".to_owned(), details.to_owned())];
    };
    let value = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    fields
        .into_iter()
        .map(|(name, told)| (words::field(&name), value(told)))
        .collect()
}
