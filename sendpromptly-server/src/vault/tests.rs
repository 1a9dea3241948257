//! What is sealed, under which key, and where it opens.

use std::path::PathBuf;

use sendpromptly_core::audit::Origin;
use sendpromptly_core::credential::ApiKey;
use sendpromptly_core::event::Mode;
use sendpromptly_core::id::{KeyId, OrganizationId};
use sendpromptly_core::project::EventsKept;

use super::*;
use crate::config::keys::{KeyFile, MasterKeySource};
use crate::store::api_keys::NewKey;
use crate::store::data_keys::KeyUse;
use crate::store::organizations::NewOrganization;
use crate::store::projects::Project;
use crate::store::rows::Sql;
use crate::store::users::NewUser;
use crate::store::{DatabaseUrl, StoreRole};

mod secrets;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const DAY: Duration = Duration::from_secs(24 * 3_600);
const PROJECT: ProjectId = ProjectId::from_bytes([1; 16]);
const ROW: [u8; 16] = [2; 16];

struct Fixture {
    store: Store,
    directory: tempfile::TempDir,
}

impl Fixture {
    async fn set_up() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::Sqlite(directory.path().join("test.db"));
        let store = Store::open(&url, StoreRole::Serve, 2).await.unwrap();
        Self { store, directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn config(&self, master: &str, named: bool) -> KeyConfig {
        let file = |name: &str, named| KeyFile {
            path: self.path(name),
            named,
        };
        KeyConfig {
            master: MasterKeySource::File(file(master, named)),
            audit: file("audit.key", false),
            checkpoints: file("audit.checkpoints", false),
        }
    }

    async fn open(&self, master: &str, named: bool) -> Result<Vault, VaultError> {
        Vault::open(&self.store, &self.config(master, named)).await
    }

    async fn vault(&self) -> Vault {
        self.open("master.key", false).await.unwrap()
    }

    async fn refusal(&self, master: &str, named: bool) -> String {
        self.open(master, named).await.unwrap_err().to_string()
    }

    async fn create_project(&self, vault: &Vault) -> SigningSecret {
        let organization = OrganizationId::from_bytes([3; 16]);
        let owner = NewUser {
            id: UserId::from_bytes([4; 16]),
            email: "owner@example.com".to_owned(),
            email_key: "owner@example.com".to_owned(),
            password_hash: String::new(),
            created_at: NOW,
        };
        let new = NewOrganization {
            id: organization,
            name: "acme".to_owned(),
            owner,
            created_at: NOW,
        };
        let origin = Origin::system("test");
        self.store.create_organization(&new, &origin).await.unwrap();
        let project = Project {
            id: PROJECT,
            organization,
            name: "shop".to_owned(),
            mode: Mode::Test,
            repair_url: None,
            timeout_minutes: 30,
            reprocess_timeouts: 0,
            keep_answers: true,
            keep_snapshots: false,
            send_payload: false,
            snapshot_era: Era::default(),
            events_kept_days: EventsKept::default().days(),
            created_at: NOW,
        };
        let key = ApiKey::generate([5; ENTROPY]);
        let key = NewKey {
            id: KeyId::from_bytes([6; 16]),
            project: PROJECT,
            hash: key.hash(),
            hint: key.hint().to_owned(),
            created_at: NOW,
        };
        let (secret, sealed) = vault.new_secret(PROJECT, NOW).await.unwrap();
        self.store
            .create_project(&project, &key, &sealed, &origin)
            .await
            .unwrap();
        secret
    }
}

#[tokio::test]
async fn what_one_node_seals_every_node_opens_and_at_its_own_place_only() {
    let fixture = Fixture::set_up().await;
    let (one, other) = (fixture.vault().await, fixture.vault().await);
    let sealed = one
        .seal(Purpose::Answer(PROJECT), &ROW, b"head", NOW)
        .await
        .unwrap();
    let opened = other
        .open_sealed(Purpose::Answer(PROJECT), &ROW, &sealed)
        .await
        .unwrap();
    assert_eq!(opened.as_slice(), b"head");
    let elsewhere = ProjectId::from_bytes([9; 16]);
    assert!(
        other
            .open_sealed(Purpose::Answer(elsewhere), &ROW, &sealed)
            .await
            .is_err()
    );
    assert!(
        other
            .open_sealed(Purpose::SigningSecret(PROJECT), &ROW, &sealed)
            .await
            .is_err()
    );
    assert!(
        other
            .open_sealed(Purpose::Answer(PROJECT), &[9; 16], &sealed)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn two_nodes_that_need_the_days_key_at_once_both_go_on() {
    let fixture = Fixture::set_up().await;
    let (one, other) = (fixture.vault().await, fixture.vault().await);
    let seal = async |vault: &Vault| {
        vault
            .seal(Purpose::Answer(PROJECT), &ROW, b"head", NOW)
            .await
            .unwrap()
    };
    let (first, second) = tokio::join!(seal(&one), seal(&other));
    for sealed in [first, second] {
        for vault in [&one, &other] {
            assert!(
                vault
                    .open_sealed(Purpose::Answer(PROJECT), &ROW, &sealed)
                    .await
                    .is_ok()
            );
        }
    }
}

#[tokio::test]
async fn answers_take_a_data_key_for_each_utc_day_and_secrets_keep_theirs() {
    let fixture = Fixture::set_up().await;
    let vault = fixture.vault().await;
    let key_at = async |purpose: fn(ProjectId) -> Purpose, now| {
        let sealed = vault.seal(purpose(PROJECT), &ROW, b"x", now).await.unwrap();
        sendpromptly_core::envelope::data_key_id(&sealed).unwrap()
    };
    let today = key_at(Purpose::Answer, NOW).await;
    assert_eq!(key_at(Purpose::Answer, NOW.plus_millis(1)).await, today);
    assert_ne!(key_at(Purpose::Answer, NOW.plus(DAY)).await, today);
    let secrets = key_at(Purpose::SigningSecret, NOW).await;
    assert_eq!(key_at(Purpose::SigningSecret, NOW.plus(DAY)).await, secrets);
    assert_ne!(secrets, today);
}

#[tokio::test]
async fn a_master_key_that_is_not_the_stores_is_refused_in_words() {
    let fixture = Fixture::set_up().await;
    fixture.vault().await;
    ring_file::RingFile::at(fixture.path("other.key"))
        .create()
        .unwrap();
    let said = fixture.refusal("other.key", true).await;
    assert!(
        said.contains("does not open this store") && said.contains("other.key"),
        "{said}"
    );
}

#[tokio::test]
async fn a_store_whose_master_key_is_gone_gets_no_new_one() {
    let fixture = Fixture::set_up().await;
    fixture.vault().await;
    let said = fixture.refusal("gone.key", false).await;
    assert!(said.contains("gone.key is not there: copy the file"), "{said}");
    assert!(!fixture.path("gone.key").exists());
}

#[tokio::test]
async fn a_master_key_that_an_option_names_must_be_there() {
    let fixture = Fixture::set_up().await;
    let said = fixture.refusal("named.key", true).await;
    assert!(said.contains("named.key is not there"), "{said}");
    assert!(!fixture.path("named.key").exists());
}

#[tokio::test]
async fn a_key_ring_opens_what_its_earlier_keys_wrapped() {
    let fixture = Fixture::set_up().await;
    let sealed = fixture
        .vault()
        .await
        .seal(Purpose::Answer(PROJECT), &ROW, b"head", NOW)
        .await
        .unwrap();
    let earlier = std::fs::read_to_string(fixture.path("master.key")).unwrap();
    key_file::create(
        &fixture.path("ring.key"),
        &format!("new:{}\n{earlier}", "ab".repeat(32)),
    )
    .unwrap();
    let vault = fixture.open("ring.key", true).await.unwrap();
    assert!(
        vault
            .open_sealed(Purpose::Answer(PROJECT), &ROW, &sealed)
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_malformed_key_file_is_refused_without_repeating_it() {
    let fixture = Fixture::set_up().await;
    for (number, text) in [
        "",
        "# nothing\n",
        "0123\n",
        "k:0123\n",
        &format!("k k:{}\n", "ab".repeat(32)),
    ]
    .iter()
    .enumerate()
    {
        let name = format!("bad{number}.key");
        key_file::create(&fixture.path(&name), text).unwrap();
        let said = fixture.refusal(&name, true).await;
        assert!(
            said.contains("cannot be used") && !said.contains("0123"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn what_is_sealed_for_one_owner_opens_for_no_other_kind_of_owner() {
    let fixture = Fixture::set_up().await;
    let vault = fixture.vault().await;
    let user = UserId::from_bytes(*PROJECT.as_bytes());
    let purposes = [
        Purpose::SecondFactor(user),
        Purpose::SecondFactor(UserId::from_bytes([9; 16])),
        Purpose::Mail,
        Purpose::SigningSecret(PROJECT),
    ];
    for purpose in purposes {
        let sealed = vault.seal(purpose, &ROW, b"secret", NOW).await.unwrap();
        for other in purposes {
            let opened = vault.open_sealed(other, &ROW, &sealed).await;
            assert_eq!(opened.is_ok(), other == purpose, "{purpose:?} as {other:?}");
        }
    }
}

#[tokio::test]
async fn data_keys_are_stored_under_the_kind_of_their_owner() {
    let fixture = Fixture::set_up().await;
    let vault = fixture.vault().await;
    let user = UserId::from_bytes([7; 16]);
    for (purpose, scope, scope_id) in [
        (Purpose::SecondFactor(user), "user", *user.as_bytes()),
        (Purpose::Mail, "instance", [0; 16]),
        (Purpose::SigningSecret(PROJECT), "project", *PROJECT.as_bytes()),
    ] {
        let sealed = vault.seal(purpose, &ROW, b"secret", NOW).await.unwrap();
        let stored = KeyUse {
            scope,
            scope_id,
            purpose: purpose.as_str(),
            day: 0,
        };
        let stored = fixture.store.newest_data_key(&stored).await.unwrap().unwrap();
        assert_eq!(
            stored.id,
            sendpromptly_core::envelope::data_key_id(&sealed).unwrap()
        );
    }
}

#[tokio::test]
async fn a_data_key_is_done_before_it_has_sealed_too_often() {
    let fixture = Fixture::set_up().await;
    let master = fixture.config("master.key", false).master;
    let keys = DataKeys::open(&fixture.store, &master).await.unwrap();
    let vault = Vault {
        keys: Arc::new(keys.sealing_at_most(3)),
        ..fixture.vault().await
    };
    for purpose in [Purpose::Mail, Purpose::Snapshot(PROJECT, Era::default())] {
        let mut sealed = Vec::new();
        for _ in 0..7 {
            sealed.push(vault.seal(purpose, &ROW, b"x", NOW).await.unwrap());
        }
        assert_eq!(
            (key_ids(&sealed[..3]), key_ids(&sealed[..4]), key_ids(&sealed)),
            (1, 2, 3)
        );
        for sealed in &sealed {
            let opened = fixture.vault().await.open_sealed(purpose, &ROW, sealed).await;
            assert!(opened.is_ok());
        }
    }
}

/// How many data keys have sealed these.
fn key_ids(sealed: &[Vec<u8>]) -> usize {
    let ids = sealed
        .iter()
        .map(|sealed| sendpromptly_core::envelope::data_key_id(sealed).unwrap());
    ids.collect::<std::collections::BTreeSet<_>>().len()
}

#[tokio::test]
async fn where_the_data_key_of_the_day_does_not_unwrap_another_one_seals() {
    let purpose = Purpose::Snapshot(PROJECT, Era::default());
    for spoil in [
        "UPDATE data_keys SET wrapped = zeroblob(60) WHERE purpose = 'snapshot'",
        "UPDATE data_keys SET kid = 'missing' WHERE purpose = 'snapshot'",
    ] {
        let fixture = Fixture::set_up().await;
        let first = fixture.vault().await;
        let (one, two) = (fixture.vault().await, fixture.vault().await);
        let mut sealed = vec![first.seal(purpose, &ROW, b"x", NOW).await.unwrap()];
        fixture
            .store
            .commit_together(vec![Sql::new(spoil)])
            .await
            .unwrap();
        for (node, millis) in [(&one, 1), (&two, 2), (&one, 3)] {
            sealed.push(
                node.seal(purpose, &ROW, b"x", NOW.plus_millis(millis))
                    .await
                    .unwrap(),
            );
        }
        assert_eq!(key_ids(&sealed), 2, "{spoil}");
        for node in [&one, &two] {
            assert!(node.open_sealed(purpose, &ROW, &sealed[0]).await.is_err());
            assert!(node.open_sealed(purpose, &ROW, &sealed[1]).await.is_ok());
        }
    }
}
