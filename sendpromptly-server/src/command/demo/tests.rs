//! What makes the demo end badly.

use std::collections::BTreeMap;

use sendpromptly_core::credential::SigningSecret;

use super::*;
use crate::platform::entropy;

const ONCE: DemoCommand = DemoCommand { once: true };

async fn play_with(shop_secret: impl FnOnce(&SigningSecret) -> SigningSecret) -> Result<(), CommandError> {
    let directory = tempfile::tempdir().unwrap();
    let config = settings::read(&BTreeMap::new(), directory.path()).unwrap();
    let stage = Stage::set(config, directory, shop_secret).await.unwrap();
    let path = stage.directory().to_owned();
    let played = play(&stage, &ONCE).await;
    stage.clear().await.unwrap();
    assert!(!path.exists());
    played
}

#[tokio::test]
async fn a_run_in_which_all_goes_as_told_ends_well() {
    assert_eq!(play_with(Clone::clone).await, Ok(()));
}

#[tokio::test]
async fn a_run_whose_repair_fails_ends_badly() {
    let foreign = |_: &SigningSecret| SigningSecret::generate(entropy::bytes());
    let not_resolved = CommandError::refused("the incident was not resolved");
    assert_eq!(play_with(foreign).await, Err(not_resolved));
}

#[test]
fn no_option_leads_to_a_store_that_somebody_uses() {
    let read = |name, value: &str| {
        let given = BTreeMap::from([(name, vec![value.to_owned()])]);
        settings::read(&given, std::path::Path::new("/tmp/demo"))
    };
    for name in ["data-dir", "database-url", "master-key-file", "checkpoint-file"] {
        let Err(CommandError::Usage(why)) = read(name, "/var/lib/sendpromptly") else {
            panic!("{name} was taken");
        };
        assert!(why.contains(&format!("takes no --{name}")), "{why}");
    }
    assert!(matches!(
        read("listen", "everywhere"),
        Err(CommandError::Usage(_))
    ));
    let config = read("listen", "127.0.0.1:7777").unwrap();
    assert_eq!(config.http.listen.port(), 7777);
    assert_eq!(config.storage.data_dir, std::path::Path::new("/tmp/demo"));
}
