//! `secret rotate`.

use sendpromptly_tests::bodies::{millis, now_millis};
use serde_json::Value;

use super::{assert_refused, assert_usage, empty_store, fields, nobodys};

#[tokio::test]
async fn a_secret_is_rotated_with_an_overlap() {
    let (store, cli) = empty_store().await;
    let organization = cli.create_organization("acme").await;
    let project = cli.create_project(&organization, &[]).await;
    let rotate = async |more: &[&str]| {
        cli.run(&[&["secret", "rotate", "--project", project.id.as_str()], more].concat())
            .await
    };
    let live = "SELECT count(*) AS n FROM signing_secrets WHERE expires_at IS NULL";
    let expiring = "SELECT count(*) AS n FROM signing_secrets WHERE expires_at > 4000";
    let sql = store.sql().await;

    let first = rotate(&["--overlap", "90m"]).await.json();
    assert_eq!(
        fields(&first),
        ["previous_expires_at", "project_id", "signing_secret"]
    );
    assert_eq!(first["project_id"], project.id);
    assert_ne!(first["signing_secret"], project.signing_secret);
    let overlap = millis(&first["previous_expires_at"]) - now_millis();
    assert!((5_340_000..=5_400_000).contains(&overlap), "{overlap} ms");
    assert_eq!((sql.count(live).await, sql.count(expiring).await), (1, 1));

    // Two are live: a third would make callbacks that no documented verifier has to take.
    assert_refused(&rotate(&[]).await, &["--overlap 0s"]);
    assert_refused(&rotate(&["--overlap", "1h"]).await, &["--overlap 0s"]);
    assert_eq!((sql.count(live).await, sql.count(expiring).await), (1, 1));

    let at_once = rotate(&["--overlap", "0s"]).await.json();
    assert_ne!(at_once["signing_secret"], first["signing_secret"]);
    let ended = format!(
        "SELECT count(*) AS n FROM signing_secrets WHERE expires_at > {}",
        now_millis()
    );
    assert_eq!((sql.count(live).await, sql.count(&ended).await), (1, 0));
    // So the next rotation has one live secret before it.
    assert_ne!(rotate(&[]).await.json()["previous_expires_at"], Value::Null);
}

#[tokio::test]
async fn an_overlap_that_has_run_out_is_none() {
    let (store, cli) = empty_store().await;
    let organization = cli.create_organization("acme").await;
    let project = cli.create_project(&organization, &[]).await;
    let rotate = ["secret", "rotate", "--project", &project.id];
    assert_eq!(cli.run(&rotate).await.code, 0);
    store
        .sql()
        .await
        .run("UPDATE signing_secrets SET expires_at = 1000 WHERE expires_at IS NOT NULL")
        .await;
    assert_eq!(cli.run(&rotate).await.code, 0);
}

#[tokio::test]
async fn a_malformed_overlap_is_wrong_usage_and_an_unknown_project_not_found() {
    let (_store, cli) = empty_store().await;
    let organization = cli.create_organization("acme").await;
    let project = cli.create_project(&organization, &[]).await;
    for wrong in ["", "1", "-1h", "1y", "h", "1.5h", "99999999999999999999d"] {
        let overlap = format!("--overlap={wrong}");
        assert_usage(
            &cli.run(&["secret", "rotate", "--project", &project.id, &overlap])
                .await,
            &["overlap"],
        );
    }
    let unknown = nobodys("prj_");
    assert_refused(
        &cli.run(&["secret", "rotate", "--project", &unknown]).await,
        &[&unknown],
    );
}
