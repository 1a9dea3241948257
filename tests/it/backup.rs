//! Backups: what is in them, what is refused, and what comes back.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use sendpromptly_tests::command::{Cli, Output};
use sendpromptly_tests::store::{StoreKind, TestStore};
use sendpromptly_tests::world::World;

mod cut_off;
mod damage;
mod declared;
mod earlier;
mod keys;
mod programs;
mod space;
mod under_load;
mod whole;

/// Where a world's backup is made.
fn backup_of(world: &World) -> PathBuf {
    world.store.directory().join("a.backup")
}

/// The file of keys beside it.
fn keys_of(world: &World) -> PathBuf {
    world.store.directory().join("a.backup.keys")
}

/// Makes a world's backup, which must succeed.
async fn back_up(world: &World) -> serde_json::Value {
    let file = backup_of(world);
    world
        .cli
        .run(&["backup", file.to_str().unwrap(), "--verify"])
        .await
        .json()
}

/// An empty store, and a data directory with the keys and checkpoints of another one.
struct Target {
    store: TestStore,
    cli: Cli,
}

impl Target {
    async fn with_keys_of(world: &World) -> Self {
        let target = Self::without_keys(world.store.kind()).await;
        for file in ["master.key", "audit.key", "audit.pub", "audit.checkpoints"] {
            let from = world.store.data_dir().join(file);
            if from.exists() {
                fs::copy(from, target.store.data_dir().join(file)).unwrap();
            }
        }
        target
    }

    async fn without_keys(kind: StoreKind) -> Self {
        let store = TestStore::new(kind).await;
        fs::DirBuilder::new()
            .mode(0o700)
            .create(store.data_dir())
            .unwrap();
        let cli = Cli::on(&store);
        Self { store, cli }
    }

    async fn restore(&self, world: &World) -> Output {
        self.cli
            .run(&["restore", backup_of(world).to_str().unwrap()])
            .await
    }

    /// The same, which must succeed.
    async fn restored(&self, world: &World) -> serde_json::Value {
        self.restore(world).await.json()
    }

    /// Nothing was written into it.
    async fn assert_untouched(&self) {
        match self.store.kind() {
            StoreKind::Sqlite => {
                let left = fs::read_dir(self.store.data_dir()).unwrap();
                let names = left.map(|file| file.unwrap().file_name().into_string().unwrap());
                let stores: Vec<_> = names.filter(|name| name.starts_with("test.db")).collect();
                assert!(stores.is_empty(), "{stores:?}");
            }
            StoreKind::Postgres => {
                let tables = "SELECT count(*) AS n FROM pg_tables WHERE schemaname = 'public'";
                assert_eq!(self.store.sql().await.count(tables).await, 0);
            }
        }
    }
}

/// Refused with exit code 1, nothing on standard output, and these words.
fn assert_refused(output: &Output, words: &[&str]) {
    assert_eq!((output.code, output.stdout.as_str()), (1, ""), "{output:?}");
    for word in words {
        assert!(output.stderr.contains(word), "{word:?} in {output:?}");
    }
    assert!(!output.stderr.contains("panicked"), "{output:?}");
}
