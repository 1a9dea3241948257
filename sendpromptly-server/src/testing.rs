//! Where the tests of stores and workers begin: a store of its own with one project. It is a SQLite file, or,
//! where `SENDPROMPTLY_TEST_POSTGRES` names a PostgreSQL server's database, a new database beside that one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ConnectionTrait, Database};
use sendpromptly_core::audit::{Actor, Origin};
use sendpromptly_core::credential::ApiKey;
use sendpromptly_core::id::{KeyId, OrganizationId, ProjectId, UserId};
use sendpromptly_core::time::Timestamp;

use crate::account::password::Password;
use crate::checkpoints::Checkpoints;
use crate::config::KeyConfig;
use crate::config::keys::{KeyFile, MasterKeySource};
use crate::platform::entropy;
use crate::retention::{self, Keeper};
use crate::store::api_keys::NewKey;
use crate::store::old_rows::OldRows;
use crate::store::rows::{Column, Kind, Rows, Sql};
use crate::store::scope::OrganizationScope;
use crate::store::sessions::{NewSession, SessionId, SessionToken};
use crate::store::{DatabaseUrl, Dialect, Store, StoreRole};

mod aged;
mod alerts;
pub(crate) mod console;
pub(crate) mod estate;
mod events;
mod payloads;

pub(crate) use events::{Sale, claim_on};

/// When the tests begin.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// The project's timeout.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// The password of every user that the tests make.
pub(crate) const PASSWORD: &str = "nine purple otters skate";

/// A store and its project.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) url: DatabaseUrl,
    pub(crate) organization: OrganizationId,
    pub(crate) project: ProjectId,
    pub(crate) directory: tempfile::TempDir,
}

impl World {
    pub(crate) async fn set_up() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = match std::env::var("SENDPROMPTLY_TEST_POSTGRES") {
            Ok(beside) => new_database(&beside).await,
            Err(_) => DatabaseUrl::Sqlite(directory.path().join("test.db")),
        };
        let store = Store::open(&url, StoreRole::Serve, 8).await.unwrap();
        let world = Self {
            store,
            url,
            organization: OrganizationId::new(NOW, entropy::for_id()),
            project: ProjectId::new(NOW, entropy::for_id()),
            directory,
        };
        let organization =
            Sql::new("INSERT INTO organizations (id, name, created_at) VALUES ({}, 'acme', {})");
        let organization = organization.bind(world.organization.as_bytes()).bind(NOW);
        world.write(organization).await;
        world.add_project(world.project).await;
        world
    }

    /// Makes a user, who belongs to no organization yet.
    pub(crate) async fn add_user(&self, email: &str) -> UserId {
        let password = Password::new(PASSWORD.to_owned().into(), &[]).unwrap();
        let id = UserId::new(NOW, entropy::for_id());
        let user = Sql::new(
            "INSERT INTO users (id, email, email_key, password_hash, created_at) VALUES ({}, {}, {}, {}, {})",
        );
        let user = user
            .bind(id.as_bytes())
            .bind(email)
            .bind(email.to_ascii_lowercase())
            .bind(password.hash().unwrap())
            .bind(NOW);
        self.write(user).await;
        id
    }

    /// Makes an organization without members.
    pub(crate) async fn add_organization(&self, name: &str) -> OrganizationId {
        let id = OrganizationId::new(NOW, entropy::for_id());
        let organization = Sql::new("INSERT INTO organizations (id, name, created_at) VALUES ({}, {}, {})");
        self.write(organization.bind(id.as_bytes()).bind(name).bind(NOW))
            .await;
        id
    }

    /// Makes a user a member of an organization.
    pub(crate) async fn add_member(&self, organization: OrganizationId, user: UserId, role: &str) {
        let member = Sql::new(
            "INSERT INTO members (organization_id, user_id, role, created_at) VALUES ({}, {}, {}, {})",
        );
        let member = member
            .bind(organization.as_bytes())
            .bind(user.as_bytes())
            .bind(role)
            .bind(NOW);
        self.write(member).await;
    }

    /// Makes another project, which can be called.
    pub(crate) async fn add_project(&self, id: ProjectId) {
        let project = Sql::new(
            "INSERT INTO projects (id, organization_id, name, mode, repair_url, timeout_minutes, created_at)
             VALUES ({}, {}, 'shop', 'test', 'http://127.0.0.1:9/repair', 30, {})",
        );
        let project = project
            .bind(id.as_bytes())
            .bind(self.organization.as_bytes())
            .bind(NOW);
        self.write(project).await;
    }

    /// Its organization, as a scope.
    pub(crate) const fn scope(&self) -> OrganizationScope {
        OrganizationScope::of_the_command_line(self.organization)
    }

    /// Gives a project of the organization another API key.
    pub(crate) async fn add_key(&self, project: ProjectId) -> ApiKey {
        let key = ApiKey::generate(entropy::bytes());
        let new = NewKey {
            id: KeyId::new(NOW, entropy::for_id()),
            project,
            hash: key.hash(),
            hint: key.hint().to_owned(),
            created_at: NOW,
        };
        let made = self.store.create_key(self.scope(), &new, &operator()).await;
        assert!(made.unwrap());
        key
    }

    /// Where its keys lie.
    pub(crate) fn keys(&self) -> KeyConfig {
        let file = |name| KeyFile {
            path: self.directory.path().join(name),
            named: false,
        };
        KeyConfig {
            master: MasterKeySource::File(file("master.key")),
            audit: file("audit.key"),
            checkpoints: file("audit.checkpoints"),
        }
    }

    /// A second node on the same database; on SQLite, the same one.
    pub(crate) async fn second_node(&self) -> Store {
        match &self.url {
            DatabaseUrl::Sqlite(_) => self.store.clone(),
            url => Store::open(url, StoreRole::Serve, 8).await.unwrap(),
        }
    }

    pub(crate) async fn write(&self, sql: Sql) -> u64 {
        let tx = self.store.begin().await.unwrap();
        let changed = sql.run(&tx).await.unwrap();
        tx.commit().await.unwrap();
        changed
    }

    /// Drops what is old; gives how many rows.
    pub(crate) async fn drop_old(&self, old: OldRows) -> u64 {
        self.store.drop_old(old, 1_000).await.unwrap()
    }

    /// What passes of retention work on.
    pub(crate) fn keeper(&self) -> Keeper {
        let checkpoints = Checkpoints::open(&self.keys()).unwrap();
        Keeper::new(self.store.clone(), Arc::new(checkpoints))
    }

    /// Runs every pass of retention until nothing is left to do; gives how many rows each has dropped.
    pub(crate) async fn retain(&self, now: Timestamp) -> BTreeMap<&'static str, u64> {
        let (keeper, mut dropped) = (self.keeper(), BTreeMap::new());
        for pass in retention::PASSES {
            loop {
                let batch = pass.run(&keeper, now, retention::BATCH).await.unwrap();
                *dropped.entry(pass.name()).or_default() += batch.rows;
                if !batch.more {
                    break;
                }
            }
        }
        dropped
    }

    /// The number that a `SELECT … AS n` gives.
    pub(crate) async fn number(&self, sql: Sql) -> i64 {
        let row = sql.one(self.store.reader()).await.unwrap().unwrap();
        crate::store::rows::get(&row, "n").unwrap()
    }

    /// Pages in SQLite's write-ahead log that are not in the file yet.
    pub(crate) async fn pages_in_log(&self) -> i64 {
        let row = Sql::new("PRAGMA wal_checkpoint(NOOP)")
            .one(self.store.reader())
            .await;
        let row = row.unwrap().unwrap();
        let pages = |column| crate::store::rows::get::<i64>(&row, column).unwrap();
        pages("log") - pages("checkpointed")
    }

    /// Signs a user in, with a password just shown and a code of the second factor at this time.
    pub(crate) async fn begin_session(
        &self,
        user: UserId,
        code_at: Option<Timestamp>,
    ) -> (SessionId, SessionToken) {
        let token = SessionToken::generate();
        let new = NewSession {
            token: &token,
            user,
            complete: true,
            password_at: Some(NOW),
            code_at,
            address: [127, 0, 0, 1].into(),
            agent: "test",
            now: NOW,
        };
        let id = self.store.begin_session(&new).await.unwrap();
        (id, token)
    }

    /// Whether somebody waits for what another transaction holds. SQLite lets nobody else begin to write.
    pub(crate) async fn waits_for_a_lock(&self) -> bool {
        let waiting = "SELECT count(*) AS n FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock'";
        self.store.dialect() == Dialect::Sqlite || self.number(Sql::new(waiting)).await > 0
    }

    /// From now on its store takes no new row of this table.
    pub(crate) async fn refuse_into(&self, table: &str) {
        let on = format!("CREATE TRIGGER refuse BEFORE INSERT ON {table}");
        let statements = match self.store.dialect() {
            Dialect::Sqlite => vec![format!(
                "{on} BEGIN SELECT RAISE(ABORT, 'refused by the test'); END"
            )],
            Dialect::Postgres => vec![
                "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN RAISE EXCEPTION 'refused by the test'; END $$"
                    .to_owned(),
                format!("{on} FOR EACH ROW EXECUTE FUNCTION refuse()"),
            ],
        };
        for statement in statements {
            self.write(Sql::new(statement)).await;
        }
    }

    /// From now on PostgreSQL undoes every other transaction that tells the audit log something, the first one among
    /// them, as it does where two wait for each other. SQLite knows no deadlock.
    pub(crate) async fn undo_every_other_entry(&self) {
        if self.store.dialect() == Dialect::Sqlite {
            return;
        }
        for statement in [
            "CREATE SEQUENCE undone", // it goes on where a transaction is undone
            "CREATE FUNCTION undo() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF nextval('undone') % 2 = 1 THEN RAISE 'undone' USING ERRCODE = 'deadlock_detected'; END IF;
             RETURN NULL; END $$",
            "CREATE TRIGGER undo BEFORE INSERT ON audit_entries FOR EACH STATEMENT EXECUTE FUNCTION undo()",
        ] {
            self.write(Sql::new(statement)).await;
        }
    }
}

/// Who gives orders in the tests.
pub(crate) fn operator() -> Origin {
    Origin {
        actor: Actor::Cli("ada".to_owned()),
        address: None,
    }
}

/// A statement over so many rows that PostgreSQL weighs what it would read: each has an `id`, a `number` long before
/// [`NOW`], and `bytes`.
pub(crate) fn over_many(statement: &str) -> Sql {
    const COLUMNS: &[Column] = &[
        Column::new("id", Kind::Id),
        Column::new("number", Kind::Int),
        Column::new("bytes", Kind::Bytes),
    ];
    let mut rows = Rows::new(COLUMNS);
    for number in 0_i64..3_000 {
        rows.push([
            entropy::ordered_id(NOW).into(),
            number.into(),
            vec![0; 100].into(),
        ]);
    }
    Sql::over(statement, rows)
}

async fn new_database(beside: &str) -> DatabaseUrl {
    let name = format!("test_{:032x}", u128::from_be_bytes(entropy::bytes()));
    let server = Database::connect(beside).await.unwrap();
    server
        .execute_unprepared(&format!("CREATE DATABASE {name}"))
        .await
        .unwrap();
    server.close().await.unwrap();
    let mut url = url::Url::parse(beside).unwrap();
    url.set_path(&name);
    url.as_str().parse().unwrap()
}
