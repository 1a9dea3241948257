//! The payload that is kept of an incident's event, shown to a person who says why. The audit log tells of it before
//! anything is shown.

use askama::Template;
use hyper::StatusCode;
use sendpromptly_core::snapshot::{KEPT, ReadReason};

use super::{Refused, Typed, asked_for, render, title, words};
use crate::console::access::Seat;
use crate::console::page::{self, Frame, Nav};
use crate::console::{PageError, Visit};
use crate::http::Response;
use crate::payload::{self, Payload};
use crate::store::incidents::IncidentRecord;

/// What the page of an incident says of the payload, where one is kept.
pub(super) struct PayloadCard {
    pub(super) until: String,
    pub(super) form: String,
    pub(super) reason_max: usize,
}

#[derive(Template)]
#[template(path = "incident_payload.html")]
struct PayloadPage {
    frame: Frame,
    path: String,
    title: String,
    payload: String,
    reason: String,
}

/// The card of the payload, for whoever may open it.
pub(super) async fn card(visit: &Visit, record: &IncidentRecord) -> Result<Option<PayloadCard>, PageError> {
    let kept = visit
        .store()
        .payload_received_at(record.project, record.event, visit.now)
        .await?;
    Ok(kept.map(|received_at| PayloadCard {
        until: words::time(received_at.plus(KEPT)),
        form: visit.new_form_token(),
        reason_max: ReadReason::MAX,
    }))
}

/// `POST …/snapshot`: shows the payload, once.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn show(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let record = asked_for(&visit, &seat).await?;
    let typed = visit.form.text("reason");
    let Ok(reason) = typed.parse::<ReadReason>() else {
        let why = format!(
            "Say why you need to see the payload, in {} to {} characters on one line.",
            ReadReason::MIN,
            ReadReason::MAX
        );
        return refuse(&visit, &seat, StatusCode::UNPROCESSABLE_ENTITY, why, typed).await;
    };
    let (store, vault) = (visit.store(), &visit.console.setting.vault);
    // It is opened first, so that the log tells of no look that there was not; and noted before it is shown.
    let opened = payload::open(store, vault, (record.project, record.event), visit.now).await;
    let text = match opened {
        Ok(Payload::Text(text)) => text,
        Ok(Payload::Gone) => {
            let why = "No payload is kept of this event: its 30 days are over, or it was deleted.".to_owned();
            return refuse(&visit, &seat, StatusCode::CONFLICT, why, typed).await;
        }
        Ok(Payload::Lost(_)) => {
            let why = "The payload is damaged and can never be opened: it was changed, or its key is lost."
                .to_owned();
            return refuse(&visit, &seat, StatusCode::CONFLICT, why, typed).await;
        }
        Err(error) => {
            tracing::error!(project = %record.project, %error, "a payload cannot be opened now");
            let why = "The payload cannot be opened now. It is still kept: try again later.".to_owned();
            return refuse(&visit, &seat, StatusCode::SERVICE_UNAVAILABLE, why, typed).await;
        }
    };
    let origin = visit.origin(seat.who.user);
    let about = (record.event, record.incident.id);
    store
        .note_snapshot_read(seat.scope, about, &reason, &origin, visit.now)
        .await?;
    page::page(&PayloadPage {
        frame: visit.frame_of(&seat, "Payload", Nav::Incidents),
        path: seat.path(&format!("/incidents/{}", record.incident.id)),
        title: title(&record),
        payload: text.as_str().to_owned(),
        reason: reason.as_str().to_owned(),
    })
}

async fn refuse(
    visit: &Visit,
    seat: &Seat,
    status: StatusCode,
    why: String,
    typed: &str,
) -> Result<Response, PageError> {
    let typed = Typed {
        read_reason: typed.to_owned(),
        ..Typed::default()
    };
    render(visit, seat, Some(Refused { status, why, typed })).await
}

#[cfg(test)]
mod tests;
