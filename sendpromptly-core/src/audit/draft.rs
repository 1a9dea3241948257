//! What an audit entry says, before it is linked into its organization's chain.

use std::fmt;
use std::net::IpAddr;

use crate::event::words;
use crate::id::{KeyId, UserId};

words! {
    /// What was done.
    Action {
        /// A destination of alerts was added.
        AlertAdded = "alert.added",
        /// A destination of alerts was removed.
        AlertRemoved = "alert.removed",
        /// A test alert was sent.
        AlertTested = "alert.tested",
        /// An API key was created.
        ApiKeyCreated = "api_key.created",
        /// An API key travelled in clear.
        ApiKeyExposed = "api_key.exposed",
        /// An API key was revoked.
        ApiKeyRevoked = "api_key.revoked",
        /// The audit log was exported.
        AuditExported = "audit.exported",
        /// An owner opened Stripe's page on which a subscription is changed.
        BillingPortalOpened = "billing.portal_opened",
        /// An owner went on to Stripe to subscribe.
        CheckoutStarted = "billing.checkout_started",
        /// A user confirmed a new e-mail address.
        EmailChanged = "email.changed",
        /// A person put an incident aside.
        IncidentDismissed = "incident.dismissed",
        /// A person took a note on an incident.
        IncidentNoted = "incident.noted",
        /// An incident was opened.
        IncidentOpened = "incident.opened",
        /// An incident went back to open: its replay ended without success, or a person reopened it.
        IncidentReopened = "incident.reopened",
        /// A replay was ordered, and the incident is being reprocessed.
        IncidentReprocessed = "incident.reprocessed",
        /// An incident was resolved.
        IncidentResolved = "incident.resolved",
        /// A project's mapping of a provider's events was changed.
        IntakeMapped = "intake.mapped",
        /// A project's secret for a provider's events was set.
        IntakeSecretSet = "intake.secret_set",
        /// A project takes no more events from a provider.
        IntakeStopped = "intake.stopped",
        /// An invitation was accepted, and its holder became a member.
        InvitationAccepted = "invitation.accepted",
        /// Somebody was invited into an organization.
        InvitationCreated = "invitation.created",
        /// An invitation was taken back.
        InvitationRevoked = "invitation.revoked",
        /// A master key was removed.
        MasterKeyRemoved = "master_key.removed",
        /// Another master key became active.
        MasterKeyRotated = "master_key.rotated",
        /// A member left an organization.
        MemberLeft = "member.left",
        /// A member was removed from an organization.
        MemberRemoved = "member.removed",
        /// A member's role was changed.
        MemberRoleChanged = "member.role_changed",
        /// Somebody tried to sign in and was refused.
        LoginFailed = "login.failed",
        /// A user signed in.
        LoginSucceeded = "login.succeeded",
        /// A user signed out.
        Logout = "logout",
        /// An organization's settings were changed.
        OrganizationChanged = "organization.changed",
        /// An organization was created.
        OrganizationCreated = "organization.created",
        /// An organization is deleted: nobody reaches it any more.
        OrganizationDeleted = "organization.deleted",
        /// An owner ordered the deletion of an organization, which is carried out after a time of grace.
        OrganizationDeletionOrdered = "organization.deletion_ordered",
        /// An organization was exported whole.
        OrganizationExported = "organization.exported",
        /// An owner took back the order to delete an organization.
        OrganizationKept = "organization.kept",
        /// A user chose a new password by a mailed link.
        PasswordReset = "password.reset",
        /// A user changed the password.
        PasswordChanged = "password.changed",
        /// A project's settings were changed.
        ProjectChanged = "project.changed",
        /// A project was created.
        ProjectCreated = "project.created",
        /// A project was deleted.
        ProjectDeleted = "project.deleted",
        /// A test callback was sent to a project's repair URL.
        ProjectTested = "project.tested",
        /// A recovery code was used in place of a code of the authenticator app.
        RecoveryCodeUsed = "recovery_code.used",
        /// A user's recovery codes were made anew.
        RecoveryCodesMade = "recovery_codes.made",
        /// A user turned the second factor off.
        SecondFactorDisabled = "second_factor.disabled",
        /// A user set up a second factor.
        SecondFactorEnabled = "second_factor.enabled",
        /// A user set up another authenticator in place of the one before.
        SecondFactorReplaced = "second_factor.replaced",
        /// A project's signing secret was rotated.
        SecretRotated = "secret.rotated",
        /// A user ended sessions from another one.
        SessionEnded = "session.ended",
        /// A person was shown a payload that is kept.
        SnapshotRead = "snapshot.read",
        /// The payloads that a project had kept were deleted.
        SnapshotsDeleted = "snapshots.deleted",
        /// A backup of the store was begun.
        StoreBackedUp = "store.backed_up",
        /// The store was restored.
        StoreRestored = "store.restored",
        /// Stripe told that an organization's subscription is another one.
        SubscriptionChanged = "subscription.changed",
        /// A user was created.
        UserCreated = "user.created",
        /// A user's account was deleted; the id is left as a pseudonym.
        UserDeleted = "user.deleted",
    }
}

/// Who did it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// A signed-in user.
    User(UserId),
    /// The holder of an API key.
    Key(KeyId),
    /// Somebody at the command line, by the operating system's user name.
    Cli(String),
    /// The server itself, by the name of its worker.
    System(&'static str),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => id.fmt(f),
            Self::Key(id) => id.fmt(f),
            Self::Cli(user) => write!(f, "cli:{user}"),
            Self::System(worker) => write!(f, "system:{worker}"),
        }
    }
}

/// Who asked for something, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Who.
    pub actor: Actor,
    /// The address the request came from; none for the command line and the server itself.
    pub address: Option<IpAddr>,
}

impl Origin {
    /// The server's own worker of this name.
    #[must_use]
    pub const fn system(worker: &'static str) -> Self {
        Self {
            actor: Actor::System(worker),
            address: None,
        }
    }
}

/// An audit entry in the making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Who did it.
    pub actor: Actor,
    /// What was done.
    pub action: Action,
    /// The id of what it was done to.
    pub target: String,
    /// A JSON object with what may have to be erased some day: addresses, e-mail, reasons, free text.
    pub details: String,
}

impl Draft {
    /// A draft whose details hold the origin's address and these further fields.
    #[must_use]
    pub fn new(origin: &Origin, action: Action, target: impl fmt::Display, more: &[(&str, &str)]) -> Self {
        let address = origin.address.map(|address| address.to_string());
        let fields = address
            .iter()
            .map(|address| ("address", address.as_str()))
            .chain(more.iter().copied());
        let details: serde_json::Map<_, _> = fields
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        Self {
            actor: origin.actor.clone(),
            action,
            target: target.to_string(),
            details: serde_json::Value::Object(details).to_string(),
        }
    }
}
