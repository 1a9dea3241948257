//! Whether a backup of this store could be made.

use super::Findings;
use crate::backup::Programs;
use crate::config::StorageConfig;
use crate::store::{DatabaseUrl, Store};

pub(super) async fn check(storage: &StorageConfig, store: &Store, findings: &mut Findings) {
    let DatabaseUrl::Postgres(url) = &storage.database else {
        return; // SQLite copies itself
    };
    let programs = Programs::new(storage.pg_bin_dir.clone(), url);
    let server = match store.server_version().await {
        Ok(server) => server,
        Err(error) => {
            return findings.wrong(format!("backup: the database's version cannot be read: {error}"));
        }
    };
    match programs.dumper_of(server) {
        Ok(dumper) => findings.ok(format!(
            "backup: pg_dump of version {dumper} can read this database of version {server}"
        )),
        Err(error) => findings.wrong(format!("backup: none can be made: {error}")),
    }
}
