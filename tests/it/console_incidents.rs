//! Incidents in the console: found, understood and repaired.

use sendpromptly_tests::bodies::{receipt, result, unique, with};
use sendpromptly_tests::endpoint::{Endpoint, Reply};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::page::Page;
use sendpromptly_tests::people::{member, owner};
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::wait::eventually;
use sendpromptly_tests::world::World;
use serde_json::json;

mod selections;
mod sizes;

on_both_stores!(
    the_list_is_filtered_and_searched_in_any_combination,
    pages_of_the_list_are_small_and_follow_each_other,
    an_incident_is_understood_and_repaired_on_its_page,
    a_form_that_is_sent_twice_orders_one_replay,
    an_order_that_came_too_late_is_told_on_the_page_as_it_now_is,
    where_the_effect_may_have_been_applied_the_page_asks_first,
    an_incident_is_dismissed_with_a_reason_reopened_and_noted,
    a_viewer_reads_and_changes_nothing,
    an_incident_of_another_organization_is_not_there,
);

/// The path of the list.
fn list(world: &World) -> String {
    format!("/orgs/{}/incidents", world.organization)
}

/// The path of an incident's page.
fn page_of(world: &World, incident: &str) -> String {
    format!("{}/{incident}", list(world))
}

/// The references that a list shows, in its order.
fn references(page: &Page) -> Vec<String> {
    page.texts_of("td[data-label=Reference]")
}

async fn the_list_is_filtered_and_searched_in_any_combination(kind: StoreKind) {
    let world = World::start(kind).await;
    let mut browser = owner(&world).await;
    let empty = browser.visit(&list(&world)).await.ok();
    assert!(empty.text_of("[data-test=empty]").contains("Nothing is missing"));

    let (_, first) = world.incident_for("ada").await;
    let (settled, _) = world.incident_for("ben").await;
    world.api().report(&settled, "success").await;
    let shop = with(receipt("evt_shop"), "effect_type", json!("credit_grant"));
    let shop = with(
        with(shop, "provider", json!("shopify")),
        "shopify_shop_domain",
        json!("a.example.com"),
    );
    world
        .api()
        .receipt(&unique("key"), &with(shop, "internal_reference", json!("cleo")))
        .await;
    world
        .api()
        .report_as(&json!({"provider_event_id": "evt_shop", "status": "failed"}))
        .await;

    let page = browser.visit(&list(&world)).await.ok();
    assert_eq!(references(&page), ["cleo", "ben", "ada"]);
    assert!(page.text_of("[data-test=counts]").starts_with("2 open"));
    for (fields, expected) in [
        (&[("state", "open")][..], &["cleo", "ada"][..]),
        (&[("state", "resolved")], &["ben"]),
        (&[("provider", "shopify"), ("state", "open")], &["cleo"]),
        (&[("effect", "access_unlock")], &["ben", "ada"]),
        (&[("effect", "access_unlock"), ("provider", "shopify")], &[]),
        (&[("reference", "ada")], &["ada"]),
        (&[("q", "ada")], &["ada"]),
        (&[("q", "evt_shop")], &["cleo"]),
        (&[("q", "evt_shop"), ("state", "resolved")], &[]),
        (&[("project", world.project.id.as_str()), ("q", "ben")], &["ben"]),
    ] {
        let mut form = page
            .forms()
            .into_iter()
            .find(|form| form.method == "GET")
            .unwrap();
        for (name, value) in fields {
            form = form.set(name, *value);
        }
        let found = browser.submit_and_follow(form).await.ok();
        assert_eq!(references(&found), expected, "{fields:?}");
        assert_eq!(found.has("[data-test=empty]"), expected.is_empty());
        let all = browser
            .click(found.all("[data-test=clear]")[0].must_have("href"))
            .await;
        assert_eq!(references(&all.ok()).len(), 3);
    }
    let incident = browser.click(&page_of(&world, &first)).await.ok();
    assert_eq!(incident.text_of("h1"), "Access unlock for ada");
}

async fn pages_of_the_list_are_small_and_follow_each_other(kind: StoreKind) {
    let world = World::start(kind).await;
    let mut browser = owner(&world).await;
    let mut expected = Vec::new();
    for number in 0..60 {
        let reference = format!("a customer's reference of some length, number {number}");
        world.incident_for(&reference).await;
        expected.insert(0, reference);
    }
    let first = browser.visit(&list(&world)).await.ok();
    assert!(
        first.answer.body.len() < 100_000,
        "{} bytes",
        first.answer.body.len()
    );
    let second = browser.click(&first.link("Older")).await.ok();
    let shown = [references(&first), references(&second)].concat();
    assert_eq!(shown, expected);
    assert!(!second.has("[data-test=older]") && !first.has("[data-test=newer]"));
    let back = browser.click(&second.link("Newer")).await.ok();
    assert_eq!(references(&back), references(&first));
}

async fn an_incident_is_understood_and_repaired_on_its_page(kind: StoreKind) {
    let endpoint = Endpoint::start(|number, _| match number {
        0 => Reply::Text(503, "<b>no room</b>\u{1b}[2J"),
        _ => Reply::result("success"),
    })
    .await;
    let world = World::start_calling(kind, &endpoint).await;
    let mut browser = owner(&world).await;
    let event = world.api().new_event().await;
    let failure = with(result(&event, "failed"), "error_code", json!("DB_DOWN"));
    let failure = with(failure, "error_message", json!("no connection to <db>"));
    let answer = world.api().report_as(&failure).await;
    let incident = answer["incident_id"].as_str().unwrap();
    let differing = with(
        receipt(&provider_event(&world, incident).await),
        "effect_type",
        json!("credit_grant"),
    );
    world.api().receipt(&unique("key"), &differing).await;

    let page = browser.visit(&page_of(&world, incident)).await.ok();
    assert_eq!(page.text_of("[data-test=state]"), "Open");
    let meaning = page.text_of("[data-test=meaning]");
    assert!(
        meaning.contains("Stripe sent checkout.session.completed"),
        "{meaning}"
    );
    assert!(meaning.contains("access was unlocked"), "{meaning}");
    assert!(page.text_of("[data-test=differs]").contains("effect_type"));
    let told = page.text();
    assert!(
        told.contains("DB_DOWN") && told.contains("no connection to <db>"),
        "{told}"
    );
    // What will be called is there to read before the button.
    let origin = endpoint.url().rsplit_once('/').unwrap().0.to_owned();
    assert!(origin.starts_with(&page.text_of("[data-test=target]")));
    assert!(page.text_of("[data-test=body]").contains(incident));

    let done = browser.submit_and_follow(page.form("/reprocess")).await.ok();
    assert_eq!(
        done.text_of("[data-test=notice]"),
        "The incident is being reprocessed. The call goes out at once."
    );
    world.incident_becomes(incident, "resolved").await;
    let page = browser.visit(&page_of(&world, incident)).await.ok();
    assert_eq!(page.text_of("[data-test=state]"), "Resolved");
    let moments = page.texts_of("[data-test=moment]").join("\n");
    for part in [
        "Your app confirmed that it received the event",
        "The incident opened: your app reported a failure",
        "A replay was ordered by acme@example.com",
        "Call 1: Answered 503",
        "Call 2: Answered 200",
        "Your app reported success",
        "The incident was resolved by the server",
    ] {
        assert!(moments.contains(part), "{part} in {moments}");
    }
    // The answer is text, whatever it would like to be.
    assert_eq!(page.texts_of("[data-test=answer]"), ["<b>no room</b>\u{fffd}[2J"]);
    assert!(!page.has("pre b"));
    assert!(!page.has("[data-test=reprocess]"));
}

async fn provider_event(world: &World, incident: &str) -> String {
    let incident = world.incident(incident).await;
    incident["provider_event_id"].as_str().unwrap().to_owned()
}

async fn a_form_that_is_sent_twice_orders_one_replay(kind: StoreKind) {
    let endpoint = Endpoint::start(|_, _| Reply::Held(200)).await;
    let world = World::start_calling(kind, &endpoint).await;
    let mut browser = owner(&world).await;
    let (_, incident) = world.api().new_incident().await;
    let form = browser
        .visit(&page_of(&world, &incident))
        .await
        .ok()
        .form("/reprocess");
    let mut second = browser.clone();
    let (one, two) = tokio::join!(browser.submit(form.clone()), second.submit(form.clone()));
    assert_eq!((one.status(), two.status()), (303, 303));
    let again = browser.submit_and_follow(form).await.ok();
    assert_eq!(again.text_of("[data-test=state]"), "Being reprocessed");
    assert_eq!(
        world.incident(&incident).await["replays"]
            .as_array()
            .unwrap()
            .len(),
        1
    );

    // Another order while this one is under way is refused in words.
    let other = browser.visit(&page_of(&world, &incident)).await.ok();
    assert!(!other.has("[data-test=reprocess]"));
    endpoint.release();
}

async fn an_order_that_came_too_late_is_told_on_the_page_as_it_now_is(kind: StoreKind) {
    let endpoint = Endpoint::always(200).await;
    let world = World::start_calling(kind, &endpoint).await;
    let mut browser = owner(&world).await;
    let (event, incident) = world.api().new_incident().await;
    let page = browser.visit(&page_of(&world, &incident)).await.ok();
    world.api().report(&event, "success").await;
    let refused = browser.submit(page.form("/reprocess")).await;
    assert_eq!(refused.status(), 409);
    assert!(refused.text_of("[data-test=refusal]").contains("It is resolved"));
    assert_eq!(refused.text_of("[data-test=state]"), "Resolved");
    let dismissal = page.form("/dismiss").set("reason", "refunded");
    let refused = browser.submit(dismissal).await;
    assert_eq!(refused.status(), 409);
    assert!(endpoint.calls().is_empty());
}

async fn where_the_effect_may_have_been_applied_the_page_asks_first(kind: StoreKind) {
    let endpoint = Endpoint::start(|number, _| match number {
        0..=2 => Reply::HangUp,
        _ => Reply::result("success"),
    })
    .await;
    let world = World::start_calling(kind, &endpoint).await;
    let mut browser = owner(&world).await;
    let (_, incident) = world.api().new_incident().await;
    let page = browser.visit(&page_of(&world, &incident)).await.ok();
    browser.submit(page.form("/reprocess")).await;
    world.replay_becomes(&incident, "exhausted").await;

    let page = browser.visit(&page_of(&world, &incident)).await.ok();
    assert!(page.text_of("[data-test=doubt]").contains("may have been done"));
    let refused = browser.submit(page.form("/reprocess")).await;
    assert_eq!(refused.status(), 409);
    assert!(refused.text_of("[data-test=refusal]").contains("tick the box"));
    assert_eq!(endpoint.calls().len(), 3);
    let ticked = refused.form("/reprocess").set("again", "yes");
    assert_eq!(browser.submit(ticked).await.status(), 303);
    world.incident_becomes(&incident, "resolved").await;
}

async fn an_incident_is_dismissed_with_a_reason_reopened_and_noted(kind: StoreKind) {
    let world = World::start(kind).await;
    let mut browser = member(&world, "operator").await;
    let (_, incident) = world.api().new_incident().await;
    let path = page_of(&world, &incident);
    let page = browser.visit(&path).await.ok();
    // Without a repair URL nobody can be called, and the page says so in place of the button.
    assert!(page.text_of("[data-test=cannot]").contains("no repair URL"));

    let refused = browser.submit(page.form("/dismiss").set("reason", "   ")).await;
    assert_eq!(refused.status(), 422);
    assert!(refused.text_of("[data-test=refusal]").contains("reason"));
    let dismissal = refused.form("/dismiss").set("reason", "refunded <b>by hand</b>");
    let page = browser.submit_and_follow(dismissal).await.ok();
    assert_eq!(page.text_of("[data-test=state]"), "Dismissed");
    assert!(page.text().contains("refunded <b>by hand</b>"));
    let page = browser.submit_and_follow(page.form("/reopen")).await.ok();
    assert_eq!(page.text_of("[data-test=state]"), "Open");

    let too_long = "x".repeat(4_001);
    let refused = browser
        .submit(page.form("/notes").set("note", too_long.as_str()))
        .await;
    assert_eq!(refused.status(), 422);
    assert_eq!(refused.form("/notes").value("note"), too_long);
    let note = refused.form("/notes").set("note", "asked\n<script>them</script>");
    let page = browser.submit_and_follow(note.clone()).await.ok();
    let moments = page.texts_of("[data-test=moment]").join("\n");
    assert!(moments.contains("Note by operator@example.com"), "{moments}");
    assert!(moments.contains("<script>them</script>") && !page.has("main script"));
    // A form is good once: the note is not added again.
    assert_eq!(browser.submit(note).await.status(), 409);
    let page = browser.visit(&path).await.ok();
    assert_eq!(page.text().matches("<script>them</script>").count(), 1);
}

async fn a_viewer_reads_and_changes_nothing(kind: StoreKind) {
    let endpoint = Endpoint::start(|_, _| Reply::Text(400, "a customer's name")).await;
    let world = World::start_calling(kind, &endpoint).await;
    let (mut owner, mut viewer) = (owner(&world).await, member(&world, "viewer").await);
    let (_, incident) = world.api().new_incident().await;
    let path = page_of(&world, &incident);
    let page = owner.visit(&path).await.ok();
    owner.submit(page.form("/reprocess")).await;
    world.replay_becomes(&incident, "halted").await;
    // The answer's beginning is recorded with the call's end.
    eventually("the owner sees the answer", async || {
        let page = owner.visit(&path).await.ok();
        page.text().contains("a customer's name").then_some(())
    })
    .await;

    let page = viewer.visit(&path).await.ok();
    assert!(page.text().contains("Call 1: Answered 400"));
    assert!(!page.text().contains("a customer's name"));
    assert!(page.forms().iter().all(|form| form.action == "/sign-out"));
    let token = page.form("/sign-out").value("form").to_owned();
    for (order, field) in [
        ("reprocess", "again"),
        ("dismiss", "reason"),
        ("reopen", "x"),
        ("notes", "note"),
    ] {
        let fields = [("form", token.as_str()), (field, "because")];
        let refused = viewer.post(&format!("{path}/{order}"), &fields).await;
        assert_eq!(refused.status(), 403, "{order}");
    }
    let list = viewer.visit(&list(&world)).await.ok();
    assert!(!list.has("input[type=checkbox]") && !list.has("[data-test=bulk]"));
    assert_eq!(world.incident(&incident).await["state"], "open");
}

async fn an_incident_of_another_organization_is_not_there(kind: StoreKind) {
    let world = World::start(kind).await;
    let mut browser = owner(&world).await;
    let other = world.cli.create_organization("other").await;
    let project = world.cli.create_project(&other, &[]).await;
    let (_, mine) = world.api().new_incident().await;
    let api = sendpromptly_tests::api::Api {
        server: world.server.address,
        key: project.api_key,
    };
    let (_, theirs) = api.new_incident().await;
    assert_eq!(browser.visit(&page_of(&world, &mine)).await.status(), 200);
    for path in [
        page_of(&world, &theirs),
        format!("/orgs/{other}/incidents"),
        format!("/orgs/{other}/incidents/{theirs}"),
        format!("/orgs/{other}/incidents/{mine}"),
    ] {
        assert_eq!(browser.visit(&path).await.status(), 404, "{path}");
    }
    let filtered = format!("{}?project={}", list(&world), project.id);
    assert!(references(&browser.visit(&filtered).await.ok()).is_empty());
}
