//! The audit log in people's words.

use sendpromptly_core::audit::Action;

/// What was done.
#[must_use]
pub fn action(action: Action) -> String {
    match own(action) {
        Some(words) => words.to_owned(),
        None => action.as_str().replace(['.', '_'], " "),
    }
}

/// The action's own words; a test sees to it that each has some.
const fn own(action: Action) -> Option<&'static str> {
    Some(match action {
        Action::ApiKeyCreated => "Created an API key",
        Action::ApiKeyExposed => "Sent an API key in clear",
        Action::ApiKeyRevoked => "Revoked an API key",
        Action::AuditExported => "Exported the audit log",
        Action::IncidentDismissed => "Dismissed an incident",
        Action::IncidentNoted => "Took a note on an incident",
        Action::IncidentOpened => "Opened an incident",
        Action::IncidentReopened => "Reopened an incident",
        Action::IncidentReprocessed => "Ordered a reprocess",
        Action::IncidentResolved => "Resolved an incident",
        Action::OrganizationCreated => "Created the organization",
        Action::ProjectChanged => "Changed a project",
        Action::ProjectCreated => "Created a project",
        Action::ProjectDeleted => "Deleted a project",
        Action::ProjectTested => "Sent a test callback",
        Action::SecretRotated => "Rotated a signing secret",
        Action::UserCreated => "Created a user",
        #[allow(unreachable_patterns)] // until each branch has its words
        _ => return None,
    })
}

/// The name of a field of an entry's details.
#[must_use]
pub fn field(name: &str) -> String {
    match name {
        "address" => "from".to_owned(),
        "email" => "e-mail".to_owned(),
        other => other.replace('_', " "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_words_of_its_own() {
        let wordless: Vec<_> = Action::ALL
            .iter()
            .filter(|action| own(**action).is_none())
            .collect();
        assert!(wordless.is_empty(), "{wordless:?}");
    }
}
