//! Forgetting: accounts that are deleted, and what is left of them.

use sendpromptly_tests::mail::Mailbox;
use sendpromptly_tests::newcomer::{Newcomer, PASSWORD};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::page::Page;
use sendpromptly_tests::server::{Options, Server};
use sendpromptly_tests::sql::Sql;
use sendpromptly_tests::store::{StoreKind, TestStore};
use sendpromptly_tests::wait::eventually;
use sendpromptly_tests::world::World;

on_both_stores!(
    a_user_deletes_the_own_account_and_the_log_keeps_an_id,
    an_account_takes_the_password_or_a_code_and_the_address_to_be_deleted,
    the_command_line_deletes_a_user_by_address_or_id,
    an_order_holds_for_seven_days_and_can_be_taken_back_until_then,
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
    // What was under way is looked for once more, minutes later.
    assert_eq!(sql.rows("erasures").await, 2);
    sql.run("UPDATE erasures SET created_at = created_at - 600000")
        .await;
    let _ = world.cli.run(&["retention", "run"]).await.json_lines();
    assert_eq!(sql.rows("erasures").await, 0);
}

/// Lets the order to delete an organization be due now.
async fn let_order_be_due(sql: &Sql, organization: &str) {
    let id = sql.id(organization);
    let due = format!(
        "UPDATE organizations SET deletion_due_at = 1000 WHERE id = {id} AND deletion_due_at IS NOT NULL"
    );
    assert_eq!(sql.run(&due).await, 1);
}

async fn an_order_holds_for_seven_days_and_can_be_taken_back_until_then(kind: StoreKind) {
    let mut world = World::start(kind).await;
    let sql = world.sql().await;
    let mailbox = Mailbox::of(&world.store);
    let (mut ada, organization) = Newcomer::sign_up(&world.server, &mailbox, ADA, "Ada's").await;
    ada.set_up_second_factor().await;
    let path = format!("/orgs/{organization}/delete");
    let project = world.cli.create_project(&organization, &[]).await;

    let page = ada.browser.visit(&path).await.ok();
    let page = ada.browser.submit(page.form("/delete").set("name", "Adas")).await;
    assert_eq!(page.status(), 422);
    let page = ada.browser.visit(&path).await.ok();
    let page = ada
        .browser
        .submit_and_follow(page.form("/delete").set("name", "Ada's"))
        .await
        .ok();
    assert!(page.has("[data-test=due]"), "{}", page.text());
    let page = ada.browser.visit(&format!("/orgs/{organization}")).await.ok();
    let banner = page.text_of("[data-test=deletion]");
    assert!(
        banner.contains("will be deleted on") && banner.contains("Keep it"),
        "{banner}"
    );
    let api = sendpromptly_tests::api::Api {
        server: world.server.address,
        key: project.api_key.clone(),
    };
    let event = api.new_event().await;
    let _ = world.cli.run(&["retention", "run"]).await.json_lines();
    api.new_event().await;
    assert_eq!(world.cli.run(&["event", "show", &event]).await.code, 0);

    let page = ada.browser.visit(&path).await.ok();
    let page = ada.browser.submit_and_follow(page.form("/keep")).await.ok();
    assert_eq!(page.text_of("[data-test=notice]"), "The organization stays.");
    assert!(!page.has("[data-test=deletion]"), "{}", page.text());
    let refused = world.cli.run(&["org", "keep", &organization]).await;
    assert_eq!(refused.code, 1, "{}", refused.stderr);

    let ordered = world.cli.run(&["org", "delete", &organization]).await.json();
    let again = world.cli.run(&["org", "delete", &organization]).await.json();
    assert_eq!(ordered, again, "the first order counts");
    let kept = world.cli.run(&["org", "keep", &organization]).await.json();
    assert_eq!(kept["organization_id"], organization.as_str());

    let _ = world.cli.run(&["org", "delete", &organization]).await.json();
    let_order_be_due(&sql, &organization).await;
    world.server.stop().await;
    world.restart(&Options::quick()).await; // whose workers begin with what is due
    let id = sql.id(&organization);
    eventually("the order is carried out", async || {
        let ended =
            format!("SELECT count(*) AS n FROM organizations WHERE id = {id} AND deleted_at IS NOT NULL");
        (sql.count(&ended).await == 1).then_some(())
    })
    .await;
    let mut ada = Newcomer {
        browser: sendpromptly_tests::browser::Browser::new(&world.server),
        ..ada
    };
    ada.sign_in(PASSWORD).await;
    assert_eq!(
        ada.browser.get(&format!("/orgs/{organization}")).await.status(),
        303,
        "the code is missing yet"
    );
    assert_eq!(
        sql.count(&format!(
            "SELECT count(*) AS n FROM members WHERE organization_id = {id}"
        ))
        .await,
        0
    );
    let keys = format!(
        "SELECT count(*) AS n FROM data_keys WHERE scope_id = {}",
        sql.id(&project.id)
    );
    assert_eq!(sql.count(&keys).await, 0);
    assert_eq!(world.cli.run(&["org", "delete", &organization]).await.code, 1);
    assert_eq!(world.cli.run(&["event", "show", &event]).await.code, 1);
}
