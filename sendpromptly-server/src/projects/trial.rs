//! A test callback: a person tries a project's repair URL before money depends on it.

use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use sendpromptly_core::credential::SigningSecret;
use sendpromptly_core::id::{EventId, IncidentId, ProjectId, ReplayId};
use sendpromptly_core::signing::{Nonce, TestCallback, callback_headers};

use super::{Office, ProjectError};
use crate::callback::{AddressPolicy, CallOutcome, CallbackClient, RepairUrl};
use crate::platform::{clock, entropy};
use crate::vault::Vault;

/// What a test callback is sent with.
#[derive(Debug, Clone, Copy)]
pub struct Trial<'a> {
    /// Has the signing secrets.
    pub vault: &'a Vault,
    /// Makes the call.
    pub client: &'a CallbackClient,
    /// Which addresses may be called.
    pub policy: &'a AddressPolicy,
}

impl Office<'_> {
    /// Sends one signed test callback to a project's repair URL, as a real one would be sent, and tells what
    /// became of it. It names no event, so there is nothing to apply; it is not tried again.
    ///
    /// # Errors
    /// [`ProjectError`] where there is no project, nobody to call or nothing to sign with.
    pub async fn try_repair_url(
        &self,
        project: ProjectId,
        trial: Trial<'_>,
    ) -> Result<CallOutcome, ProjectError> {
        let found = self.store.project(self.scope, project).await?;
        let found = found.ok_or(ProjectError::NoProject)?;
        let url = found.repair_url.as_deref().ok_or(ProjectError::NoRepairUrl)?;
        let secrets = trial.vault.live_secrets(project, self.now).await?;
        if secrets.is_empty() {
            return Err(ProjectError::NoSecret);
        }
        let target = match RepairUrl::parse(url, trial.policy) {
            Ok(target) => target,
            Err(reason) => return Ok(CallOutcome::Refused { reason }),
        };
        // Before the call, which nobody could otherwise tell of where this is cut off.
        let shown = target.origin();
        self.store
            .note_trial(self.scope, project, &shown, self.origin, self.now)
            .await?;
        let body = TestCallback {
            replay_id: ReplayId::new(self.now, entropy::for_id()),
            incident_id: IncidentId::new(self.now, entropy::for_id()),
            event_id: EventId::new(self.now, entropy::for_id()),
            project_id: project,
            mode: found.mode,
            sent_at: self.now,
        };
        let body = body.to_json();
        let headers = headers(&secrets, 1, body.as_bytes());
        let never_cut = std::future::pending();
        Ok(trial.client.call(&target, headers, body.into(), never_cut).await)
    }
}

/// The headers of a signed call that is no attempt of a replay.
pub(crate) fn headers(
    secrets: &[SigningSecret],
    attempt: u32,
    body: &[u8],
) -> Vec<(HeaderName, HeaderValue)> {
    let nonce = Nonce::from_entropy(entropy::bytes());
    let signed = callback_headers(secrets, clock::now(), &nonce, attempt, body);
    let signed = signed.into_iter().filter_map(|(name, text)| {
        let value = HeaderValue::try_from(text).ok()?; // all are plain ASCII
        Some((HeaderName::from_static(name), value))
    });
    let json = (CONTENT_TYPE, HeaderValue::from_static("application/json"));
    std::iter::once(json).chain(signed).collect()
}
