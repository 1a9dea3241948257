//! Stores that an earlier version has made, kept as text in `tests/fixtures/stores`, with their keys and with what
//! their owner knows.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::command::Project;
use crate::filled::{Filled, tables};
use crate::signature::hex;
use crate::sql::Sql;
use crate::store::{StoreKind, TestStore};

const KEYS: [&str; 4] = ["master.key", "audit.key", "audit.pub", "audit.checkpoints"];

/// A store of an earlier version, and what its owner knows.
#[derive(Debug)]
pub struct Fixture {
    /// Its name: the last step of its schema, and the kind of database.
    pub name: String,
    /// The store.
    pub store: TestStore,
    /// Its organization.
    pub organization: String,
    /// Its project.
    pub project: Project,
    /// An incident that is open, and its event.
    pub incident: String,
    /// The secret in its owner's authenticator app.
    pub owner_secret: String,
}

impl Fixture {
    /// Every one there is of this kind, each in a store of its own.
    pub async fn all(kind: StoreKind) -> Vec<Self> {
        let mut names: Vec<_> = fs::read_dir(folder())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(ending(kind)))
            .collect();
        names.sort();
        assert!(!names.is_empty(), "no fixture for {kind:?}");
        let mut all = Vec::new();
        for name in names {
            all.push(Self::load(kind, name).await);
        }
        all
    }

    async fn load(kind: StoreKind, name: String) -> Self {
        let folder = folder().join(&name);
        let store = TestStore::new(kind).await;
        let data = store.data_dir();
        fs::DirBuilder::new().mode(0o700).create(&data).unwrap();
        for file in KEYS {
            fs::copy(folder.join(file), data.join(file)).unwrap();
            fs::set_permissions(data.join(file), fs::Permissions::from_mode(0o600)).unwrap();
        }
        let url = match kind {
            StoreKind::Sqlite => format!("{}?mode=rwc", store.url()),
            StoreKind::Postgres => store.url().to_owned(),
        };
        let sql = Sql::connect(&url).await;
        sql.run(&fs::read_to_string(folder.join("store.sql")).unwrap())
            .await;
        sql.close().await;
        let known = fs::read_to_string(folder.join("known.json")).unwrap();
        let known: Value = serde_json::from_str(&known).unwrap();
        let text = |name: &str| known[name].as_str().unwrap().to_owned();
        Self {
            name,
            store,
            organization: text("organization"),
            project: Project {
                id: text("project"),
                api_key: text("api_key"),
                signing_secret: text("signing_secret"),
            },
            incident: text("incident"),
            owner_secret: text("owner_secret"),
        }
    }

    /// Writes down a store as the program under test has made it.
    pub async fn write(filled: &Filled) {
        let world = &filled.world;
        let (kind, sql) = (world.store.kind(), world.sql().await);
        let steps = steps_of(&sql).await;
        let step = steps.last().unwrap().split('_').next().unwrap();
        let folder = folder().join(format!("{step}{}", ending(kind)));
        fs::create_dir_all(&folder).unwrap();
        for file in KEYS {
            fs::copy(world.store.data_dir().join(file), folder.join(file)).unwrap();
        }
        let text = match kind {
            StoreKind::Sqlite => sqlite_as_text(&sql).await,
            StoreKind::Postgres => postgres_as_text(world.store.url()),
        };
        fs::write(folder.join("store.sql"), text).unwrap();
        let known = json!({
            "organization": world.organization,
            "project": world.project.id,
            "api_key": world.project.api_key,
            "signing_secret": world.project.signing_secret,
            "incident": filled.incident,
            "owner_secret": filled.owner.secret,
        });
        let known = serde_json::to_string_pretty(&known).unwrap() + "\n";
        fs::write(folder.join("known.json"), known).unwrap();
        freeze(&steps);
    }
}

/// Where they lie.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/stores")
}

/// The steps that stand in a fixture, each with the SHA-256 of its source.
#[must_use]
pub fn frozen() -> Vec<(String, String)> {
    let text = fs::read_to_string(folder().join("steps.sha256")).unwrap_or_default();
    let line = |line: &str| {
        let (sum, step) = line.split_once("  ").unwrap();
        (step.to_owned(), sum.to_owned())
    };
    text.lines().map(line).collect()
}

/// The SHA-256 of a step's source.
#[must_use]
pub fn sum_of_step(step: &str) -> String {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../sendpromptly-server/src/store/migrations")
        .join(step)
        .with_extension("rs");
    let source = fs::read(&source).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
    hex(&Sha256::digest(source))
}

/// The steps of a store's schema.
pub async fn steps_of(sql: &Sql) -> Vec<String> {
    sql.texts("SELECT version AS t FROM seaql_migrations ORDER BY version")
        .await
}

/// Notes the steps that were not noted yet. One that was stays as it was.
fn freeze(steps: &[String]) {
    let mut lines = frozen();
    for step in steps {
        if lines.iter().all(|(known, _)| known != step) {
            lines.push((step.clone(), sum_of_step(step)));
        }
    }
    let text: String = lines
        .iter()
        .map(|(step, sum)| format!("{sum}  {step}\n"))
        .collect();
    fs::write(folder().join("steps.sha256"), text).unwrap();
}

const fn ending(kind: StoreKind) -> &'static str {
    match kind {
        StoreKind::Sqlite => "-sqlite",
        StoreKind::Postgres => "-postgres",
    }
}

async fn sqlite_as_text(sql: &Sql) -> String {
    let schema = |which: &str| {
        format!(
            "SELECT sql || ';' AS t FROM sqlite_master
             WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%' AND type {which} 'table' ORDER BY rowid"
        )
    };
    let mut text = String::from("PRAGMA foreign_keys = OFF;\nBEGIN;\n");
    let mut add = |lines: Vec<String>| {
        for line in lines {
            let _ = writeln!(text, "{line}");
        }
    };
    add(sql.texts(&schema("=")).await);
    let mut names = tables(sql, StoreKind::Sqlite).await;
    names.push("seaql_migrations".to_owned());
    for table in names {
        let columns = format!("SELECT name AS t FROM pragma_table_info('{table}')");
        let columns = sql.texts(&columns).await;
        let values: Vec<_> = columns.iter().map(|column| format!("quote({column})")).collect();
        let inserts = format!(
            "SELECT 'INSERT INTO {table} ({}) VALUES (' || {} || ');' AS t FROM {table}",
            columns.join(", "),
            values.join(" || ', ' || ")
        );
        add(sql.texts(&inserts).await);
    }
    add(sql.texts(&schema("<>")).await);
    text + "COMMIT;\n"
}

/// Without what only `psql` understands.
fn postgres_as_text(url: &str) -> String {
    let dumped = Command::new("pg_dump")
        .args(["--inserts", "--no-owner", "--no-privileges", "--dbname", url])
        .output()
        .unwrap();
    assert!(dumped.status.success(), "{dumped:?}");
    let dumped = String::from_utf8(dumped.stdout).unwrap();
    let kept = dumped
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with("--") && !line.starts_with('\\'));
    kept.map(|line| format!("{line}\n")).collect()
}
