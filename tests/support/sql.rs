//! A look into the database, and the one place where a test reaches into it.
//!
//! Time-outs are whole minutes. A test does not wait for one: it moves the stored times into the past, and
//! the server then finds the event due as it would have later.

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};

/// A connection beside the server's.
#[derive(Debug)]
pub struct Sql(DatabaseConnection);

impl Sql {
    /// Connects to `sqlite://…` or `postgres://…`.
    pub async fn connect(url: &str) -> Self {
        let mut options = ConnectOptions::new(url);
        options
            .max_connections(1)
            .sqlx_logging(false)
            // Checkpoints are the server's business.
            .map_sqlx_sqlite_opts(|options| options.pragma("wal_autocheckpoint", "0"));
        Self(Database::connect(options).await.unwrap())
    }

    /// Runs a statement; gives the number of rows that it changed.
    pub async fn run(&self, sql: &str) -> u64 {
        self.0.execute_unprepared(sql).await.unwrap().rows_affected()
    }

    /// Runs a statement that may be refused.
    ///
    /// # Errors
    /// The database's own words.
    pub async fn try_run(&self, sql: &str) -> Result<u64, String> {
        let done = self.0.execute_unprepared(sql).await;
        done.map(|done| done.rows_affected())
            .map_err(|error| error.to_string())
    }

    /// The number that a `SELECT count(*) AS n …` gives.
    pub async fn count(&self, sql: &str) -> i64 {
        self.find(sql).await.expect("a number")
    }

    /// The number that a `SELECT … AS n …` gives; `None` where there is no row, or nothing in it.
    pub async fn find(&self, sql: &str) -> Option<i64> {
        let statement = Statement::from_string(self.backend(), sql);
        let row = self.0.query_one_raw(statement).await.unwrap()?;
        row.try_get("", "n").unwrap()
    }

    /// The texts that a `SELECT … AS t …` gives, one a row.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        let statement = Statement::from_string(self.backend(), sql);
        let rows = self.0.query_all_raw(statement).await.unwrap();
        rows.iter().map(|row| row.try_get("", "t").unwrap()).collect()
    }

    /// How many rows a table holds.
    pub async fn rows(&self, table: &str) -> i64 {
        self.count(&format!("SELECT count(*) AS n FROM {table}")).await
    }

    /// An id of the wire, such as `evt_0190…`, as SQL knows it.
    #[must_use]
    pub fn id(&self, wire: &str) -> String {
        let (_, hex) = wire.split_once('_').unwrap();
        match self.backend() {
            DbBackend::Sqlite => format!("x'{hex}'"),
            _ => format!("'{hex}'::uuid"),
        }
    }

    /// An id column as the hex digits of the wire.
    #[must_use]
    pub fn hex(&self, column: &str) -> String {
        match self.backend() {
            DbBackend::Sqlite => format!("lower(hex({column}))"),
            _ => format!("replace({column}::text, '-', '')"),
        }
    }

    /// A column of bytes as hex digits.
    #[must_use]
    pub fn hex_of_bytes(&self, column: &str) -> String {
        match self.backend() {
            DbBackend::Sqlite => format!("lower(hex({column}))"),
            _ => format!("encode({column}, 'hex')"),
        }
    }

    /// Bytes, given as hex digits, as SQL writes them.
    #[must_use]
    pub fn bytes(&self, hex: &str) -> String {
        match self.backend() {
            DbBackend::Sqlite => format!("x'{hex}'"),
            _ => format!("'\\x{hex}'::bytea"),
        }
    }

    /// Takes away what guards the audit log, as whoever owns the database can.
    pub async fn drop_audit_guards(&self) {
        let drops: &[&str] = match self.backend() {
            DbBackend::Sqlite => &[
                "DROP TRIGGER audit_entries_no_update",
                "DROP TRIGGER audit_entries_no_delete",
                "DROP TRIGGER audit_entries_no_replace",
            ],
            _ => &["DROP FUNCTION audit_entries_guard CASCADE"],
        };
        for drop in drops {
            self.run(drop).await;
        }
    }

    /// Puts an event's time-out into the past.
    pub async fn make_overdue(&self, event_id: &str) {
        let id = self.id(event_id);
        let moved = self
            .run(&format!(
                "UPDATE events SET timeout_at = 1000, sweep_at = 1000 WHERE id = {id}"
            ))
            .await;
        assert_eq!(moved, 1, "no event {event_id}");
    }

    /// Puts the time by which a delivered replay's result must come into the past.
    pub async fn make_answer_overdue(&self, replay_id: &str) {
        let id = self.id(replay_id);
        let moved = self
            .run(&format!(
                "UPDATE replays SET answer_due_at = 1000 WHERE id = {id} AND answer_due_at IS NOT NULL"
            ))
            .await;
        assert_eq!(moved, 1, "{replay_id} waits for no answer");
    }

    /// Lets the lease of a replay's call under way run out: as though the node that makes it had been gone for
    /// as long.
    pub async fn let_lease_run_out(&self, replay_id: &str) {
        let id = self.id(replay_id);
        let moved = self
            .run(&format!(
                "UPDATE attempts SET started_at = 1000 WHERE replay_id = {id} AND ended_at IS NULL"
            ))
            .await;
        assert_eq!(moved, 1, "no call of {replay_id} is under way");
    }

    /// Makes every remembered answer a day older.
    pub async fn age_idempotency_keys_by_a_day(&self) {
        self.run("UPDATE idempotency SET created_at = created_at - 86400001")
            .await;
    }

    /// Makes an event so many days old, with all that names it; gives the id that it then has, for an id begins with
    /// its time.
    pub async fn make_old(&self, event_id: &str, days: u64) -> String {
        const DAY_MS: u128 = 24 * 60 * 60 * 1_000;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let then = now.unwrap().as_millis() - u128::from(days) * DAY_MS;
        let (prefix, hex) = event_id.split_once('_').unwrap();
        let old = format!("{prefix}_{then:012x}{}", &hex[12..]);
        for (table, column) in [
            ("events", "id"),
            ("results", "event_id"),
            ("incidents", "event_id"),
            ("replays", "event_id"),
        ] {
            let (before, after) = (self.id(event_id), self.id(&old));
            self.run(&format!(
                "UPDATE {table} SET {column} = {after} WHERE {column} = {before}"
            ))
            .await;
        }
        old
    }

    /// Ends the connection.
    pub async fn close(self) {
        self.0.close().await.unwrap();
    }

    fn backend(&self) -> DbBackend {
        self.0.get_database_backend()
    }
}
