//! Forgetting: accounts that are deleted, and what is left of them.

use sendpromptly_tests::mail::Mailbox;
use sendpromptly_tests::newcomer::{Newcomer, PASSWORD};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::page::Page;
use sendpromptly_tests::server::{Options, Server};
use sendpromptly_tests::sql::Sql;
use sendpromptly_tests::store::{StoreKind, TestStore};
use sendpromptly_tests::world::World;

on_both_stores!(
    a_user_deletes_the_own_account_and_the_log_keeps_an_id,
    an_account_takes_the_password_or_a_code_and_the_address_to_be_deleted,
    the_command_line_deletes_a_user_by_address_or_id,
);

const ADA: &str = "ada@example.com";
const BOB: &str = "bob@example.com";

async fn delete(person: &mut Newcomer, typed: &str) -> Page {
    let mut page = person.browser.visit("/account/delete").await.ok();
    if page.has("#step_up_password") {
        let form = page.form("/step-up").set("step_up_password", PASSWORD);
        page = person.browser.submit_and_follow(form).await.ok();
    }
    let form = page.form("/account/delete").set("email", typed);
    person.browser.submit(form).await
}

async fn user_id(sql: &Sql, email: &str) -> String {
    let query = format!("SELECT {} AS t FROM users WHERE email = '{email}'", sql.hex("id"));
    format!("usr_{}", sql.texts(&query).await.remove(0))
}

/// Makes a user an owner of an organization.
async fn make_owner(sql: &Sql, organization: &str, user: &str) {
    let (organization, user) = (sql.id(organization), sql.id(user));
    sql.run(&format!(
        "INSERT INTO members (organization_id, user_id, role, created_at) VALUES ({organization}, {user}, 'owner', 1)"
    ))
    .await;
}

async fn a_user_deletes_the_own_account_and_the_log_keeps_an_id(kind: StoreKind) {
    let world = World::start(kind).await;
    let sql = world.sql().await;
    let mailbox = Mailbox::of(&world.store);
    let (mut ada, organization) = Newcomer::sign_up(&world.server, &mailbox, ADA, "Ada's").await;
    let id = user_id(&sql, ADA).await;
    let mut elsewhere = Newcomer::new(&world.server, ADA);
    assert_eq!(elsewhere.sign_in(PASSWORD).await.status(), 200);

    let page = delete(&mut ada, ADA).await;
    assert_eq!(page.status(), 422);
    let refusal = page.text_of("[data-test=refusal]");
    assert!(refusal.contains("only owner of Ada's"), "{refusal}");

    let acme = user_id(&sql, "acme@example.com").await;
    make_owner(&sql, &organization, &acme).await;
    let page = delete(&mut ada, "ADA@example.com").await;
    let page = ada.browser.follow(page).await.ok();
    assert!(page.url.starts_with("/sign-in"), "{}", page.url);
    assert_eq!(page.text_of("[data-test=notice]"), "Your account is deleted.");
    assert_eq!(
        elsewhere.browser.get("/account").await.status(),
        303,
        "signed out"
    );
    assert_eq!(elsewhere.sign_in(PASSWORD).await.status(), 422);

    let export = ["audit", "export", "--org", &organization];
    let exported = world.cli.run(&export).await;
    assert!(!exported.stdout.contains(ADA), "{}", exported.stdout);
    let entries = exported.json_lines();
    let by_ada: Vec<_> = entries
        .iter()
        .filter(|entry| entry["actor"] == id.as_str())
        .collect();
    assert!(
        by_ada.iter().any(|entry| entry["action"] == "user.deleted"),
        "{by_ada:?}"
    );
    let made = entries
        .iter()
        .find(|entry| entry["action"] == "user.created")
        .unwrap();
    assert_eq!(made["target"], id.as_str());
    assert!(made["details"].is_null() && made["salt"].is_null(), "{made}");
    let verified = world.cli.run(&["audit", "verify"]).await.json_lines();
    let chain = verified
        .iter()
        .find(|chain| chain["organization_id"] == organization.as_str());
    assert!(chain.unwrap()["redacted"].as_u64() >= Some(1), "{chain:?}");
}

async fn an_account_takes_the_password_or_a_code_and_the_address_to_be_deleted(kind: StoreKind) {
    let store = TestStore::new(kind).await;
    let server = Server::start(&store, &Options::quick()).await;
    let (mut ada, _) = Newcomer::sign_up(&server, &Mailbox::of(&store), ADA, "Acme").await;
    let sql = store.sql().await;
    sql.run("UPDATE sessions SET password_at = 1000").await;
    let page = ada.browser.visit("/account/delete").await.ok();
    assert!(page.url.starts_with("/step-up"), "{}", page.url);
    for typed in ["", BOB, "ada"] {
        let page = ada.browser.visit("/account/delete").await.ok();
        let page = if page.has("#step_up_password") {
            let form = page.form("/step-up").set("step_up_password", PASSWORD);
            ada.browser.submit_and_follow(form).await.ok()
        } else {
            page
        };
        let form = page.form("/account/delete").set("email", typed);
        let page = ada.browser.submit(form).await;
        assert_eq!(page.status(), 422, "{typed}");
        assert!(
            page.text().contains("That is not your e-mail address."),
            "{typed}"
        );
    }
    ada.set_up_second_factor().await;
    sql.run("UPDATE sessions SET code_at = 1000").await;
    let page = ada.browser.visit("/account/delete").await.ok();
    assert!(page.has("#step_up_code"), "{}", page.text());
    assert_eq!(sql.rows("users").await, 1);
}

async fn the_command_line_deletes_a_user_by_address_or_id(kind: StoreKind) {
    let world = World::start(kind).await;
    let sql = world.sql().await;
    let other = world.cli.create_organization("bob").await;
    let acme = user_id(&sql, "acme@example.com").await;
    let bob = user_id(&sql, BOB).await;

    let refused = world.cli.run(&["user", "delete", "--email", BOB]).await;
    assert_eq!(refused.code, 1);
    assert!(
        refused.stderr.contains("only owner of bob") && refused.stderr.contains("org delete"),
        "{}",
        refused.stderr
    );
    make_owner(&sql, &other, &acme).await;
    let deleted = world
        .cli
        .run(&["user", "delete", "--email", "BOB@example.com"])
        .await
        .json();
    assert_eq!(deleted["user_id"], bob.as_str());
    assert!(deleted["deleted_at"].as_str().unwrap().ends_with('Z'));
    let again = world.cli.run(&["user", "delete", &bob]).await;
    assert_eq!(again.code, 1, "{}", again.stderr);
    let nobody = world.cli.run(&["user", "delete", "--email", BOB]).await;
    assert_eq!(nobody.code, 1, "{}", nobody.stderr);
    assert_eq!(world.cli.run(&["user", "delete", "--email", "bob"]).await.code, 2);

    let third = world.cli.create_organization("third").await;
    make_owner(&sql, &third, &acme).await;
    let id = user_id(&sql, "third@example.com").await;
    assert_eq!(
        world.cli.run(&["user", "delete", &id]).await.json()["user_id"],
        id.as_str()
    );
    assert_eq!(sql.rows("users").await, 1);
    assert_eq!(sql.rows("erasures").await, 0);
}
