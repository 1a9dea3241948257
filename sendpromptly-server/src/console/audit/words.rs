//! The audit log in people's words.

use sendpromptly_core::audit::Action;

/// Each action in a few words; a test sees to it that none is missing.
const ACTIONS: &[(&str, &str)] = &[
    ("alert.added", "Added a destination of alerts"),
    ("alert.removed", "Removed a destination of alerts"),
    ("alert.tested", "Sent a test alert"),
    ("api_key.created", "Created an API key"),
    ("api_key.exposed", "Sent an API key in clear"),
    ("api_key.revoked", "Revoked an API key"),
    ("audit.exported", "Exported the audit log"),
    ("billing.checkout_started", "Went on to Stripe to subscribe"),
    ("billing.portal_opened", "Opened Stripe's billing portal"),
    ("email.changed", "Changed the e-mail address"),
    ("incident.dismissed", "Dismissed an incident"),
    ("incident.noted", "Took a note on an incident"),
    ("incident.opened", "Opened an incident"),
    ("incident.reopened", "Reopened an incident"),
    ("incident.reprocessed", "Ordered a reprocess"),
    ("incident.resolved", "Resolved an incident"),
    ("intake.mapped", "Changed what a provider's events mean"),
    ("intake.secret_set", "Set a provider's secret"),
    ("intake.stopped", "Stopped taking a provider's events"),
    ("invitation.accepted", "Accepted an invitation"),
    ("invitation.created", "Invited somebody"),
    ("invitation.revoked", "Took back an invitation"),
    ("login.failed", "Failed to sign in"),
    ("login.succeeded", "Signed in"),
    ("logout", "Signed out"),
    ("master_key.removed", "Removed a master key"),
    ("master_key.rotated", "Rotated the master key"),
    ("member.left", "Left the organization"),
    ("member.removed", "Removed a member"),
    ("member.role_changed", "Changed a member's role"),
    ("organization.changed", "Changed the organization"),
    ("organization.created", "Created the organization"),
    ("organization.deleted", "Deleted the organization"),
    (
        "organization.deletion_ordered",
        "Ordered the organization's deletion",
    ),
    ("organization.exported", "Exported the organization"),
    ("organization.kept", "Took the organization's deletion back"),
    ("password.changed", "Changed the password"),
    ("password.reset", "Reset the password"),
    ("project.changed", "Changed a project"),
    ("project.created", "Created a project"),
    ("project.deleted", "Deleted a project"),
    ("project.tested", "Sent a test callback"),
    ("recovery_code.used", "Used a recovery code"),
    ("recovery_codes.made", "Made new recovery codes"),
    ("second_factor.disabled", "Turned the second factor off"),
    ("second_factor.enabled", "Set up a second factor"),
    ("second_factor.replaced", "Replaced the authenticator"),
    ("secret.rotated", "Rotated a signing secret"),
    ("session.ended", "Ended a session"),
    ("snapshot.read", "Looked at a payload"),
    ("snapshots.deleted", "Deleted the payloads that were kept"),
    ("store.backed_up", "Backed up the store"),
    ("store.restored", "Restored the store"),
    ("subscription.changed", "Changed the subscription"),
    ("user.created", "Created a user"),
    ("user.deleted", "Deleted the account"),
];

/// What was done, in words.
#[must_use]
pub fn action(action: Action) -> String {
    let word = action.as_str();
    match ACTIONS.iter().find(|(known, _)| *known == word) {
        Some((_, words)) => (*words).to_owned(),
        None => word.replace(['.', '_'], " "),
    }
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
        let has_words = |action: &&Action| ACTIONS.iter().any(|(word, _)| *word == action.as_str());
        let wordless: Vec<_> = Action::ALL.iter().filter(|action| !has_words(action)).collect();
        assert!(wordless.is_empty(), "{wordless:?}");
    }
}
