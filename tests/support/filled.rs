//! A store with a row in every table and something in every column, and its rows as text, to be compared.

use std::collections::{BTreeMap, BTreeSet};

use crate::endpoint::{Endpoint, Reply};
use crate::person::Person;
use crate::provider::{STRIPE_SECRET, set_secret};
use crate::server::Options;
use crate::sql::Sql;
use crate::store::{StoreKind, TestStore};
use crate::world::World;

/// What an endpoint has answered, and the server keeps sealed by the day.
pub const ANSWER: &str = "answered-in-full";

/// The rows of each table, each as one text over the columns that are named.
pub type Content = BTreeMap<String, (Vec<String>, BTreeSet<String>)>;

/// What the owner of a filled store knows.
#[derive(Debug)]
pub struct Filled {
    /// The store, whose server has stopped.
    pub world: World,
    /// The owner, with an authenticator app.
    pub owner: Person,
    /// A receipt's Idempotency-Key, its body, and what was answered.
    pub receipt: (String, serde_json::Value, String),
    /// An incident that was repaired once, without effect.
    pub incident: String,
}

impl Filled {
    /// Fills a store by use as far as may be, and the tables that are still empty by hand.
    pub async fn store(store: TestStore) -> Self {
        let endpoint = Endpoint::start(|_, _| Reply::Text(400, ANSWER)).await;
        let options = Options::quick();
        let mut world = World::start_on(store, &options, &["--repair-url", &endpoint.url()]).await;
        let owner = Person::set_up(&world).await;
        let body = crate::bodies::receipt("evt_known");
        let answer = world.api().receipt("key-known", &body).await;
        assert_eq!(answer.status, 202, "{}", answer.text());
        let project = &world.project.id;
        let set = set_secret(&world.cli, project, "stripe", STRIPE_SECRET, &[]).await;
        assert_eq!(set.code, 0, "{}", set.stderr);
        let map = ["intake", "map", "--project", project, "--provider", "stripe"];
        let mapped = world
            .cli
            .run_with_input(&map, "invoice.paid credit_grant\n")
            .await;
        assert_eq!(mapped.code, 0, "{}", mapped.stderr);
        let (_, incident) = world.api().new_incident().await;
        world.cli.reprocess(&incident).await;
        world.replay_becomes(&incident, "halted").await;
        let (status, _) = world.server.stop().await;
        assert!(status.success());
        let sql = world.sql().await;
        for table in tables(&sql, world.store.kind()).await {
            if sql.rows(&table).await == 0 {
                fill(&sql, world.store.kind(), &table).await;
            }
        }
        sql.close().await;
        Self {
            receipt: ("key-known".to_owned(), body, answer.text()),
            world,
            owner,
            incident,
        }
    }
}

/// The tables of a store, but for the one that notes the steps of the schema.
pub async fn tables(sql: &Sql, kind: StoreKind) -> Vec<String> {
    let query = match kind {
        StoreKind::Sqlite => {
            "SELECT name AS t FROM sqlite_master
             WHERE type = 'table' AND name NOT IN ('seaql_migrations', 'sqlite_sequence') ORDER BY name"
        }
        StoreKind::Postgres => {
            "SELECT tablename::text AS t FROM pg_tables
             WHERE schemaname = 'public' AND tablename <> 'seaql_migrations' ORDER BY tablename"
        }
    };
    sql.texts(query).await
}

/// Everything that a store holds.
pub async fn content(sql: &Sql, kind: StoreKind) -> Content {
    let mut content = Content::new();
    for table in tables(sql, kind).await {
        let columns = columns(sql, kind, &table).await.into_iter().map(|(name, _)| name);
        let columns: Vec<_> = columns.collect();
        let rows = rows(sql, kind, &table, &columns).await;
        content.insert(table, (columns, rows));
    }
    content
}

/// The rows of a table over these columns.
pub async fn rows(sql: &Sql, kind: StoreKind, table: &str, columns: &[String]) -> BTreeSet<String> {
    let texts: Vec<_> = columns
        .iter()
        .map(|column| match kind {
            StoreKind::Sqlite => format!("quote({column})"),
            StoreKind::Postgres => format!("coalesce({column}::text, 'NULL')"),
        })
        .collect();
    let rows = sql
        .texts(&format!("SELECT {} AS t FROM {table}", texts.join(" || '|' || ")))
        .await;
    rows.into_iter().collect()
}

/// A table's columns, each with its type.
async fn columns(sql: &Sql, kind: StoreKind, table: &str) -> Vec<(String, String)> {
    let query = match kind {
        StoreKind::Sqlite => format!("SELECT name || ' ' || type AS t FROM pragma_table_info('{table}')"),
        StoreKind::Postgres => format!(
            "SELECT column_name || ' ' || data_type AS t FROM information_schema.columns
             WHERE table_schema = 'public' AND table_name = '{table}' ORDER BY ordinal_position"
        ),
    };
    let columns = sql.texts(&query).await;
    let split = |column: String| {
        let (name, kind) = column.split_once(' ').unwrap();
        (name.to_owned(), kind.to_owned())
    };
    columns.into_iter().map(split).collect()
}

/// The columns that refer to another table, each with a query that gives something to refer to.
async fn references(sql: &Sql, kind: StoreKind, table: &str) -> BTreeMap<String, String> {
    let query = match kind {
        StoreKind::Sqlite => format!(
            "SELECT \"from\" || ' ' || \"table\" || ' ' || \"to\" AS t FROM pragma_foreign_key_list('{table}')"
        ),
        StoreKind::Postgres => format!(
            "SELECT a.attname || ' ' || c.confrelid::regclass::text || ' ' || f.attname AS t
             FROM pg_constraint c
             JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
             JOIN pg_attribute f ON f.attrelid = c.confrelid AND f.attnum = c.confkey[1]
             WHERE c.contype = 'f' AND c.conrelid = '{table}'::regclass"
        ),
    };
    let found = sql.texts(&query).await;
    let query = |reference: &String| {
        let words: Vec<_> = reference.split(' ').collect();
        let query = format!("(SELECT {} FROM {} LIMIT 1)", words[2], words[1]);
        (words[0].to_owned(), query)
    };
    found.iter().map(query).collect()
}

/// Puts a row into a table, with something in every column.
async fn fill(sql: &Sql, kind: StoreKind, table: &str) {
    let references = references(sql, kind, table).await;
    let columns = columns(sql, kind, table).await;
    let values: Vec<_> = columns
        .iter()
        .map(|(name, column)| match references.get(name) {
            Some(query) => query.clone(),
            None => something(sql, column),
        })
        .collect();
    let names: Vec<_> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let insert = format!(
        "INSERT INTO {table} ({}) VALUES ({})",
        names.join(", "),
        values.join(", ")
    );
    let filled = sql.try_run(&insert).await;
    assert_eq!(filled, Ok(1), "{insert}");
}

/// A value of a column's type.
fn something(sql: &Sql, column: &str) -> String {
    match column.to_ascii_lowercase().as_str() {
        "uuid" => sql.id(&format!("any_{}", "5a".repeat(16))),
        "blob" | "bytea" => sql.bytes(&"5a".repeat(16)),
        "integer" | "bigint" => "1".to_owned(),
        "text" => "'filled'".to_owned(),
        other => panic!("nothing is known of the type {other}"),
    }
}
