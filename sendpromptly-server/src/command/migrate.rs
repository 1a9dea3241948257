//! `migrate`: brings the store's tables up to date.

use super::CommandError;
use crate::config::Config;
use crate::store::{Store, StoreRole};

/// Migrates and says so.
///
/// # Errors
/// [`CommandError::Refused`] where the store cannot be reached, or was made by a later version.
pub async fn run(config: Config) -> Result<(), CommandError> {
    let database = &config.storage.database;
    let store = Store::open(database, StoreRole::Migrate, super::CONNECTIONS).await?;
    store.close().await?;
    eprintln!("the tables of {database} are up to date");
    Ok(())
}
