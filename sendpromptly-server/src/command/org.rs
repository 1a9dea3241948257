//! `org`: organizations.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use sendpromptly_core::hex;
use sendpromptly_core::id::{OrganizationId, UserId};
use sendpromptly_core::snapshot::ReadReason;
use serde::Serialize;

use super::stopping::told_to_end;
use super::{CommandError, Context, print_json, stdin};
use crate::account::email::Email;
use crate::account::password::Password;
use crate::platform::{clock, entropy};
use crate::store::organizations::NewOrganization;
use crate::store::scope::OrganizationScope;
use crate::store::users::NewUser;
use crate::store::{StoreError, StoreRole};
use crate::takeout::{Opening, TakeoutError, Taker};

/// What can be done with organizations.
#[derive(Debug, Subcommand)]
pub enum OrgCommand {
    /// Make an organization and its owner, whose password is read from standard input
    Create {
        /// The organization's name
        #[arg(long)]
        name: String,
        /// The owner's e-mail address
        #[arg(long, value_name = "EMAIL")]
        owner_email: String,
    },
    /// List the organizations, the oldest first
    List,
    /// Write all that an organization has into a directory, as JSON lines and a manifest with their hashes
    Export {
        /// Its id
        #[arg(long, value_name = "ID")]
        org: OrganizationId,
        /// Open what is kept sealed, payloads and the first bytes of answers, and write it along
        #[arg(long, requires = "reason")]
        with_snapshots: bool,
        /// Why it is opened, 3 to 500 characters on one line; the audit log tells it
        #[arg(long, value_name = "TEXT", requires = "with_snapshots")]
        reason: Option<ReadReason>,
        /// The directory, which must not be there yet
        directory: PathBuf,
    },
    /// Order the deletion of an organization, which is carried out after 7 days
    Delete {
        /// Its id
        id: OrganizationId,
        /// Though it has a subscription, or somebody has begun to subscribe: you end that at Stripe yourself
        #[arg(long)]
        subscription_goes_on: bool,
    },
    /// Take the order to delete an organization back
    Keep {
        /// Its id
        id: OrganizationId,
    },
}

impl OrgCommand {
    /// What it opens the store for: an organization may come before the first server.
    #[must_use]
    pub const fn store_role(&self) -> StoreRole {
        match self {
            Self::Create { .. } => StoreRole::First,
            Self::List | Self::Export { .. } | Self::Delete { .. } | Self::Keep { .. } => StoreRole::Command,
        }
    }
}

#[derive(Serialize)]
struct Listed<'a> {
    organization_id: String,
    name: &'a str,
    members: u32,
    projects: u32,
    created_at: String,
    deletion_due_at: Option<String>,
}

#[derive(Serialize)]
struct Exported {
    organization_id: String,
    directory: String,
    manifest_sha256: String,
    lines: u64,
}

#[derive(Serialize)]
struct Ordered {
    organization_id: String,
    deletion_due_at: String,
}

#[derive(Serialize)]
struct Kept {
    organization_id: String,
    kept_at: String,
}

#[derive(Serialize)]
struct Created {
    organization_id: String,
    user_id: String,
}

/// Runs it.
///
/// # Errors
/// [`CommandError`] by its cause.
pub async fn run(context: &Context, command: OrgCommand) -> Result<(), CommandError> {
    match command {
        OrgCommand::Create { name, owner_email } => create_with_password(context, &name, &owner_email).await,
        OrgCommand::List => list(context).await,
        OrgCommand::Export {
            org,
            with_snapshots: _,
            reason,
            directory,
        } => export(context, org, reason.as_ref(), &directory).await,
        OrgCommand::Delete {
            id,
            subscription_goes_on,
        } => delete(context, id, subscription_goes_on).await,
        OrgCommand::Keep { id } => keep(context, id).await,
    }
}

async fn create_with_password(context: &Context, name: &str, owner_email: &str) -> Result<(), CommandError> {
    let name = super::project::name(name)?.into_string();
    let email =
        Email::parse(owner_email).map_err(|error| CommandError::Usage(format!("--owner-email {error}")))?;
    let typed = stdin::secret("the owner's password", "password of the owner")?;
    let password = Password::new(typed, &[&name, email.as_str()]).map_err(CommandError::refused)?;
    let (organization, owner) = create(context, &name, &email, password).await?;
    print_json(&Created {
        organization_id: organization.to_string(),
        user_id: owner.to_string(),
    })
}

/// Makes an organization and its owner.
pub(super) async fn create(
    context: &Context,
    name: &str,
    email: &Email,
    password: Password,
) -> Result<(OrganizationId, UserId), CommandError> {
    let hashed = tokio::task::spawn_blocking(move || password.hash()).await;
    let password_hash = hashed
        .map_err(CommandError::refused)?
        .map_err(CommandError::refused)?;
    let now = clock::now();
    let new = NewOrganization {
        id: OrganizationId::new(now, entropy::for_id()),
        name: name.to_owned(),
        owner: NewUser {
            id: UserId::new(now, entropy::for_id()),
            email: email.as_str().to_owned(),
            email_key: email.key(),
            password_hash,
            created_at: now,
        },
        created_at: now,
    };
    match context.store.create_organization(&new, &context.origin()).await {
        Err(StoreError::Taken(_)) => Err(CommandError::refused(
            "a user with this e-mail address exists already; name another owner",
        )),
        outcome => Ok(outcome.map(|()| (new.id, new.owner.id))?),
    }
}

async fn list(context: &Context) -> Result<(), CommandError> {
    for organization in context.store.organizations().await? {
        print_json(&Listed {
            organization_id: organization.id.to_string(),
            name: &organization.name,
            members: organization.members,
            projects: organization.projects,
            created_at: organization.created_at.to_string(),
            deletion_due_at: organization.deletion_due_at.map(|time| time.to_string()),
        })?;
    }
    Ok(())
}

async fn export(
    context: &Context,
    id: OrganizationId,
    reason: Option<&ReadReason>,
    directory: &Path,
) -> Result<(), CommandError> {
    let opening = match reason {
        Some(reason) => Some(Opening {
            vault: context.vault().await?,
            reason,
        }),
        None => None,
    };
    let checkpoints = context.checkpoints().await?;
    let taker = Taker {
        store: &context.store,
        scope: OrganizationScope::of_the_command_line(id),
        checkpoints: &checkpoints,
        opening,
        origin: &context.origin(),
        now: clock::now(),
    };
    let told = told_to_end()?;
    let made = tokio::select! {
        biased;
        made = taker.export(directory) => made,
        // What is there by then goes with the export: payloads may be in it, opened.
        () = told => return Err(CommandError::refused(format_args!(
            "stopped by a signal; there is no export {}",
            directory.display()
        ))),
    };
    let made = made.map_err(|error| match error {
        TakeoutError::NoOrganization => CommandError::not_found("organization", id),
        error => CommandError::refused(error),
    })?;
    print_json(&Exported {
        organization_id: id.to_string(),
        directory: directory.display().to_string(),
        manifest_sha256: hex::encode(&made.manifest),
        lines: made.lines,
    })
}

async fn delete(context: &Context, id: OrganizationId, though_it_pays: bool) -> Result<(), CommandError> {
    let (scope, now) = (OrganizationScope::of_the_command_line(id), clock::now());
    let record = context.store.billing(scope).await?;
    let pays = record.is_some_and(|record| record.is_subscribed() || record.open_checkout(now).is_some());
    if pays && !though_it_pays {
        return Err(CommandError::refused(format_args!(
            "{id} has a subscription, which goes on without it, or a checkout that can be paid still; an owner ends the one on \
             the billing page of the console, the other runs out within a day; --subscription-goes-on deletes the organization \
             all the same"
        )));
    }
    let due = context
        .store
        .order_deletion(scope, &context.origin(), now)
        .await?;
    let due = due.ok_or_else(|| CommandError::not_found("organization", id))?;
    print_json(&Ordered {
        organization_id: id.to_string(),
        deletion_due_at: due.to_string(),
    })
}

async fn keep(context: &Context, id: OrganizationId) -> Result<(), CommandError> {
    let (scope, now) = (OrganizationScope::of_the_command_line(id), clock::now());
    if !context.store.has_organization(id).await? {
        return Err(CommandError::not_found("organization", id));
    }
    if !context
        .store
        .keep_organization(scope, &context.origin(), now)
        .await?
    {
        return Err(CommandError::refused(format_args!(
            "nobody has ordered the deletion of {id}, so it stays"
        )));
    }
    print_json(&Kept {
        organization_id: id.to_string(),
        kept_at: now.to_string(),
    })
}
