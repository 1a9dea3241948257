//! A project's endpoints for providers: their secrets, and what their events mean.

use askama::Template;
use hyper::StatusCode;
use sendpromptly_core::event::Provider;
use sendpromptly_core::id::ProjectId;
use sendpromptly_core::intake::Mapping;

use super::access::Seat;
use super::credentials::{AT_ONCE, overlap};
use super::page::{self, Frame, Nav};
use super::projects::office;
use super::when::When;
use super::{PageError, Visit};
use crate::api::providers;
use crate::http::Response;
use crate::projects::ProjectError;
use crate::provider_intake::IntakeSecret;
use crate::store::projects::Project;

#[derive(Template)]
#[template(path = "project_intake.html")]
struct IntakePage {
    frame: Frame,
    path: String,
    project: String,
    endpoints: Vec<Endpoint>,
}

struct Endpoint {
    provider: &'static str,
    name: &'static str,
    url: String,
    secrets: Vec<Secret>,
    mapping: String,
    /// Whether the secrets before end at once, unless somebody chooses otherwise.
    at_once: bool,
    wrong_secret: Option<String>,
    wrong_mapping: Option<String>,
}

struct Secret {
    created_at: When,
    expires_at: Option<When>,
}

/// What was typed for a provider and is wrong.
enum Wrong {
    Secret(String),
    /// No third secret is live beside two.
    TwoLive,
    Mapping {
        typed: String,
        why: String,
    },
}

/// `GET /orgs/{org}/projects/{project}/intake`.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn show(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let project = find(&visit, &seat).await?;
    let told = match visit.query.text("done") {
        "secret" => Some("The secret is set. It counts everywhere in 5 seconds."),
        "mapping" => Some("The mapping is saved. It counts everywhere in 5 seconds."),
        "stopped" => Some("The secrets are gone. In 5 seconds nothing is taken there any more."),
        _ => None,
    };
    let mut page = intake_page(&visit, &seat, project, None).await?;
    page.frame = page.frame.telling(told);
    page::page(&page)
}

/// `POST /orgs/{org}/projects/{project}/intake/secret`: sets the secret by which a provider signs.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn set_secret(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let project = find(&visit, &seat).await?;
    let provider = provider(&visit)?;
    let typed = visit.form.secret("provider_secret");
    let secret = IntakeSecret::parse(provider, &typed);
    let (secret, overlap) = match (secret, overlap(visit.form.text("overlap"))) {
        (Ok(secret), Some(overlap)) => (secret, overlap),
        (Err(error), _) => {
            let wrong = Wrong::Secret(format!("Not set: {error}."));
            return refuse(&visit, &seat, project, provider, wrong).await;
        }
        (Ok(_), None) => {
            let wrong = Wrong::Secret("Choose how long the secret before still counts.".to_owned());
            return refuse(&visit, &seat, project, provider, wrong).await;
        }
    };
    // Once the plan is over, a secret that has leaked is replaced, and no intake begins.
    if !visit.may_change(&seat) && !has_secret(&visit, &seat, project.id, provider).await? {
        return Err(PageError::SubscriptionRequired);
    }
    let origin = visit.origin(seat.who.user);
    let vault = &visit.console.setting.vault;
    let set = office(&visit, &seat, &origin)
        .set_provider_secret(vault, project.id, provider, &secret, overlap)
        .await;
    match set {
        Ok(_) => Ok(back_to(&seat, project.id, "secret")),
        Err(ProjectError::TwoLive) => refuse(&visit, &seat, project, provider, Wrong::TwoLive).await,
        Err(error) => Err(error.into()),
    }
}

/// Whether a provider's events are taken by a secret that is live.
async fn has_secret(
    visit: &Visit,
    seat: &Seat,
    project: ProjectId,
    provider: Provider,
) -> Result<bool, PageError> {
    let store = visit.store();
    let listed = store
        .listed_intake(seat.scope, project, provider, visit.now)
        .await?;
    Ok(listed.is_some_and(|listed| !listed.secrets.is_empty()))
}

/// `POST /orgs/{org}/projects/{project}/intake/mapping`: says what a provider's events mean. An empty text means what
/// they mean unless a project says so.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn map(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let project = find(&visit, &seat).await?;
    let provider = provider(&visit)?;
    let typed = visit.form.text("mapping");
    let mapping = match (typed.is_empty(), typed.parse::<Mapping>()) {
        (true, _) => None,
        (false, Ok(mapping)) => Some(mapping),
        (false, Err(error)) => {
            let wrong = Wrong::Mapping {
                typed: typed.to_owned(),
                why: format!("Not saved: {error}."),
            };
            return refuse(&visit, &seat, project, provider, wrong).await;
        }
    };
    let origin = visit.origin(seat.who.user);
    let office = office(&visit, &seat, &origin);
    office
        .map_provider(project.id, provider, mapping.as_ref())
        .await?;
    Ok(back_to(&seat, project.id, "mapping"))
}

/// `POST /orgs/{org}/projects/{project}/intake/stop`: takes a provider's secrets away.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn stop(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let project = find(&visit, &seat).await?;
    let origin = visit.origin(seat.who.user);
    let office = office(&visit, &seat, &origin);
    office.stop_provider(project.id, provider(&visit)?).await?;
    Ok(back_to(&seat, project.id, "stopped"))
}

async fn find(visit: &Visit, seat: &Seat) -> Result<Project, PageError> {
    let id: ProjectId = visit.param("project")?;
    let project = visit.store().project(seat.scope, id).await?;
    project.ok_or(PageError::NotFound)
}

fn provider(visit: &Visit) -> Result<Provider, PageError> {
    visit
        .form
        .text("provider")
        .parse()
        .map_err(|_| PageError::NotFound)
}

fn back_to(seat: &Seat, project: ProjectId, done: &str) -> Response {
    page::see_other(&seat.path(&format!("/projects/{project}/intake?done={done}")))
}

async fn refuse(
    visit: &Visit,
    seat: &Seat,
    project: Project,
    provider: Provider,
    wrong: Wrong,
) -> Result<Response, PageError> {
    let page = intake_page(visit, seat, project, Some((provider, wrong))).await?;
    page::with_status(StatusCode::UNPROCESSABLE_ENTITY, &page)
}

async fn intake_page(
    visit: &Visit,
    seat: &Seat,
    project: Project,
    mut wrong: Option<(Provider, Wrong)>,
) -> Result<IntakePage, PageError> {
    let mut endpoints = Vec::new();
    for provider in Provider::ALL.iter().copied() {
        let listed = visit
            .store()
            .listed_intake(seat.scope, project.id, provider, visit.now);
        let listed = listed.await?.ok_or(PageError::NotFound)?;
        let mut endpoint = Endpoint {
            provider: provider.as_str(),
            name: super::incident::words::provider(provider),
            url: format!(
                "{}{}",
                visit.console.setting.base_url,
                providers::path(project.id, provider)
            ),
            secrets: listed
                .secrets
                .into_iter()
                .map(|secret| Secret {
                    created_at: When::of(secret.created_at),
                    expires_at: secret.expires_at.map(When::of),
                })
                .collect(),
            mapping: listed.mapping.to_string(),
            at_once: false,
            wrong_secret: None,
            wrong_mapping: None,
        };
        match wrong.take_if(|(of, _)| *of == provider) {
            Some((_, Wrong::Secret(why))) => {
                endpoint.wrong_secret = Some(why);
                endpoint.at_once = visit.form.text("overlap") == AT_ONCE;
            }
            Some((_, Wrong::TwoLive)) => {
                let why = "Two secrets are live already. Wait until the older one ends, or end both at once.";
                endpoint.wrong_secret = Some(why.to_owned());
                endpoint.at_once = true;
            }
            Some((_, Wrong::Mapping { typed, why })) => {
                endpoint.mapping = typed;
                endpoint.wrong_mapping = Some(why);
            }
            None => {}
        }
        endpoints.push(endpoint);
    }
    Ok(IntakePage {
        frame: visit.frame_of(seat, "Events from providers", Nav::Projects),
        path: seat.path(&format!("/projects/{}", project.id)),
        project: project.name,
        endpoints,
    })
}
