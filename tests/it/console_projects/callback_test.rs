//! The signed test callback.

use sendpromptly_tests::endpoint::{Endpoint, Reply};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::page::Page;
use sendpromptly_tests::people::member;
use sendpromptly_tests::server::Options;
use sendpromptly_tests::site::Site;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::world::World;

use super::{own, was_done_by_a_user};

on_both_stores!(
    a_test_callback_is_signed_as_a_real_one_and_names_nothing,
    the_outcome_says_what_it_means,
    the_head_of_the_answer_is_shown_once_and_kept_nowhere,
    a_refused_address_is_not_called,
    only_a_few_are_sent_a_minute,
);

/// The operator sends a test.
async fn send(world: &World) -> Page {
    let mut browser = member(world, "operator").await;
    let page = browser.visit(&own(world)).await.ok();
    browser.submit(page.form("/test")).await.ok()
}

async fn a_test_callback_is_signed_as_a_real_one_and_names_nothing(kind: StoreKind) {
    let endpoint = Endpoint::always(204).await;
    let world = World::start_calling(kind, &endpoint).await;
    let page = send(&world).await;
    let verdict = page.text_of("[data-test=verdict]");
    assert!(
        verdict.contains("answered 204") && verdict.contains("ms"),
        "{verdict}"
    );
    assert!(page.has(".notice[data-test=verdict]"));
    let [call] = <[_; 1]>::try_from(endpoint.calls()).unwrap();
    assert!(call.is_signed_with(&[&world.project.signing_secret]));
    assert_eq!(call.header("x-sendpromptly-attempt"), "1");
    assert_eq!(call.header("content-type"), "application/json");
    assert!(call.header("user-agent").starts_with("SendPromptly/"));
    let body = call.json();
    let fields: Vec<_> = body.as_object().unwrap().keys().collect();
    assert_eq!(fields.len(), 11, "{fields:?}");
    for (field, value) in [
        ("effect_type", "test"),
        ("event_type", "sendpromptly.test"),
        ("internal_reference", "sendpromptly-test"),
        ("provider_event_id", "sendpromptly-test"),
        ("mode", "test"),
        ("project_id", &world.project.id),
    ] {
        assert_eq!(body[field], value, "{field}");
    }
    // It is nothing that a result could be sent for, and it leaves no trace but in the audit log.
    let event = body["event_id"].as_str().unwrap();
    let result = sendpromptly_tests::bodies::result(event, "success");
    assert_eq!(world.api().result("r", &result).await.status, 404);
    let sql = world.sql().await;
    for table in ["events", "incidents", "replays", "attempts"] {
        assert_eq!(sql.rows(table).await, 0, "{table}");
    }
    assert!(was_done_by_a_user(&world, "project.tested").await);
}

async fn the_outcome_says_what_it_means(kind: StoreKind) {
    let endpoint = Endpoint::start(|number, _| match number {
        0 => Reply::status(401),
        1 => Reply::Status(302, vec![("location", "http://127.0.0.1:9/".to_owned())]),
        2 => Reply::status(500),
        _ => Reply::HangUp,
    })
    .await;
    let world = World::start_calling(kind, &endpoint).await;
    let mut browser = member(&world, "operator").await;
    for word in [
        "signing secret",
        "redirect",
        "again by the schedule",
        "endpoint's log",
    ] {
        let page = browser.visit(&own(&world)).await.ok();
        let page = browser.submit(page.form("/test")).await.ok();
        let verdict = page.text_of(".refusal[data-test=verdict]");
        assert!(verdict.contains(word), "{word}: {verdict}");
    }
    assert_eq!(
        endpoint.calls().len(),
        4,
        "none is tried again, and no redirect is followed"
    );
}

async fn the_head_of_the_answer_is_shown_once_and_kept_nowhere(kind: StoreKind) {
    let site = Site::always(
        "HTTP/1.1 500 Oops",
        "<script>alert(1)</script> trace gone-at-once",
    )
    .await;
    let url = format!("http://{}/repair", site.address);
    let world = World::start_with(kind, &Options::quick(), &["--repair-url", &url]).await;
    let page = send(&world).await;
    assert_eq!(
        page.text_of("[data-test=answer-head]"),
        "<script>alert(1)</script> trace gone-at-once"
    );
    assert!(!page.has("[data-test=answer-head] script"));
    let again = member_page(&world).await;
    assert!(!again.answer.text().contains("gone-at-once"));
    let sql = world.sql().await;
    assert_eq!(sql.rows("attempts").await, 0);
    let details = sql.texts("SELECT details AS t FROM audit_details").await;
    assert!(!details.join("\n").contains("gone-at-once"));
}

async fn member_page(world: &World) -> Page {
    let mut browser = member(world, "viewer").await;
    browser.visit(&own(world)).await.ok()
}

async fn a_refused_address_is_not_called(kind: StoreKind) {
    let endpoint = Endpoint::always(200).await;
    let mut world = World::start_calling(kind, &endpoint).await;
    world.server.stop().await;
    // What was saved while private addresses were allowed is refused when they are not.
    world
        .restart(&Options::quick().set("--allow-private-callbacks", "false"))
        .await;
    let page = send(&world).await;
    let verdict = page.text_of(".refusal[data-test=verdict]");
    assert!(verdict.contains("Nothing was sent"), "{verdict}");
    assert!(!page.has("[data-test=answer-head]"));
    assert_eq!(endpoint.calls().len(), 0);
}

async fn only_a_few_are_sent_a_minute(kind: StoreKind) {
    let endpoint = Endpoint::always(200).await;
    let world = World::start_calling(kind, &endpoint).await;
    let mut browser = member(&world, "operator").await;
    for number in 1..=6 {
        let page = browser.visit(&own(&world)).await.ok();
        let page = browser.submit(page.form("/test")).await;
        assert_eq!(
            page.status(),
            if number <= 5 { 200 } else { 429 },
            "test {number}"
        );
        assert_eq!(page.header("retry-after").is_some(), number == 6);
    }
    assert_eq!(endpoint.calls().len(), 5);
}
