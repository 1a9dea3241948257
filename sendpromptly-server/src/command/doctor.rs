//! `doctor`: looks at everything that the server needs and says in words what is wrong.
//!
//! Each finding is a line of standard output: `ok`, `advice` for what works and could be safer, `wrong` for
//! what must be mended. Nothing is changed, but for what every command does: a store that has never had keys gets
//! them.

mod backups;
mod billing;
mod https;
mod watch;

use std::fmt;
use std::time::Duration;

use super::{CommandError, print_line};
use crate::checkpoints::Checkpoints;
use crate::config::keys::MasterKeySource;
use crate::config::{Config, KeyConfig};
use crate::mail::Transport;
use crate::platform::clock;
use crate::store::{DatabaseUrl, Store, StoreRole};
use crate::vault::Vault;
use crate::vault::key_file;
use crate::vault::provider::provider;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    Ok,
    Advice,
    Wrong,
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Advice => "advice",
            Self::Wrong => "wrong",
        })
    }
}

/// What was found so far.
#[derive(Debug, Default)]
struct Findings(Vec<(Weight, String)>);

impl Findings {
    fn ok(&mut self, what: impl Into<String>) {
        self.0.push((Weight::Ok, what.into()));
    }

    fn advise(&mut self, what: impl Into<String>) {
        self.0.push((Weight::Advice, what.into()));
    }

    fn wrong(&mut self, what: impl Into<String>) {
        self.0.push((Weight::Wrong, what.into()));
    }
}

/// Looks at everything.
///
/// # Errors
/// [`CommandError::Refused`] where something is wrong.
pub async fn run(config: &Config) -> Result<(), CommandError> {
    let mut findings = Findings::default();
    check_configuration(config, &mut findings);
    https::check(&config.http, clock::now(), &mut findings);
    let store = check_store(config, &mut findings).await;
    if let Some(store) = &store {
        check_durability(store, &mut findings).await;
        check_clock(store, &mut findings).await;
        backups::check(&config.storage, store, &mut findings).await;
        check_master_key(config, store, &mut findings).await;
        check_audit(&config.keys, store, &mut findings).await;
        if config.billing.is_some() {
            billing::check_organizations(store, &mut findings).await;
        }
    }
    if let Some(store) = store {
        store.close().await?;
    }
    advise_to_move(config, &mut findings);
    check_left(&config.keys, &mut findings);
    check_mail(config, &mut findings).await;
    watch::check(config, &mut findings).await;
    billing::check(config.billing.as_ref(), &mut findings).await;
    for (weight, what) in &findings.0 {
        print_line(&format!("{weight:<7} {what}"))?;
    }
    let wrong = findings
        .0
        .iter()
        .filter(|(weight, _)| *weight == Weight::Wrong)
        .count();
    if wrong > 0 {
        return Err(CommandError::refused(format_args!(
            "{wrong} of {} findings are wrong",
            findings.0.len()
        )));
    }
    Ok(())
}

fn check_configuration(config: &Config, findings: &mut Findings) {
    findings.ok("configuration: every option can be used");
    if config.callbacks.policy.allow_private {
        findings.advise(
            "callbacks: --allow-private-callbacks lets them go to any address without https; never use it in production",
        );
    }
    match super::serve::callback_client(&config.callbacks) {
        Ok(_) => findings.ok("callbacks: the client for repair endpoints can be made"),
        Err(error) => findings.wrong(format!("callbacks: {error}")),
    }
}

async fn check_store(config: &Config, findings: &mut Findings) -> Option<Store> {
    let database = &config.storage.database;
    match Store::open(database, StoreRole::Command, super::CONNECTIONS).await {
        Ok(store) => {
            findings.ok(format!(
                "store: {database} answers, and its tables are those of this version"
            ));
            Some(store)
        }
        Err(error) => {
            findings.wrong(format!("store: {database}: {error}"));
            None
        }
    }
}

async fn check_durability(store: &Store, findings: &mut Findings) {
    match store.unsafe_settings().await {
        Ok(settings) if settings.is_empty() => findings.ok("store: what it commits is durable"),
        Ok(settings) => findings.wrong(format!(
            "store: PostgreSQL runs with {} = off, so what was accepted could be lost in a crash; set it to on",
            settings.join(" = off, ")
        )),
        Err(error) => findings.wrong(format!("store: its settings cannot be read: {error}")),
    }
}

async fn check_clock(store: &Store, findings: &mut Findings) {
    let before = clock::now();
    match store.clock().await {
        Ok(None) => findings.ok("clock: the store goes by this machine's"),
        Ok(Some(theirs)) => {
            tell_skew(theirs.since(clock::now()).max(before.since(theirs)), findings);
        }
        Err(error) => findings.wrong(format!("clock: the database's cannot be read: {error}")),
    }
}

fn tell_skew(apart: Duration, findings: &mut Findings) {
    if apart > clock::TOLERATED_SKEW {
        findings.wrong(format!(
            "clock: this machine's and the database's are {} ms apart, and the server is not ready beyond {} ms; \
             let both be set by NTP",
            apart.as_millis(),
            clock::TOLERATED_SKEW.as_millis()
        ));
    } else {
        findings.ok("clock: this machine's and the database's agree");
    }
}

async fn check_master_key(config: &Config, store: &Store, findings: &mut Findings) {
    let source = provider(&config.keys.master).source();
    match Vault::open(store, &config.keys).await {
        Ok(_) => findings.ok(format!("keys: the master key in {source} opens the store")),
        Err(error) => return findings.wrong(format!("keys: {error}")),
    }
    let beside_database = matches!(config.storage.database, DatabaseUrl::Sqlite(_));
    match &config.keys.master {
        MasterKeySource::File(file) if beside_database && !file.named => findings.advise(format!(
            "keys: {source} lies beside the database, so one stolen copy of the directory has both; move it elsewhere \
             (to /var/lib/sendpromptly-keys, with the Debian package) and name it by --master-key-file. Keep a copy of it: without it no secret can be read"
        )),
        _ => {}
    }
}

async fn check_mail(config: &Config, findings: &mut Findings) {
    let Some(server) = &config.mail.smtp else {
        return findings.advise(format!(
            "mail: no --smtp-url is given, so mail is written to files in {}/mail and reaches nobody",
            config.storage.data_dir.display()
        ));
    };
    let checked = match Transport::new(&config.mail, &config.storage.data_dir) {
        Ok(transport) => transport.check().await,
        Err(error) => Err(error),
    };
    match checked {
        Ok(()) => findings.ok(format!(
            "mail: {server} answers and takes our sign-in; nothing was sent"
        )),
        Err(error) => findings.wrong(format!("mail: {server}: {error}")),
    }
}

async fn check_audit(keys: &KeyConfig, store: &Store, findings: &mut Findings) {
    let checkpoints = match Checkpoints::open(keys) {
        Ok(checkpoints) => checkpoints,
        Err(error) => return findings.wrong(format!("audit: {error}")),
    };
    match checkpoints.stranger_to_any(store).await {
        Ok(None) => findings.ok(format!(
            "audit: checkpoints are signed and appended to {}",
            keys.checkpoints.path.display()
        )),
        Ok(Some(stranger)) => findings.wrong(format!("audit: {stranger}")),
        Err(error) => findings.wrong(format!("audit: {error}")),
    }
    for earlier in checkpoints.earlier_keys() {
        findings.advise(format!(
            "audit: audit.pub also vouches for all that {earlier} has signed; take its line out unless it is a lost key of yours"
        ));
    }
}

/// Keys lie in what a kill has left, and nobody looks there.
fn check_left(keys: &KeyConfig, findings: &mut Findings) {
    let master = match &keys.master {
        MasterKeySource::File(file) => key_file::left_beside(&file.path),
        _ => Vec::new(),
    };
    for left in master.iter().chain(&key_file::left_beside(&keys.audit.path)) {
        findings.advise(format!(
            "keys: {} is left of a process that was killed while it wrote keys, and may hold one; remove it unless a \
             command is about to write keys",
            left.display()
        ));
    }
}

/// Whoever can rewrite the database must not be able to rewrite its proof.
fn advise_to_move(config: &Config, findings: &mut Findings) {
    let here: Vec<_> = [
        ("the audit key", &config.keys.audit),
        ("the checkpoint file", &config.keys.checkpoints),
    ]
    .into_iter()
    .filter(|(_, file)| file.path.parent() == Some(config.storage.data_dir.as_path()))
    .map(|(what, file)| format!("{what} {}", file.path.display()))
    .collect();
    if here.is_empty() {
        return;
    }
    findings.advise(format!(
        "audit: in the data directory lies {}; whoever may rewrite the log there may rewrite its proof. Move it to where \
         only the server writes (/var/lib/sendpromptly-keys, with the Debian package), name it by --audit-key-file or --checkpoint-file, and keep a copy of audit.pub",
        here.join(" and ")
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_further_apart_than_a_ready_server_bears_are_found_wrong() {
        let found = |millis| {
            let mut findings = Findings::default();
            tell_skew(Duration::from_millis(millis), &mut findings);
            findings.0.remove(0)
        };
        assert_eq!(found(2_000).0, Weight::Ok);
        let (weight, what) = found(2_001);
        assert_eq!(weight, Weight::Wrong);
        assert!(what.contains("2001 ms apart"), "{what}");
    }
}
