//! Two organizations in one store, each with one of everything, and what a member of one must never see of the other.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sea_orm::{ConnectionTrait, Statement};
use sendpromptly_core::access::Role;
use sendpromptly_core::alert::Channel;
use sendpromptly_core::credential::ApiKey;
use sendpromptly_core::hex;
use sendpromptly_core::id::{KeyId, ProjectId};
use tempfile::tempdir;

use super::World;
use super::console::{House, Person};
use crate::console::routes::Route;
use crate::platform::{clock, entropy};
use crate::store::Dialect;
use crate::store::api_keys::NewKey;
use crate::store::rows::{self, Sql};

/// An organization and one of everything in it.
#[derive(Debug)]
pub(crate) struct Estate {
    /// The organization, seen as a world of its own.
    pub(crate) world: World,
    pub(crate) owner: Person,
    pub(crate) project_name: String,
    pub(crate) organization_name: String,
    /// For each part of a path what it stands for.
    pub(crate) ids: BTreeMap<&'static str, String>,
    /// Texts that nobody outside may see.
    pub(crate) canaries: Vec<String>,
}

impl Estate {
    /// Makes one, whose every name holds this word.
    pub(crate) async fn found(house: &House, word: &str) -> Self {
        let organization_name = format!("canary-{word}-organization");
        let organization = house.organization(&organization_name).await;
        let project = ProjectId::new(clock::now(), entropy::for_id());
        let world = World {
            store: house.world.store.clone(),
            url: house.world.url.clone(),
            organization,
            project,
            directory: tempdir().unwrap(),
        };
        world.add_project(project).await;
        let names = Sql::new("UPDATE projects SET name = {} WHERE id = {}");
        let name = format!("canary-{word}-project");
        world
            .write(names.bind(name.clone()).bind(project.as_bytes()))
            .await;
        let owner = house.person(&format!("canary-{word}-owner@example.com")).await;
        house.join(&owner, organization, Role::Owner).await;
        let member = house.person(&format!("canary-{word}-member@example.com")).await;
        house.join(&member, organization, Role::Viewer).await;
        let (event, incident) = world
            .failed_event_at(project, &format!("canary-{word}-event"), clock::now())
            .await;
        world.keep_snapshots().await;
        let payload = format!(r#"{{"card":"canary-{word}-payload"}}"#);
        let vault = &house.console.setting.vault;
        world.keep_payload(vault, event, &payload).await;
        let reference = Sql::new("UPDATE events SET internal_reference = {} WHERE project_id = {}");
        let reference = reference.bind(format!("canary-{word}-reference"));
        world.write(reference.bind(project.as_bytes())).await;
        let key = add_key(&world).await;
        let alert = world
            .add_alert(
                vault,
                Channel::Email,
                &format!("canary-{word}-alerts@example.com"),
                false,
            )
            .await;
        let ids = BTreeMap::from([
            ("org", organization.to_string()),
            ("project", project.to_string()),
            ("incident", incident.to_string()),
            ("key", key.to_string()),
            ("alert", alert.to_string()),
            ("user", member.user.to_string()),
            ("session", first_session(&world, &owner).await),
            ("invitation", invite(&world, &owner, word).await),
            // Neither a mailed link nor a file that is there.
            ("token", "none".to_owned()),
            ("file", "none".to_owned()),
        ]);
        let mut canaries = vec![format!("canary-{word}-")];
        canaries.extend(
            ids.iter()
                .filter(|(_, id)| *id != "none")
                .map(|(_, id)| id.clone()),
        );
        Self {
            world,
            owner,
            project_name: name,
            organization_name,
            ids,
            canaries,
        }
    }

    /// Every stored row that is about it, as text.
    pub(crate) async fn rows(&self) -> Vec<String> {
        let marks = [
            hex::encode(self.world.organization.as_bytes()),
            hex::encode(self.world.project.as_bytes()),
        ];
        self.rows_with(&marks).await
    }

    /// Every stored row that holds one of these, but sessions, as text.
    pub(crate) async fn rows_with(&self, marks: &[String]) -> Vec<String> {
        let mut found = Vec::new();
        for table in tables(&self.world).await {
            let rows = dump(&self.world, &table).await;
            found.extend(
                rows.into_iter()
                    .filter(|row| marks.iter().any(|mark| row.contains(mark))),
            );
        }
        found.sort();
        assert!(!found.is_empty());
        found
    }
}

/// The path of a route, each of its parts filled in by its name.
///
/// # Panics
/// Where a part is of a kind that no estate has: it then needs one.
pub(crate) fn fill(route: &Route, of: impl Fn(&str) -> Option<String>) -> String {
    let mut path = String::new();
    for part in route.path.split('/').skip(1) {
        let name = part.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let value = name.map_or_else(
            || part.to_owned(),
            |name| of(name).unwrap_or_else(|| panic!("{}: no sample for {{{name}}}", route.path)),
        );
        let _ = write!(path, "/{value}");
    }
    path
}

/// The names of a route's parts, the organization's left out.
pub(crate) fn parts(route: &Route) -> Vec<&'static str> {
    let named = route
        .path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    named.filter(|name| *name != "org").collect()
}

async fn add_key(world: &World) -> KeyId {
    let key = ApiKey::generate(entropy::bytes());
    let new = NewKey {
        id: KeyId::new(clock::now(), entropy::for_id()),
        project: world.project,
        hash: key.hash(),
        hint: key.hint().to_owned(),
        created_at: clock::now(),
    };
    let made = world
        .store
        .create_key(world.scope(), &new, &super::operator())
        .await;
    assert!(made.unwrap());
    new.id
}

/// The session that somebody began first.
pub(crate) async fn first_session(world: &World, person: &Person) -> String {
    let query = Sql::new("SELECT id FROM sessions WHERE user_id = {} ORDER BY id LIMIT 1");
    let row = query.bind(person.user.as_bytes()).one(world.store.reader()).await;
    hex::encode(&rows::id(&row.unwrap().unwrap(), "id").unwrap())
}

async fn invite(world: &World, owner: &Person, word: &str) -> String {
    let (id, now): ([u8; 16], _) = (entropy::bytes(), clock::now());
    let email = format!("canary-{word}-guest@example.com");
    let insert = Sql::new(
        "INSERT INTO invitations (id, organization_id, email, email_key, role, invited_by, expires_at, created_at)
         VALUES ({}, {}, {}, {}, 'viewer', {}, {}, {})",
    );
    let insert = insert.bind(id).bind(world.organization.as_bytes());
    let insert = insert.bind(email.clone()).bind(email).bind(owner.user.as_bytes());
    world
        .write(insert.bind(now.plus_millis(86_400_000)).bind(now))
        .await;
    hex::encode(&id)
}

/// Every table but those that say who was here, and the data keys, which are made before what they seal.
async fn tables(world: &World) -> Vec<String> {
    let mut tables = every_table(world).await;
    tables.retain(|name| name != "sessions" && name != "data_keys");
    tables
}

/// The names of all tables of the store.
pub(crate) async fn every_table(world: &World) -> Vec<String> {
    let query = match world.store.dialect() {
        Dialect::Sqlite => "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name",
        Dialect::Postgres => {
            "SELECT table_name::text AS name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1"
        }
    };
    let found = Sql::new(query).all(world.store.reader()).await.unwrap();
    let names = found.iter().map(|row| rows::get::<String>(row, "name").unwrap());
    names.collect()
}

/// A table's rows as text, bytes in lower-case hex digits.
pub(crate) async fn dump(world: &World, table: &str) -> Vec<String> {
    let reader = world.store.reader();
    let query = match world.store.dialect() {
        Dialect::Postgres => format!("SELECT replace(t::text, '-', '') AS line FROM {table} t"),
        Dialect::Sqlite => {
            let columns = format!(
                "SELECT group_concat('quote(\"' || name || '\")', ' || '','' || ') AS c FROM pragma_table_info('{table}')"
            );
            let row = Sql::new(columns).one(reader).await.unwrap().unwrap();
            let columns: String = rows::get(&row, "c").unwrap();
            format!("SELECT lower({columns}) AS line FROM {table}")
        }
    };
    let statement = Statement::from_string(world.store.dialect().backend(), query);
    let found = reader.query_all_raw(statement).await.unwrap();
    let line = |row| format!("{table}: {}", rows::get::<String>(row, "line").unwrap());
    found.iter().map(line).collect()
}
