//! A project's page: what goes on in it, its keys and secrets, and how to begin.

use std::cmp::Reverse;

use askama::Template;
use hyper::StatusCode;
use sendpromptly_core::access::Role;
use sendpromptly_core::id::ProjectId;

use super::access::Seat;
use super::first_lines::FirstLines;
use super::page::{self, Frame, Nav};
use super::projects::{count_of, office, sentence};
use super::verdict::TestVerdict;
use super::when::When;
use super::{PageError, Visit};
use crate::http::Response;
use crate::projects::ProjectError;
use crate::projects::trial::Trial;
use crate::store::api_keys::ListedKey;
use crate::store::project_list::ListedProject;
use crate::store::signing_secrets::ListedSecret;

/// Keys on the page; older ones that are revoked are left to the command line.
const KEYS: usize = 50;

#[derive(Template)]
#[template(path = "project.html")]
struct ProjectPage {
    frame: Frame,
    path: String,
    live: String,
    incidents: String,
    id: String,
    name: String,
    mode: &'static str,
    /// Where callbacks go, without path and query, which may hold a secret.
    repair_origin: Option<String>,
    timeout_minutes: u32,
    reprocess_timeouts: u32,
    keep_answers: bool,
    keep_snapshots: bool,
    send_payload: bool,
    events_kept_days: u32,
    created_at: When,
    open_incidents: String,
    last_receipt: Option<When>,
    keys: Vec<Key>,
    /// Whether a key that is in use has travelled in clear.
    exposed: bool,
    more_keys: usize,
    secrets: Vec<Secret>,
    may_admin: bool,
    may_test: bool,
    verdict: Option<TestVerdict>,
    lines: FirstLines,
}

struct Key {
    id: String,
    hint: String,
    created_at: When,
    revoked_at: Option<When>,
    exposed_at: Option<When>,
}

struct Secret {
    created_at: When,
    expires_at: Option<When>,
}

/// `GET /orgs/{org}/projects/{project}`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn show(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let project: ProjectId = visit.param("project")?;
    page::page(&gather(&visit, &seat, project, None).await?)
}

/// `POST /orgs/{org}/projects/{project}/test`: sends a test callback and shows what became of it.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn test(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let project: ProjectId = visit.param("project")?;
    let setting = &visit.console.setting;
    let origin = visit.origin(seat.who.user);
    let office = office(&visit, &seat, &origin);
    if visit.store().project(seat.scope, project).await?.is_none() {
        return Err(PageError::NotFound);
    }
    let _permit = visit.console.trials.begin(project)?;
    let trial = Trial {
        vault: &setting.vault,
        client: &setting.callbacks,
        policy: &setting.policy,
    };
    let verdict = match office.try_repair_url(project, trial).await {
        Ok(outcome) => TestVerdict::of(&outcome),
        Err(error @ (ProjectError::NoRepairUrl | ProjectError::NoSecret)) => TestVerdict {
            good: false,
            headline: "Nothing was sent.".to_owned(),
            meaning: sentence(&error.to_string()),
            millis: None,
            head: None,
        },
        Err(error) => return Err(error.into()),
    };
    page::with_status(
        StatusCode::OK,
        &gather(&visit, &seat, project, Some(verdict)).await?,
    )
}

async fn gather(
    visit: &Visit,
    seat: &Seat,
    id: ProjectId,
    verdict: Option<TestVerdict>,
) -> Result<ProjectPage, PageError> {
    let (store, scope) = (visit.store(), seat.scope);
    let listed = store.listed_project(scope, id).await?;
    let ListedProject {
        project,
        open_incidents,
        last_receipt_at,
    } = listed.ok_or(PageError::NotFound)?;
    let keys = in_order(store.keys(scope, id).await?);
    let secrets = store.listed_secrets(scope, id, visit.now).await?;
    let newest = keys.iter().filter(|key| key.revoked_at.is_none());
    let newest = newest.max_by_key(|key| key.created_at);
    let placeholder = format!("sk_…{}…", newest.map_or("", |key| key.hint.as_str()));
    Ok(ProjectPage {
        frame: visit
            .frame_of(seat, &project.name, Nav::Projects)
            .telling(done(visit.query.text("done"))),
        path: seat.path(&format!("/projects/{id}")),
        live: seat.path("/live"),
        incidents: seat.path(&format!("/incidents?project={id}&state=open")),
        id: id.to_string(),
        mode: project.mode.as_str(),
        repair_origin: project.repair_origin(),
        timeout_minutes: project.timeout_minutes,
        reprocess_timeouts: project.reprocess_timeouts,
        keep_answers: project.keep_answers,
        keep_snapshots: project.keep_snapshots,
        send_payload: project.send_payload,
        events_kept_days: project.events_kept_days,
        created_at: When::of(project.created_at),
        open_incidents: count_of(open_incidents),
        last_receipt: last_receipt_at.map(When::of),
        exposed: keys.iter().any(is_exposed),
        more_keys: keys.len().saturating_sub(KEYS),
        keys: keys.into_iter().take(KEYS).map(Key::from).collect(),
        secrets: secrets.into_iter().map(Secret::from).collect(),
        may_admin: seat.role >= Role::Admin,
        may_test: seat.role >= Role::Operator,
        verdict,
        lines: FirstLines::new(&visit.console.setting.base_url, &placeholder, visit.now),
        name: project.name,
    })
}

/// Those that must be acted on first, then those in use, then the revoked ones; each the newest first.
fn in_order(mut keys: Vec<ListedKey>) -> Vec<ListedKey> {
    let place = |key: &ListedKey| {
        (
            !is_exposed(key),
            key.revoked_at.is_some(),
            Reverse(key.created_at),
        )
    };
    keys.sort_by_key(place);
    keys
}

/// Whether others may hold this key, and it still opens its project.
fn is_exposed(key: &ListedKey) -> bool {
    key.exposed_at.is_some() && key.revoked_at.is_none()
}

/// What was done just before, in words.
fn done(word: &str) -> Option<&'static str> {
    Some(match word {
        "saved" => "The settings are saved.",
        "payloads" => "The settings for payloads are saved. They count everywhere in 5 seconds.",
        "payloads-deleted" => "No more payloads are kept, and those that were are deleted.",
        "url" => "The repair URL is saved.",
        "unresolved" => {
            "The repair URL is saved. Its host does not resolve now; it is looked up again at each callback."
        }
        "revoked" => "The key is revoked. It opens nothing any more, at the latest in 5 seconds.",
        _ => return None,
    })
}

impl From<ListedKey> for Key {
    fn from(key: ListedKey) -> Self {
        Self {
            id: key.id.to_string(),
            hint: key.hint,
            created_at: When::of(key.created_at),
            revoked_at: key.revoked_at.map(When::of),
            exposed_at: key.exposed_at.map(When::of),
        }
    }
}

impl From<ListedSecret> for Secret {
    fn from(secret: ListedSecret) -> Self {
        Self {
            created_at: When::of(secret.created_at),
            expires_at: secret.expires_at.map(When::of),
        }
    }
}

#[cfg(test)]
mod tests {
    use sendpromptly_core::id::KeyId;
    use sendpromptly_core::time::Timestamp;

    use super::*;

    const AT: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn key(hint: &str, made: i64, revoked: bool, exposed: bool) -> ListedKey {
        ListedKey {
            id: KeyId::from_bytes([7; 16]),
            hint: hint.to_owned(),
            created_at: AT.plus_millis(made),
            revoked_at: revoked.then_some(AT),
            exposed_at: exposed.then_some(AT),
        }
    }

    fn page_of(keys: Vec<ListedKey>) -> String {
        let page = ProjectPage {
            frame: Frame::new("shop", String::new()),
            path: String::new(),
            incidents: String::new(),
            id: String::new(),
            name: "shop".to_owned(),
            mode: "test",
            repair_origin: None,
            timeout_minutes: 30,
            reprocess_timeouts: 0,
            keep_answers: true,
            keep_snapshots: false,
            send_payload: false,
            events_kept_days: 396,
            created_at: When::of(AT),
            open_incidents: String::new(),
            last_receipt: None,
            live: String::new(),
            exposed: keys.iter().any(is_exposed),
            keys: keys.into_iter().map(Key::from).collect(),
            more_keys: 0,
            secrets: Vec::new(),
            may_admin: true,
            may_test: true,
            verdict: None,
            lines: FirstLines::new("https://pay.example.com", "sk_…", AT),
        };
        page.render().unwrap()
    }

    #[test]
    fn keys_to_act_on_come_first_and_revoked_ones_last() {
        let keys = in_order(vec![
            key("revoked", 9, true, true),
            key("older", 1, false, false),
            key("newer", 2, false, false),
            key("exposed", 0, false, true),
        ]);
        let hints: Vec<_> = keys.iter().map(|key| key.hint.as_str()).collect();
        assert_eq!(hints, ["exposed", "newer", "older", "revoked"]);
    }

    #[test]
    fn a_key_in_use_that_travelled_in_clear_is_marked_and_warned_of() {
        let warned = |page: &str| page.contains("data-test=\"exposed\"");
        let marked = |page: &str| page.contains("sent in clear");
        let exposed = page_of(vec![key("a", 0, false, true), key("b", 0, false, false)]);
        assert!(warned(&exposed) && marked(&exposed), "{exposed}");
        let revoked = page_of(vec![key("a", 0, true, true)]);
        assert!(!warned(&revoked) && marked(&revoked), "nothing is left to do");
        let clean = page_of(vec![key("a", 0, false, false)]);
        assert!(!warned(&clean) && !marked(&clean));
    }
}
