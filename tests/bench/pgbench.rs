//! The yardstick on PostgreSQL: pgbench with 64 clients, one transaction each, on the same server.

use std::path::Path;
use std::process::Command;

use sendpromptly_tests::postgres::Cluster;
use sendpromptly_tests::sql::Sql;

/// How long each run lasts, in seconds.
const SECONDS: &str = "8";

/// A database with the tables that a receipt needs, and scripts that fill them.
#[derive(Debug)]
pub(crate) struct Pgbench {
    url: String,
    scripts: tempfile::TempDir,
}

impl Pgbench {
    pub(crate) async fn new(cluster: &Cluster) -> Self {
        let url = cluster.create_database().await;
        let sql = Sql::connect(&url).await;
        sql.run("CREATE TABLE one (project uuid, id uuid, body text, at bigint, PRIMARY KEY (project, id))")
            .await;
        sql.run("CREATE TABLE two (project uuid, id uuid, body text, at bigint, PRIMARY KEY (project, id))")
            .await;
        sql.close().await;
        let scripts = tempfile::tempdir().unwrap();
        let insert = |table: &str| {
            format!(
                "INSERT INTO {table} VALUES ('00000000-0000-0000-0000-000000000001', gen_random_uuid(), \
                 'checkout.session.completed access_unlock customer_7', 1769851800000) \
                 ON CONFLICT DO NOTHING RETURNING id;\n"
            )
        };
        std::fs::write(scripts.path().join("one"), insert("one")).unwrap();
        let both = format!("BEGIN;\n{}{}COMMIT;\n", insert("one"), insert("two"));
        std::fs::write(scripts.path().join("both"), both).unwrap();
        Self { url, scripts }
    }

    /// One row in one table a transaction: transactions a second.
    pub(crate) fn one_row(&self) -> f64 {
        self.run("one")
    }

    /// A receipt's two rows a transaction: transactions a second.
    pub(crate) fn both_rows(&self) -> f64 {
        self.run("both")
    }

    fn run(&self, script: &str) -> f64 {
        let bin = std::fs::read_dir("/usr/lib/postgresql").unwrap();
        let bin = bin
            .filter_map(Result::ok)
            .map(|entry| entry.path().join("bin/pgbench"));
        let pgbench = bin
            .filter(|path| path.exists())
            .max()
            .unwrap_or_else(|| "pgbench".into());
        let output = Command::new(pgbench)
            .args([
                "--no-vacuum",
                "--protocol=prepared",
                "--client=64",
                "--jobs=2",
                "--time",
                SECONDS,
            ])
            .arg("--file")
            .arg(self.scripts.path().join(Path::new(script)))
            .arg(&self.url)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let tps = said
            .lines()
            .find_map(|line| line.strip_prefix("tps = ")?.split(' ').next()?.parse().ok());
        tps.unwrap_or_else(|| panic!("pgbench says no rate: {output:?}"))
    }
}
