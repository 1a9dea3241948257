//! `POST /orgs/{org}/audit/export`: the whole log as a file, made while it is sent.

use std::io;

use bytes::Bytes;
use futures_util::stream;
use hyper::body::Frame;
use hyper::header::{CONTENT_DISPOSITION, HeaderValue};

use super::super::access::Seat;
use super::super::{PageError, Visit};
use crate::http::{Response, response};
use crate::trail::export::Export;

/// Sends it. It holds one batch of entries at a time, however long the log is.
///
/// # Errors
/// [`PageError`] by its cause.
pub async fn send(visit: Visit, seat: Seat) -> Result<Response, PageError> {
    let organization = seat.scope.id();
    let origin = visit.origin(seat.who.user);
    let checkpoints = &visit.console.setting.checkpoints;
    if checkpoints.stranger_to_any(visit.store()).await?.is_some() {
        return Err(PageError::ForeignAuditKey);
    }
    let export = Export::begin(visit.store(), checkpoints, organization, &origin, visit.now).await?;
    let pieces = stream::unfold(Some(export), move |export| async move {
        let mut export: Export = export?;
        match export.next().await {
            Ok(lines) => lines.map(|lines| (Ok(Frame::data(Bytes::from(lines))), Some(export))),
            Err(error) => {
                tracing::warn!(%organization, %error, "an export of the audit log broke off");
                Some((Err(io::Error::other(error)), None))
            }
        }
    });
    let mut response = response::stream("application/jsonl", Box::pin(pieces));
    let name = format!("attachment; filename=\"audit-{organization}.jsonl\"");
    if let Ok(name) = HeaderValue::from_str(&name) {
        response.headers_mut().insert(CONTENT_DISPOSITION, name);
    }
    Ok(response)
}
