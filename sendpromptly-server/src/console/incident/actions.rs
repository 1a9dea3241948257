//! What can be done with an incident: each a form, each then back to its page. What is refused is told there.

use hyper::StatusCode;
use sendpromptly_core::audit::Origin;
use sendpromptly_core::hex;
use sendpromptly_core::id::{IncidentId, ProjectId};
use sendpromptly_core::incident::NoteText;

use super::{Refused, Typed, asked_for, render, words};
use crate::console::access::Seat;
use crate::console::page::see_other;
use crate::console::{PageError, Visit};
use crate::http::Response;
use crate::operate::{Desk, OperateError, Reprocess};

/// `POST …/reprocess`: orders a replay. The same form is the same order, however often it is sent.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn reprocess(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let record = asked_for(&visit, &seat).await?;
    let ordered = order(
        &visit,
        &seat,
        (record.project, record.incident.id),
        visit.form.has("again"),
    )
    .await;
    finish(&visit, &seat, ordered, "reprocessed", Typed::default()).await
}

/// Orders a replay of an incident under the key of the form that was sent.
pub(in crate::console) async fn order(
    visit: &Visit,
    seat: &Seat,
    (project, incident): (ProjectId, IncidentId),
    again: bool,
) -> Result<(), OperateError> {
    let key = format!("form:{}:{incident}", hex::encode(&visit.order_key()));
    let order = Reprocess {
        key: Some(&key),
        again,
        schedule: &visit.console.setting.schedule,
    };
    let origin = visit.origin(seat.who.user);
    let desk = desk(visit, (project, incident), &origin);
    desk.reprocess(&order).await.map(|_| ())
}

/// Where orders about an incident are given.
fn desk<'a>(visit: &'a Visit, (project, incident): (ProjectId, IncidentId), origin: &'a Origin) -> Desk<'a> {
    Desk {
        store: visit.store(),
        project,
        incident,
        origin,
        now: visit.now,
    }
}

/// `POST …/dismiss`: puts the incident aside, with a reason.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn dismiss(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let record = asked_for(&visit, &seat).await?;
    let origin = visit.origin(seat.who.user);
    let desk = desk(&visit, (record.project, record.incident.id), &origin);
    let reason = visit.form.text("reason");
    let dismissed = desk.dismiss(reason).await;
    let typed = Typed {
        reason: reason.to_owned(),
        ..Typed::default()
    };
    finish(&visit, &seat, dismissed, "dismissed", typed).await
}

/// `POST …/reopen`: opens a dismissed incident again.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn reopen(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let record = asked_for(&visit, &seat).await?;
    let origin = visit.origin(seat.who.user);
    let desk = desk(&visit, (record.project, record.incident.id), &origin);
    let reopened = desk.reopen().await;
    finish(&visit, &seat, reopened, "reopened", Typed::default()).await
}

/// `POST …/notes`: adds a note.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn add_note(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let record = asked_for(&visit, &seat).await?;
    let typed = visit.form.text("note");
    let Ok(text) = typed.parse::<NoteText>() else {
        let refused = Refused {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            why: format!("Write a note of 1 to {} characters.", NoteText::MAX),
            typed: Typed {
                note: typed.to_owned(),
                ..Typed::default()
            },
        };
        return render(&visit, &seat, Some(refused)).await;
    };
    let (author, origin) = (seat.who.user, visit.origin(seat.who.user));
    let store = visit.store();
    let added = store.add_note(seat.scope, &record, author, &text, &origin, visit.now);
    if !added.await? {
        return Err(PageError::NotFound);
    }
    Ok(back(&visit, &seat, "noted"))
}

/// Back to the incident's page; where the order was refused, to the page as it now is, with the reason.
async fn finish(
    visit: &Visit,
    seat: &Seat,
    done: Result<(), OperateError>,
    word: &str,
    typed: Typed,
) -> Result<Response, PageError> {
    let error = match done {
        Ok(()) => return Ok(back(visit, seat, word)),
        Err(error) => error,
    };
    let Some(why) = words::refusal(&error) else {
        return Err(fault(error));
    };
    let status = if matches!(error, OperateError::Reason(_)) {
        StatusCode::UNPROCESSABLE_ENTITY
    } else {
        StatusCode::CONFLICT
    };
    let refused = Refused {
        status,
        why: why.to_owned(),
        typed,
    };
    render(visit, seat, Some(refused)).await
}

fn back(visit: &Visit, seat: &Seat, word: &str) -> Response {
    let incident: Result<IncidentId, _> = visit.param("incident");
    match incident {
        Ok(incident) => see_other(&seat.path(&format!("/incidents/{incident}?done={word}"))),
        Err(_) => see_other(&seat.path("/incidents")),
    }
}

/// What is no refusal.
fn fault(error: OperateError) -> PageError {
    match error {
        OperateError::NotFound => PageError::NotFound,
        OperateError::Store(error) => error.into(),
        error => PageError::Internal(error.to_string()),
    }
}
