//! API keys and signing secrets in the console.

use sendpromptly_tests::api::Api;
use sendpromptly_tests::bodies::{receipt, unique};
use sendpromptly_tests::endpoint::Endpoint;
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::people::owner;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::wait::eventually;
use sendpromptly_tests::world::World;

use super::{confirmed_owner, own, was_done_by_a_user};

on_both_stores!(
    a_key_is_created_shown_once_and_revoked,
    a_secret_is_rotated_with_an_overlap_and_at_once,
    without_a_code_no_key_is_made_or_revoked,
    a_key_that_travelled_in_clear_is_marked,
);

async fn a_key_is_created_shown_once_and_revoked(kind: StoreKind) {
    let world = World::start(kind).await;
    let mut browser = confirmed_owner(&world).await;
    let page = browser.visit(&own(&world)).await.ok();
    assert_eq!(page.all("[data-test=key]").len(), 1);
    let form = page.form("/keys");
    let made = browser.submit(form.clone()).await.ok();
    let key = made.text_of("[data-test=credential]");
    // The lines to copy hold it.
    assert!(
        made.text_of("[data-test=curl-receipt]")
            .contains(&format!("Bearer {key}'"))
    );
    // The form sent twice makes no second one.
    assert_eq!(browser.submit(form).await.status(), 409);
    let page = browser.visit(&own(&world)).await.ok();
    assert_eq!(page.all("[data-test=key]").len(), 2);
    assert!(!page.answer.text().contains(&key));
    let api = Api {
        server: world.server.address,
        key: key.clone(),
    };
    assert_eq!(api.receipt(&unique("key"), &receipt("evt_1")).await.status, 202);

    let hint = &key[key.len() - 10..key.len() - 6];
    let links = page.all("[data-test=key] a");
    let label = format!("Revoke the key {hint}");
    let link = links
        .iter()
        .find(|link| link.attribute("aria-label") == Some(label.as_str()));
    let path = link.unwrap().must_have("href").to_owned();
    let asked = browser.visit(&path).await.ok();
    assert!(asked.text().contains(hint));
    assert_eq!(
        api.receipt(&unique("key"), &receipt("evt_2")).await.status,
        202,
        "a GET revokes nothing"
    );
    let done = browser.submit_and_follow(asked.form("/revoke")).await.ok();
    assert!(done.text_of("[data-test=notice]").contains("revoked"));
    assert_eq!(browser.get(&path).await.status(), 404, "it is revoked already");
    eventually("the key is refused", async || {
        let answer = api.receipt(&unique("key"), &receipt(&unique("evt"))).await;
        (answer.status == 401).then_some(())
    })
    .await;
    assert!(was_done_by_a_user(&world, "api_key.created").await);
    assert!(was_done_by_a_user(&world, "api_key.revoked").await);
}

async fn a_secret_is_rotated_with_an_overlap_and_at_once(kind: StoreKind) {
    let endpoint = Endpoint::always(200).await;
    let world = World::start_calling(kind, &endpoint).await;
    let mut browser = confirmed_owner(&world).await;
    let path = format!("{}/secret", own(&world));
    let page = browser.visit(&path).await.ok();
    let form = page.form("/secret");
    let first = browser.submit(form).await.ok().text_of("[data-test=credential]");
    let page = browser.visit(&own(&world)).await.ok();
    assert_eq!(page.all("[data-test=secret]").len(), 2);
    assert!(!page.answer.text().contains(&first));
    let (_, incident) = world.incident_for("ada").await;
    world.cli.reprocess(&incident).await;
    let call = endpoint.after_calls(1).await.remove(0);
    assert!(call.is_signed_with(&[&first, &world.project.signing_secret]));

    // A third live one is refused, in words; all others may end at once.
    let page = browser.visit(&path).await.ok();
    let refused = browser.submit(page.form("/secret").set("overlap", "24h")).await;
    assert_eq!(refused.status(), 409);
    assert!(
        refused
            .text_of("[data-test=refusal]")
            .contains("Two signing secrets")
    );
    let form = refused.form("/secret").set("overlap", "at-once");
    let second = browser.submit(form).await.ok().text_of("[data-test=credential]");
    let page = browser.visit(&own(&world)).await.ok();
    assert_eq!(page.all("[data-test=secret]").len(), 1);
    assert_ne!(first, second);
    assert!(was_done_by_a_user(&world, "secret.rotated").await);
}

async fn without_a_code_no_key_is_made_or_revoked(kind: StoreKind) {
    let world = World::start(kind).await;
    let mut browser = owner(&world).await;
    let page = browser.visit(&own(&world)).await.ok();
    let key = page.all("[data-test=key] a")[0].must_have("href").to_owned();
    let asked = browser.visit(&key).await.ok();
    for form in [page.form("/keys"), asked.form("/revoke")] {
        let answer = browser.submit(form).await;
        assert!(!answer.has("[data-test=credential]"), "{}", answer.text());
        let leads = answer.location().unwrap_or_default();
        assert!(leads.starts_with("/account/second-factor"), "{leads}");
    }
    let sql = world.sql().await;
    assert_eq!(sql.rows("api_keys").await, 1);
    assert_eq!(world.api().receipt("k", &receipt("evt_1")).await.status, 202);
}

async fn a_key_that_travelled_in_clear_is_marked(kind: StoreKind) {
    let world = World::start(kind).await;
    let mut browser = owner(&world).await;
    assert!(!browser.visit(&own(&world)).await.ok().has("[data-test=exposed]"));
    world
        .sql()
        .await
        .run("UPDATE api_keys SET exposed_at = 1800000000000")
        .await;
    let page = browser.visit(&own(&world)).await.ok();
    assert!(page.text_of("[data-test=key]").contains("sent in clear"));
}
