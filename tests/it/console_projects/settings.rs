//! A project's settings in the console.

use sendpromptly_tests::bodies::{receipt, with};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::world::World;

use super::{actions, confirmed_owner, own};

on_both_stores!(
    settings_are_changed_and_audited,
    payloads_are_kept_sent_along_and_deleted_by_the_settings,
    a_repair_url_that_could_never_be_called_is_refused,
);

async fn settings_are_changed_and_audited(kind: StoreKind) {
    let world = World::start(kind).await;
    let mut browser = confirmed_owner(&world).await;
    let page = browser.visit(&format!("{}/settings", own(&world))).await.ok();
    let form = page
        .form("/settings")
        .set("name", "the shop")
        .set("timeout_minutes", "7")
        .set("reprocess_timeouts", "2");
    let done = browser
        .submit_and_follow(form.untick("keep_answers", "true"))
        .await
        .ok();
    assert!(done.text_of("[data-test=notice]").contains("saved"));
    assert!(done.text_of("[data-test=time-outs]").contains("at most 2 times"));
    let page = browser.visit(&format!("{}/settings", own(&world))).await.ok();
    let form = page.form("/settings").set("reprocess_timeouts", "4");
    let refused = browser.submit(form).await;
    assert_eq!(refused.status(), 422);
    assert!(refused.text_of("#unasked-wrong").contains("0 to 3"));
    let page = browser.visit(&format!("{}/settings", own(&world))).await.ok();
    let form = page.form("/retention").set("events_kept_days", "90");
    let done = browser.submit_and_follow(form).await.ok();
    assert!(done.text_of("[data-test=notice]").contains("saved"));
    let set = ["project", "set", &world.project.id, "--name", "the shop"];
    let stored = world.cli.run(&set).await.json();
    assert_eq!(
        (
            &stored["timeout_minutes"],
            &stored["reprocess_timeouts"],
            &stored["keep_answers"],
            &stored["events_kept_days"]
        ),
        (&7.into(), &2.into(), &false.into(), &90.into())
    );

    let page = browser.visit(&format!("{}/settings", own(&world))).await.ok();
    let url = "http://127.0.0.1:9/repair-secret-path";
    let form = page.form("/repair-url").set("repair_url", url);
    let done = browser.submit_and_follow(form).await.ok();
    assert_eq!(done.text_of("[data-test=repair-url]"), "http://127.0.0.1:9");
    assert!(
        !done.answer.text().contains("repair-secret-path"),
        "a path may hold a secret"
    );
    let entries = world
        .cli
        .run(&["audit", "export", "--org", &world.organization])
        .await
        .stdout;
    assert!(entries.contains("http://127.0.0.1:9") && !entries.contains("repair-secret-path"));
    assert_eq!(
        actions(&world)
            .await
            .iter()
            .filter(|(action, _)| action == "project.changed")
            .count(),
        3
    );

    let page = browser.visit(&format!("{}/settings", own(&world))).await.ok();
    browser
        .submit_and_follow(page.form("/repair-url").set("repair_url", ""))
        .await
        .ok();
    assert_eq!(
        world.cli.run(&set).await.json()["repair_url"],
        serde_json::Value::Null
    );
}

async fn payloads_are_kept_sent_along_and_deleted_by_the_settings(kind: StoreKind) {
    let world = World::start(kind).await;
    let mut browser = confirmed_owner(&world).await;
    let settings = format!("{}/settings", own(&world));
    let set = ["project", "set", &world.project.id, "--name", "shop"];
    let stored = async || {
        let project = world.cli.run(&set).await.json();
        (project["snapshots"] == true, project["send_payload"] == true)
    };
    assert_eq!(stored().await, (false, false), "unless somebody asks for it");

    let form = browser.visit(&settings).await.ok().form("/snapshots");
    let form = form.set("keep_snapshots", "true").set("send_payload", "true");
    let done = browser.submit_and_follow(form).await.ok();
    assert!(done.text_of("[data-test=notice]").contains("saved"));
    assert!(done.text_of("[data-test=payloads]").contains("sealed"));
    assert_eq!(stored().await, (true, true));

    let body = with(receipt("evt_1"), "payload", serde_json::json!({"a": 1}));
    assert_eq!(world.api().receipt("key-1", &body).await.status, 202);
    let sql = world.sql().await;
    let keys = "SELECT count(*) AS n FROM data_keys WHERE purpose = 'snapshot'";
    assert_eq!((sql.rows("snapshots").await, sql.count(keys).await), (1, 1));

    // What is kept is deleted only where no more is kept.
    let form = browser.visit(&settings).await.ok().form("/snapshots");
    let refused = browser.submit(form.set("delete_snapshots", "true")).await;
    assert_eq!(refused.answer.status, 422);
    assert_eq!(sql.count(keys).await, 1);

    let form = refused.form("/snapshots").untick("keep_snapshots", "true");
    let done = browser.submit_and_follow(form).await.ok();
    assert!(done.text_of("[data-test=notice]").contains("deleted"));
    assert_eq!((stored().await, sql.count(keys).await), ((false, true), 0));
    let told = actions(&world).await;
    let count = |wanted: &str| told.iter().filter(|(action, _)| action == wanted).count();
    assert_eq!((count("project.changed"), count("snapshots.deleted")), (2, 1));
}

async fn a_repair_url_that_could_never_be_called_is_refused(kind: StoreKind) {
    let world = World::start(kind).await;
    let mut browser = confirmed_owner(&world).await;
    for (url, word) in [
        ("shop.example/repair", "well-formed"),
        ("https://ada:secret@shop.example/", "password"),
        ("ftp://shop.example/", "https"),
    ] {
        let page = browser.visit(&format!("{}/settings", own(&world))).await.ok();
        let refused = browser
            .submit(page.form("/repair-url").set("repair_url", url))
            .await;
        assert_eq!(refused.status(), 422, "{url}");
        let wrong = refused.text_of("#url-wrong");
        assert!(wrong.contains(word), "{url}: {wrong}");
    }
    let page = browser.visit(&format!("{}/settings", own(&world))).await.ok();
    let unresolved = page
        .form("/repair-url")
        .set("repair_url", "https://repair.invalid/");
    let done = browser.submit_and_follow(unresolved).await.ok();
    assert!(done.text_of("[data-test=notice]").contains("does not resolve"));
}
