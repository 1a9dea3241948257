//! Backups that earlier versions have made come back, and are brought up to date. They are written here as
//! `docs/data.md` tells their form.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use sendpromptly_tests::api::Api;
use sendpromptly_tests::bodies::{receipt, unique};
use sendpromptly_tests::filled::{content, rows};
use sendpromptly_tests::fixture::{Fixture, steps_of};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::server::{Options, Server};
use sendpromptly_tests::sql::Sql;
use sendpromptly_tests::store::StoreKind;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Target;

on_both_stores!(a_backup_of_every_earlier_version_comes_back_with_every_row_and_is_served);

/// Tables to which a restore adds what it tells of itself, or whose rows it brings up to date, ends or voids.
const CHANGED: [&str; 5] = [
    "audit_details",
    "audit_entries",
    "audit_heads",
    "links",
    "sessions",
];

async fn a_backup_of_every_earlier_version_comes_back_with_every_row_and_is_served(kind: StoreKind) {
    for fixture in Fixture::all(kind).await {
        let name = &fixture.name;
        let before = content(&fixture.store.sql().await, kind).await;
        let file = fixture.store.directory().join("earlier.backup");
        write(&fixture, kind, &file).await;
        let target = Target::without_keys(kind).await;
        for key in ["master.key", "audit.key", "audit.pub", "audit.checkpoints"] {
            fs::copy(
                fixture.store.data_dir().join(key),
                target.store.data_dir().join(key),
            )
            .unwrap();
        }
        let restored = target.cli.run(&["restore", file.to_str().unwrap()]).await;
        assert_eq!(restored.code, 0, "{name}: {restored:?}");
        assert_eq!(restored.json()["day_keys_lost"], 0, "{name}");
        let sql = target.store.sql().await;
        for (table, (columns, rows_before)) in &before {
            if !CHANGED.contains(&table.as_str()) {
                assert_eq!(
                    &rows(&sql, kind, table, columns).await,
                    rows_before,
                    "{name}: {table}"
                );
            }
        }
        sql.close().await;
        let verified = target.cli.run(&["audit", "verify"]).await;
        assert_eq!(verified.code, 0, "{name}: {verified:?}");
        let server = Server::start(&target.store, &Options::quick()).await;
        let api = Api {
            server: server.address,
            key: fixture.project.api_key.clone(),
        };
        let answer = api.receipt(&unique("key"), &receipt(&unique("evt"))).await;
        assert_eq!(answer.status, 202, "{name}: {}", answer.text());
    }
}

/// Writes the two files of a fixture's backup.
async fn write(fixture: &Fixture, kind: StoreKind, file: &Path) {
    let sql = fixture.store.sql().await;
    let (lasting, by_days) = (keys(&sql, "day = 0").await, keys(&sql, "day > 0").await);
    let mut header = json!({
        "backup": "00112233445566778899aabbccddeeff",
        "store": match kind { StoreKind::Sqlite => "sqlite", StoreKind::Postgres => "postgres" },
        "made_at": "2026-01-31T00:00:00.000Z",
        "program": "0.0.1",
        "schema": steps_of(&sql).await,
        "day_keys": by_days.lines().count(),
    });
    let copy = file.with_extension("content");
    match kind {
        StoreKind::Sqlite => {
            sql.run(&format!("VACUUM INTO '{}'", copy.display())).await;
            let copied = Sql::connect(&format!("sqlite://{}", copy.display())).await;
            copied.run("DELETE FROM data_keys").await;
            copied.close().await;
        }
        StoreKind::Postgres => {
            header["postgres"] = json!({"schema": "public", "dumped_by": version_of_pg_dump()});
            dump(fixture.store.url(), &copy);
        }
    }
    sql.close().await;
    let content = fs::read(copy).unwrap();
    fs::write(file, pack("SendPromptly backup v1", &header, &lasting, &content)).unwrap();
    let keys_file = file.with_extension("backup.keys");
    fs::write(
        keys_file,
        pack("SendPromptly backup keys v1", &header, &by_days, b""),
    )
    .unwrap();
}

fn pack(first: &str, header: &Value, keys: &str, content: &[u8]) -> Vec<u8> {
    let header = header.to_string();
    let mut bytes = format!("{first}\n").into_bytes();
    bytes.extend(u32::try_from(header.len()).unwrap().to_be_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend((keys.len() as u64).to_be_bytes());
    bytes.extend(keys.as_bytes());
    bytes.extend(content);
    let sum = Sha256::digest(&bytes);
    bytes.extend(sum);
    bytes
}

/// Data keys, a line each.
async fn keys(sql: &Sql, which: &str) -> String {
    let fields = [
        sql.hex("id"),
        "scope".to_owned(),
        sql.hex("scope_id"),
        "purpose".to_owned(),
        "CAST(day AS text)".to_owned(),
        "kid".to_owned(),
        sql.hex_of_bytes("wrapped"),
    ];
    let query = format!(
        "SELECT {} AS t FROM data_keys WHERE {which} ORDER BY id",
        fields.join(" || '|' || ")
    );
    let mut lines = String::new();
    for row in sql.texts(&query).await {
        let [id, scope, scope_id, purpose, day, kid, wrapped] =
            row.split('|').collect::<Vec<_>>().try_into().unwrap();
        let key = json!({
            "id": id, "scope": scope, "scope_id": scope_id, "purpose": purpose,
            "day": day.parse::<i64>().unwrap(), "kid": kid, "wrapped": wrapped,
        });
        let _ = writeln!(lines, "{key}");
    }
    lines
}

fn version_of_pg_dump() -> u32 {
    let said = Command::new("pg_dump").arg("--version").output().unwrap().stdout;
    let said = String::from_utf8(said).unwrap();
    let major = said
        .split_whitespace()
        .find_map(|word| word.split('.').next()?.parse().ok());
    major.unwrap_or_else(|| panic!("{said}"))
}

fn dump(url: &str, to: &Path) {
    let dumped = Command::new("pg_dump")
        .args([
            "--format=custom",
            "--no-owner",
            "--no-privileges",
            "--schema=public",
        ])
        .args(["--exclude-table-data=public.data_keys", "--dbname", url, "--file"])
        .arg(to)
        .output()
        .unwrap();
    assert!(dumped.status.success(), "{dumped:?}");
}
