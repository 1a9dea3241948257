//! What the checkpoint file holds, and what a crash may leave of it.

use sendpromptly_core::audit::{Action, Draft, INSTANCE, Origin};

use super::*;
use crate::config::keys::MasterKeySource;
use crate::store::{DatabaseUrl, StoreRole, audit};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

struct Fixture {
    store: Store,
    config: KeyConfig,
    _directory: tempfile::TempDir,
}

impl Fixture {
    async fn set_up() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str| KeyFile {
            path: directory.path().join(name),
            named: false,
        };
        let config = KeyConfig {
            master: MasterKeySource::File(file("master.key")),
            audit: file("audit.key"),
            checkpoints: file("audit.checkpoints"),
        };
        let url = DatabaseUrl::Sqlite(directory.path().join("test.db"));
        let store = Store::open(&url, StoreRole::Serve, 2).await.unwrap();
        Self {
            store,
            config,
            _directory: directory,
        }
    }

    async fn log_something(&self) {
        let draft = Draft::new(&Origin::system("test"), Action::AuditExported, INSTANCE, &[]);
        let drafts = audit::drafts_of(INSTANCE, NOW, vec![draft]);
        self.store.commit_audited(&[], &drafts).await.unwrap();
    }

    fn read(&self, checkpoints: &Checkpoints) -> CheckpointFile {
        file::read(&self.config.checkpoints.path, checkpoints.known_keys()).unwrap()
    }
}

#[tokio::test]
async fn a_chain_that_has_grown_gets_one_checkpoint_of_its_head() {
    let fixture = Fixture::set_up().await;
    let checkpoints = Checkpoints::open(&fixture.config).unwrap();
    assert_eq!(checkpoints.append_due(&fixture.store, NOW).await.unwrap(), 0);
    fixture.log_something().await;
    fixture.log_something().await;
    assert_eq!(checkpoints.append_due(&fixture.store, NOW).await.unwrap(), 1);
    assert_eq!(checkpoints.append_due(&fixture.store, NOW).await.unwrap(), 0);
    let head = fixture.store.chain(INSTANCE).head().await.unwrap();
    let expected = Checkpoint::new(INSTANCE, CheckpointKind::Periodic, head, NOW);
    let file = fixture.read(&checkpoints);
    assert_eq!(
        file.checkpoints
            .iter()
            .map(|signed| signed.checkpoint)
            .collect::<Vec<_>>(),
        [expected]
    );
    assert!(file.bad.is_empty());
}

#[tokio::test]
async fn what_a_crash_left_of_a_line_is_cut_off_before_the_next_is_appended() {
    let fixture = Fixture::set_up().await;
    let checkpoints = Checkpoints::open(&fixture.config).unwrap();
    fixture.log_something().await;
    checkpoints.append_due(&fixture.store, NOW).await.unwrap();
    let path = &fixture.config.checkpoints.path;
    let whole = std::fs::read_to_string(path).unwrap();
    std::fs::write(path, format!("{whole}{}", &whole[..50])).unwrap();
    fixture.log_something().await;
    checkpoints.append_due(&fixture.store, NOW).await.unwrap();
    let file = fixture.read(&checkpoints);
    assert_eq!(
        (file.checkpoints.len(), file.bad.len(), file.broken_end),
        (2, 0, false)
    );
}

#[tokio::test]
async fn a_key_that_an_option_names_must_be_there_and_others_are_made_with_their_public_half() {
    let mut fixture = Fixture::set_up().await;
    fixture.config.audit.named = true;
    let refused = Checkpoints::open(&fixture.config).unwrap_err().to_string();
    assert!(refused.contains("is not there"), "{refused}");
    fixture.config.audit.named = false;
    Checkpoints::open_with_key(&fixture.config).unwrap_err();
    assert!(!fixture.config.audit.path.exists(), "who only prunes makes none");
    let made = Checkpoints::open(&fixture.config).unwrap().known_keys().clone();
    let public = audit_key::public_path(&fixture.config.audit.path);
    assert_eq!(KnownKeys::read(&public).unwrap(), made);
    assert_eq!(*Checkpoints::open(&fixture.config).unwrap().known_keys(), made);
}

#[tokio::test]
async fn a_newest_checkpoint_by_another_key_is_told_until_ours_follows() {
    let fixture = Fixture::set_up().await;
    let checkpoints = Checkpoints::open(&fixture.config).unwrap();
    assert!(checkpoints.stranger().await.unwrap().is_none(), "an empty file");
    fixture.log_something().await;
    checkpoints.append_due(&fixture.store, NOW).await.unwrap();
    assert!(checkpoints.stranger().await.unwrap().is_none());
    // Another key takes its place, with no public half that would tell of the first.
    std::fs::remove_file(&fixture.config.audit.path).unwrap();
    std::fs::remove_file(audit_key::public_path(&fixture.config.audit.path)).unwrap();
    let other = Checkpoints::open(&fixture.config).unwrap();
    let told = other.stranger().await.unwrap().unwrap().to_string();
    assert!(
        told.contains("audit.checkpoints") && told.contains("another audit key"),
        "{told}"
    );
    fixture.log_something().await;
    other.append_due(&fixture.store, NOW).await.unwrap();
    assert!(other.stranger().await.unwrap().is_none());
}

#[tokio::test]
async fn a_new_pair_beside_an_empty_file_is_told_until_it_has_signed() {
    let fixture = Fixture::set_up().await;
    let first = Checkpoints::open(&fixture.config).unwrap();
    assert!(
        first.stranger_to(&fixture.store).await.unwrap().is_none(),
        "a new store"
    );
    fixture.log_something().await;
    first.append_due(&fixture.store, NOW).await.unwrap();
    assert!(first.stranger_to(&fixture.store).await.unwrap().is_none());
    // All that would tell of the first key is gone, but for the store.
    let keys = &fixture.config;
    for path in [
        &keys.audit.path,
        &audit_key::public_path(&keys.audit.path),
        &keys.checkpoints.path,
    ] {
        std::fs::remove_file(path).unwrap();
    }
    let other = Checkpoints::open(&fixture.config).unwrap();
    assert!(other.stranger().await.unwrap().is_none());
    let told = other
        .stranger_to(&fixture.store)
        .await
        .unwrap()
        .unwrap()
        .to_string();
    let missed = first.public_key().to_hex();
    assert!(
        told.contains(&missed) && told.contains("another audit key"),
        "{told}"
    );
    fixture.log_something().await;
    let later = NOW.plus_millis(1);
    other.append_due(&fixture.store, later).await.unwrap();
    assert!(other.stranger_to(&fixture.store).await.unwrap().is_none());
    let noted = [other.public_key().to_hex(), missed];
    assert_eq!(
        fixture.store.audit_keys().await.unwrap(),
        noted,
        "both stay known"
    );
}
