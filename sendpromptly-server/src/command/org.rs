//! `org`: organizations.

use std::io::{IsTerminal, Read};

use clap::Subcommand;
use sendpromptly_core::id::{OrganizationId, UserId};
use serde::Serialize;
use zeroize::Zeroizing;

use super::{CommandError, Context, print_json};
use crate::account::email::Email;
use crate::account::password::Password;
use crate::platform::{clock, entropy};
use crate::store::StoreError;
use crate::store::organizations::NewOrganization;
use crate::store::users::NewUser;

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
    let OrgCommand::Create { name, owner_email } = command;
    let name = super::project::name(&name)?.into_string();
    let email =
        Email::parse(&owner_email).map_err(|error| CommandError::Usage(format!("--owner-email {error}")))?;
    let password =
        Password::new(read_password()?, &[&name, email.as_str()]).map_err(CommandError::refused)?;
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

/// The password: typed unseen at a terminal, else standard input without the line break at its end.
fn read_password() -> Result<Zeroizing<String>, CommandError> {
    if std::io::stdin().is_terminal() {
        let typed = rpassword::prompt_password("password of the owner (it does not show): ");
        return Ok(Zeroizing::new(typed?));
    }
    /// More bytes than any password has that is taken.
    const ENOUGH: u64 = 4_096;
    let mut text = Zeroizing::new(String::with_capacity(4_096));
    let read = std::io::stdin().lock().take(ENOUGH).read_to_string(&mut text);
    read.map_err(|error| {
        CommandError::refused(format_args!(
            "the password cannot be read from standard input: {error}"
        ))
    })?;
    let line = text
        .strip_suffix('\n')
        .map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if line.is_empty() {
        return Err(CommandError::Usage(
            "the owner's password is read from standard input, and nothing came; pipe it in".to_owned(),
        ));
    }
    Ok(Zeroizing::new(line.to_owned()))
}
