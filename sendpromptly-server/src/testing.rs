//! Where the tests of stores and workers begin: a store of its own with one project. It is a SQLite file, or,
//! where `SENDPROMPTLY_TEST_POSTGRES` names a PostgreSQL server's database, a new database beside that one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sea_orm::{ConnectionTrait, Database};
use sendpromptly_core::audit::{Actor, Origin};
use sendpromptly_core::case::EffectReport;
use sendpromptly_core::credential::ApiKey;
use sendpromptly_core::dedupe;
use sendpromptly_core::event::{EffectType, Provider};
use sendpromptly_core::id::{EventId, IncidentId, KeyId, OrganizationId, ProjectId, ReplayId, UserId};
use sendpromptly_core::replay::{Effect, RetrySchedule};
use sendpromptly_core::time::Timestamp;

use crate::account::password::Password;
use crate::checkpoints::Checkpoints;
use crate::config::KeyConfig;
use crate::config::keys::{KeyFile, MasterKeySource};
use crate::operate::{Desk, OperateError, Reprocess};
use crate::platform::entropy;
use crate::retention::{self, Keeper};
use crate::store::api_keys::NewKey;
use crate::store::cases::{CaseChanges, StoredCase};
use crate::store::claims::Claim;
use crate::store::incidents::IncidentRecord;
use crate::store::old_rows::OldRows;
use crate::store::receipts::{self, FirstReceipt, NewEvent};
use crate::store::rows::Sql;
use crate::store::scope::OrganizationScope;
use crate::store::{DatabaseUrl, Store, StoreRole};
use crate::workers;

mod aged;
mod alerts;
pub(crate) mod console;
pub(crate) mod estate;
mod payloads;

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

/// What an event is about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sale<'a> {
    pub(crate) provider: Provider,
    pub(crate) effect_type: EffectType,
    pub(crate) reference: &'a str,
}

const SALE: Sale<'static> = Sale {
    provider: Provider::Stripe,
    effect_type: EffectType::AccessUnlock,
    reference: "customer-7",
};

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

    /// Stores a receipt of [`NOW`].
    pub(crate) async fn receive(&self, provider_event_id: &str) -> EventId {
        self.receive_for(self.project, provider_event_id).await
    }

    pub(crate) async fn receive_for(&self, project: ProjectId, provider_event_id: &str) -> EventId {
        self.receive_sale(project, provider_event_id, &SALE).await
    }

    /// Stores a receipt of [`NOW`] for such an event.
    pub(crate) async fn receive_sale(
        &self,
        project: ProjectId,
        provider_event_id: &str,
        sale: &Sale<'_>,
    ) -> EventId {
        self.receive_sale_at(project, provider_event_id, sale, NOW).await
    }

    async fn receive_sale_at(
        &self,
        project: ProjectId,
        provider_event_id: &str,
        sale: &Sale<'_>,
        at: Timestamp,
    ) -> EventId {
        let id = EventId::new(at, entropy::for_id());
        let event = NewEvent {
            name: (project, dedupe::digest(provider_event_id), sale.provider),
            id,
            timeout_at: at.plus(TIMEOUT),
            receipt: FirstReceipt {
                event_type: "invoice.paid".to_owned(),
                effect_type: sale.effect_type,
                internal_reference: sale.reference.to_owned(),
            },
            provider_event_id,
            shop_domain: None,
            occurred_at: at,
            received_at: at,
            differs: None,
        };
        self.store
            .commit_together(vec![receipts::insert(&[event])])
            .await
            .unwrap();
        id
    }

    /// Takes a result, as the app sends it.
    pub(crate) async fn report(
        &self,
        event: EventId,
        effect: Effect,
        replay: Option<ReplayId>,
        at: Timestamp,
    ) {
        self.report_for(self.project, event, effect, replay, at).await;
    }

    pub(crate) async fn report_for(
        &self,
        project: ProjectId,
        event: EventId,
        effect: Effect,
        replay_id: Option<ReplayId>,
        at: Timestamp,
    ) {
        let tx = self.store.begin().await.unwrap();
        let keys = BTreeSet::from([(project, event)]);
        let stored = self
            .store
            .lock_cases(&tx, &keys)
            .await
            .unwrap()
            .remove(&(project, event));
        let stored = stored.unwrap();
        let report = EffectReport { effect, replay_id };
        let incident = IncidentId::new(at, entropy::for_id());
        let origin = Origin::system("test");
        let decision = stored
            .case
            .clone()
            .receive_result(report, incident, &origin, at)
            .unwrap();
        let mut changes = CaseChanges::default();
        changes.take(&stored, self.organization, decision, at);
        self.store
            .write_cases(&tx, &changes.into_vec(), Vec::new())
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }

    /// An event whose effect failed, with its incident.
    pub(crate) async fn failed_event(&self, provider_event_id: &str) -> (EventId, IncidentId) {
        self.failed_event_of(self.project, provider_event_id).await
    }

    pub(crate) async fn failed_event_of(
        &self,
        project: ProjectId,
        provider_event_id: &str,
    ) -> (EventId, IncidentId) {
        self.failed_event_at(project, provider_event_id, NOW).await
    }

    pub(crate) async fn failed_event_at(
        &self,
        project: ProjectId,
        provider_event_id: &str,
        at: Timestamp,
    ) -> (EventId, IncidentId) {
        let event = self.receive_sale_at(project, provider_event_id, &SALE, at).await;
        self.report_for(project, event, Effect::Failed, None, at).await;
        let incident = self.store.incident_of_event(project, event).await.unwrap();
        (event, incident.unwrap().incident.id)
    }

    /// Orders so many replays, of an event each, due at once.
    pub(crate) async fn queue(&self, project: ProjectId, count: usize) -> Vec<(EventId, ReplayId)> {
        let mut queued = Vec::new();
        for number in 0..count {
            let (event, incident) = self.failed_event_of(project, &format!("evt_{number}")).await;
            let replay = self.reprocess_of(project, incident, None, false, NOW).await;
            queued.push((event, replay.unwrap()));
        }
        queued
    }

    /// Orders a reprocess.
    pub(crate) async fn reprocess(
        &self,
        incident: IncidentId,
        key: Option<&str>,
    ) -> Result<ReplayId, OperateError> {
        self.reprocess_of(self.project, incident, key, false, NOW).await
    }

    pub(crate) async fn reprocess_of(
        &self,
        project: ProjectId,
        incident: IncidentId,
        key: Option<&str>,
        again: bool,
        now: Timestamp,
    ) -> Result<ReplayId, OperateError> {
        let (origin, schedule) = (operator(), RetrySchedule::default());
        let desk = Desk {
            store: &self.store,
            project,
            incident,
            origin: &origin,
            now,
        };
        let order = Reprocess {
            key,
            again,
            schedule: &schedule,
        };
        desk.reprocess(&order).await
    }

    /// Claims what is due in the project.
    pub(crate) async fn claim(&self, now: Timestamp) -> Vec<Claim> {
        claim_on(&self.store, now).await
    }

    /// An event's case.
    pub(crate) async fn case(&self, event: EventId) -> StoredCase {
        let tx = self.store.begin().await.unwrap();
        let key = (self.project, event);
        let found = self.store.lock_cases(&tx, &BTreeSet::from([key])).await;
        tx.rollback().await.unwrap();
        found.unwrap().remove(&key).unwrap()
    }

    pub(crate) async fn incident(&self, id: IncidentId) -> IncidentRecord {
        self.store.incident(self.project, id).await.unwrap().unwrap()
    }

    /// How an attempt is recorded: its outcome, and whether it has ended.
    pub(crate) async fn attempt_outcome(&self, claim: &Claim) -> Option<String> {
        let query =
            Sql::new("SELECT outcome FROM attempts WHERE project_id = {} AND replay_id = {} AND number = {}");
        let row = query
            .bind(claim.attempt.project.as_bytes())
            .bind(claim.attempt.replay.as_bytes())
            .bind(i64::from(claim.attempt.number))
            .one(self.store.reader())
            .await
            .unwrap();
        crate::store::rows::get(&row.unwrap(), "outcome").unwrap()
    }
}

/// Claims what is due, in every project, on this node.
pub(crate) async fn claim_on(store: &Store, now: Timestamp) -> Vec<Claim> {
    let first = ProjectId::from_bytes([0; 16]);
    let projects = store.projects_to_call(first, now, 64).await.unwrap();
    store.claim_calls(&projects, workers::SLOTS, now).await.unwrap()
}

/// Who gives orders in the tests.
pub(crate) fn operator() -> Origin {
    Origin {
        actor: Actor::Cli("ada".to_owned()),
        address: None,
    }
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
