//! `user`: people with accounts.

use clap::{Args, Subcommand};
use sendpromptly_core::id::UserId;
use serde::Serialize;

use super::{CommandError, Context, print_json};
use crate::account::deletion;
use crate::account::email::Email;
use crate::platform::clock;
use crate::store::deleted_users::UserDeletion;

/// What can be done with users.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Delete a user for good; the audit log keeps an id in the user's place
    Delete(Who),
}

/// Which user.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Who {
    /// The user's id
    id: Option<UserId>,
    /// The user's e-mail address
    #[arg(long)]
    email: Option<String>,
}

#[derive(Serialize)]
struct Deleted {
    user_id: String,
    deleted_at: String,
}

/// Runs it.
///
/// # Errors
/// [`CommandError`] by its cause.
pub async fn run(context: &Context, command: UserCommand) -> Result<(), CommandError> {
    let UserCommand::Delete(who) = command;
    let user = find(context, &who).await?;
    let now = clock::now();
    let all = u32::MAX;
    match deletion::delete(&context.store, user, &context.origin(), all, now).await? {
        UserDeletion::Done => print_json(&Deleted {
            user_id: user.to_string(),
            deleted_at: now.to_string(),
        }),
        UserDeletion::NoUser => Err(CommandError::not_found("user", user)),
        UserDeletion::LastOwner(organizations) => Err(CommandError::refused(format_args!(
            "{user} is the only owner of {}; make somebody else an owner there, or delete the organization first \
             (org delete)",
            organizations.join(", ")
        ))),
    }
}

async fn find(context: &Context, who: &Who) -> Result<UserId, CommandError> {
    let Some(text) = &who.email else {
        return who
            .id
            .ok_or_else(|| CommandError::Usage("name a user".to_owned()));
    };
    let email = Email::parse(text).map_err(|error| CommandError::Usage(format!("--email {error}")))?;
    let found = context.store.user_of_email(&email.key()).await?;
    found.ok_or_else(|| CommandError::refused("there is no user with this e-mail address"))
}
