//! API keys, of which only hashes are stored.

use sendpromptly_core::id::{KeyId, OrganizationId, ProjectId};

/// What an API key opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyHolder {
    /// The key's id.
    pub key_id: KeyId,
    /// Its one project.
    pub project: ProjectId,
    /// The project's organization.
    pub organization: OrganizationId,
    /// The project's timeout, in minutes.
    pub timeout_minutes: u32,
}
