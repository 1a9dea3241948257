//! Stores that earlier versions have made are brought up to date with all that is in them, and served.

use std::collections::BTreeMap;

use sendpromptly_tests::api::Api;
use sendpromptly_tests::bodies::{receipt, unique};
use sendpromptly_tests::command::Cli;
use sendpromptly_tests::endpoint::Endpoint;
use sendpromptly_tests::filled::{Filled, content, rows};
use sendpromptly_tests::fixture::{Fixture, frozen, steps_of, sum_of_step};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::person::{give_code, give_password};
use sendpromptly_tests::server::{Options, Server};
use sendpromptly_tests::store::{StoreKind, TestStore};
use sendpromptly_tests::totp::totp_now;

on_both_stores!(
    every_row_of_an_earlier_store_is_there_after_the_migration,
    an_earlier_store_has_the_tables_of_a_new_one_after_the_migration,
    an_earlier_store_is_served_with_its_keys_and_secrets,
    a_step_that_stands_in_a_fixture_never_changes,
    subscriptions_from_before_stripe_was_asked_are_asked_for_after_the_migration,
);

async fn every_row_of_an_earlier_store_is_there_after_the_migration(kind: StoreKind) {
    let new = TestStore::new(kind).await;
    assert_eq!(Cli::on(&new).run(&["migrate"]).await.code, 0);
    let newest = steps_of(&new.sql().await).await;
    for fixture in Fixture::all(kind).await {
        let name = &fixture.name;
        let cli = Cli::on(&fixture.store);
        if steps_of(&fixture.store.sql().await).await != newest {
            let refused = cli.run(&["audit", "verify"]).await;
            assert_eq!(refused.code, 1, "{name}: {refused:?}");
            assert!(refused.stderr.contains("earlier version"), "{name}: {refused:?}");
        }

        let before = content(&fixture.store.sql().await, kind).await;
        assert!(
            before.values().all(|(_, rows)| !rows.is_empty()),
            "{name} has an empty table"
        );
        for _ in 0..2 {
            assert_eq!(cli.run(&["migrate"]).await.code, 0, "{name}");
        }
        let sql = fixture.store.sql().await;
        for (table, (columns, rows_before)) in &before {
            let rows_after = rows(&sql, kind, table, columns).await;
            assert_eq!(&rows_after, rows_before, "{name}: {table}");
        }
        let verified = cli.run(&["audit", "verify"]).await;
        assert_eq!(verified.code, 0, "{name}: {verified:?}");
    }
}

async fn an_earlier_store_has_the_tables_of_a_new_one_after_the_migration(kind: StoreKind) {
    let new = TestStore::new(kind).await;
    let shape = async |store: &TestStore| -> BTreeMap<String, Vec<String>> {
        assert_eq!(Cli::on(store).run(&["migrate"]).await.code, 0);
        let content = content(&store.sql().await, kind).await;
        content
            .into_iter()
            .map(|(table, (columns, _))| (table, columns))
            .collect()
    };
    let expected = shape(&new).await;
    for fixture in Fixture::all(kind).await {
        assert_eq!(shape(&fixture.store).await, expected, "{}", fixture.name);
    }
}

async fn an_earlier_store_is_served_with_its_keys_and_secrets(kind: StoreKind) {
    for fixture in Fixture::all(kind).await {
        let endpoint = Endpoint::always(200).await;
        let mut server = Server::start(&fixture.store, &Options::quick()).await;
        let cli = Cli::on(&fixture.store);
        let project = fixture.project.id.as_str();
        let set = ["project", "set", project, "--repair-url", &endpoint.url()];
        assert_eq!(cli.run(&set).await.code, 0, "{}", fixture.name);

        let api = Api {
            server: server.address,
            key: fixture.project.api_key.clone(),
        };
        let answer = api.receipt(&unique("key"), &receipt(&unique("evt"))).await;
        assert_eq!(answer.status, 202, "{}: {}", fixture.name, answer.text());

        let incidents = cli.incidents(project).await;
        let open = incidents
            .iter()
            .find(|incident| incident["incident_id"] == fixture.incident.as_str());
        assert_eq!(open.unwrap()["state"], "open", "{}", fixture.name);
        cli.reprocess(&fixture.incident).await;
        let calls = endpoint.after_calls(1).await;
        assert!(
            calls[0].is_signed_with(&[&fixture.project.signing_secret]),
            "{}",
            fixture.name
        );

        let mut browser = give_password(&server).await;
        let page = give_code(&mut browser, &totp_now(&fixture.owner_secret)).await;
        assert_eq!(page.status(), 303, "{}: {}", fixture.name, page.text());
        let page = browser.visit(&format!("/orgs/{}", fixture.organization)).await;
        assert_eq!(page.status(), 200, "{}", fixture.name);
        server.stop().await;
        let verified = cli.run(&["audit", "verify"]).await;
        assert_eq!(verified.code, 0, "{}: {verified:?}", fixture.name);
    }
}

async fn a_step_that_stands_in_a_fixture_never_changes(kind: StoreKind) {
    let frozen = frozen();
    for fixture in Fixture::all(kind).await {
        for step in steps_of(&fixture.store.sql().await).await {
            let sum = frozen.iter().find(|(known, _)| *known == step);
            let (_, sum) = sum.unwrap_or_else(|| panic!("{step} is not in steps.sha256"));
            assert_eq!(
                *sum,
                sum_of_step(&step),
                "{step} has run on stores that are in use: add a step in place of changing it"
            );
        }
    }
}

async fn subscriptions_from_before_stripe_was_asked_are_asked_for_after_the_migration(kind: StoreKind) {
    let mut fixtures = Fixture::all(kind).await;
    fixtures.retain(|fixture| fixture.name.starts_with("m0020"));
    for fixture in &fixtures {
        let sql = fixture.store.sql().await;
        sql.run(
            "INSERT INTO stripe_events (event, customer, subscription, organization_id, at, says)
             SELECT id, 'cus_old', 'sub_old', id, 1000, 'active' FROM organizations WHERE name = 'acme'",
        )
        .await;
        assert_eq!(Cli::on(&fixture.store).run(&["migrate"]).await.code, 0);
        let due = "SELECT subscription AS t FROM stripe_subscriptions WHERE look_at <= 1000 AND read_due_at IS NULL";
        assert_eq!(sql.texts(due).await, ["sub_old"], "{}", fixture.name);
    }
    assert!(!fixtures.is_empty());
}

/// Makes fixtures of the program that `SENDPROMPTLY_BIN` names: run it with each release's own.
mod a_fixture_is_written {
    use super::*;

    #[tokio::test]
    #[ignore = "writes into the tree"]
    async fn of_sqlite() {
        Fixture::write(&Filled::store(TestStore::new(StoreKind::Sqlite).await).await).await;
    }

    #[tokio::test]
    #[ignore = "writes into the tree"]
    async fn of_postgres() {
        Fixture::write(&Filled::store(TestStore::new(StoreKind::Postgres).await).await).await;
    }
}
