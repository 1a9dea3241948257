//! Signing secrets: rotated beside each other, and who is told.

use sendpromptly_core::audit::Action;
use sendpromptly_core::project::Overlap;

use super::*;
use crate::store::scope::OrganizationScope;
use crate::store::signing_secrets::Rotation;

impl Fixture {
    async fn rotate(&self, vault: &Vault, at: Timestamp, overlap: Duration) -> (SigningSecret, Rotation) {
        let (secret, sealed) = vault.new_secret(PROJECT, at).await.unwrap();
        let scope = OrganizationScope::of_the_command_line(OrganizationId::from_bytes([3; 16]));
        let overlap = Overlap::new(overlap).unwrap();
        let rotation = self
            .store
            .rotate_secret(scope, &sealed, overlap, &Origin::system("test"))
            .await
            .unwrap();
        (secret, rotation)
    }

    /// The live secrets as a node sees them that remembers nothing.
    async fn live(&self, now: Timestamp) -> Vec<String> {
        let secrets = self.vault().await.live_secrets(PROJECT, now).await.unwrap();
        secrets.iter().map(|secret| secret.expose().to_owned()).collect()
    }
}

#[tokio::test]
async fn a_rotated_secret_signs_beside_the_new_one_until_its_time_is_over() {
    let fixture = Fixture::set_up().await;
    let vault = fixture.vault().await;
    let first = fixture.create_project(&vault).await;
    let (second, rotation) = fixture.rotate(&vault, NOW.plus_millis(1), DAY).await;
    let ends = NOW.plus_millis(1).plus(DAY);
    assert_eq!(
        rotation,
        Rotation::Done {
            previous_expires_at: ends
        }
    );
    assert_eq!(
        fixture.live(NOW.plus_millis(2)).await,
        [second.expose(), first.expose()]
    );
    assert_eq!(fixture.live(ends).await, [second.expose()]);
}

#[tokio::test]
async fn a_third_live_secret_is_refused_unless_all_others_end_at_once() {
    let fixture = Fixture::set_up().await;
    let vault = fixture.vault().await;
    fixture.create_project(&vault).await;
    let at = |millis| NOW.plus_millis(millis);
    fixture.rotate(&vault, at(1), DAY).await;
    assert_eq!(fixture.rotate(&vault, at(2), DAY).await.1, Rotation::TwoLive);
    let (third, rotation) = fixture.rotate(&vault, at(3), Duration::ZERO).await;
    assert!(matches!(rotation, Rotation::Done { .. }));
    assert_eq!(fixture.live(at(3)).await, [third.expose()]);
}

#[tokio::test]
async fn a_rotation_is_audited() {
    let fixture = Fixture::set_up().await;
    let vault = fixture.vault().await;
    fixture.create_project(&vault).await;
    fixture.rotate(&vault, NOW.plus_millis(1), DAY).await;
    let entries = fixture
        .store
        .chain(OrganizationId::from_bytes([3; 16]))
        .entries(0, 10)
        .await
        .unwrap();
    let last = entries.last().unwrap();
    assert_eq!(last.action, Action::SecretRotated.as_str());
    assert_eq!(last.target, PROJECT.to_string());
}

#[tokio::test]
async fn a_secret_that_opens_no_more_does_not_keep_the_next_one_from_signing() {
    let fixture = Fixture::set_up().await;
    fixture.create_project(&fixture.vault().await).await;
    let stored = fixture.store.signing_secrets(PROJECT).await.unwrap().remove(0);
    let id = sendpromptly_core::envelope::data_key_id(&stored.sealed).unwrap();
    let mut damaged = fixture.store.data_key(&id).await.unwrap().unwrap();
    damaged.wrapped[20] ^= 1;
    let flip = Sql::new("UPDATE data_keys SET wrapped = {} WHERE id = {}");
    let flip = flip.bind(damaged.wrapped).bind(id);
    fixture.store.commit_together(vec![flip]).await.unwrap();

    let vault = fixture.vault().await;
    let error = vault.live_secrets(PROJECT, NOW).await.unwrap_err();
    assert!(error.is_damage(), "{error}");
    let at = NOW.plus_millis(1);
    let (second, _) = fixture.rotate(&vault, at, Duration::ZERO).await;
    assert_eq!(fixture.live(at).await, [second.expose()]);
}
