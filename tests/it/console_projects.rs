//! Projects in the console: made, shown and deleted.

use sendpromptly_tests::bodies::receipt;
use sendpromptly_tests::browser::Browser;
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::page::Page;
use sendpromptly_tests::people::{member, owner};
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::wait::eventually;
use sendpromptly_tests::world::World;

mod callback_test;
mod credentials;
mod first_lines;
mod intake;
mod settings;

on_both_stores!(
    a_project_is_made_and_its_key_and_secret_are_shown_once,
    a_form_with_mistakes_comes_back_with_what_is_wrong,
    the_list_tells_what_goes_on_in_each_project,
    a_project_is_deleted_with_all_that_it_held,
    who_may_not_change_a_project_is_not_offered_to,
    a_project_of_another_organization_is_not_there,
);

/// The path of the list.
fn list(world: &World) -> String {
    format!("/orgs/{}/projects", world.organization)
}

/// The path of the world's own project.
fn own(world: &World) -> String {
    format!("{}/{}", list(world), world.project.id)
}

/// The owner's browser, a code of whose second factor was shown just now.
pub(crate) async fn confirmed_owner(world: &World) -> Browser {
    let browser = owner(world).await;
    confirm(world, "acme@example.com").await;
    browser
}

/// As if this user had set a second factor up, and had shown a code of it just now.
async fn confirm(world: &World, email: &str) {
    let sql = world.sql().await;
    let now = sendpromptly_tests::bodies::now_millis();
    let user = format!("(SELECT id FROM users WHERE email_key = '{email}')");
    let (id, sealed) = (
        sql.id(&format!("usr_{:032x}", fastrand::u128(..))),
        sql.bytes("01"),
    );
    sql.run(&format!(
        "INSERT INTO second_factors (user_id, id, sealed, last_step, confirmed_at) \
         SELECT id, {id}, {sealed}, 0, {now} FROM users WHERE email_key = '{email}'"
    ))
    .await;
    sql.run(&format!(
        "UPDATE sessions SET code_at = {now}, complete = 1 WHERE user_id = {user}"
    ))
    .await;
}

/// The actions in the organization's audit log, oldest first, with who did each.
async fn actions(world: &World) -> Vec<(String, String)> {
    let export = world
        .cli
        .run(&["audit", "export", "--org", &world.organization])
        .await;
    let entries = export.json_lines();
    let entries = entries.iter().filter(|line| line["action"].is_string());
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    entries
        .map(|entry| (text(&entry["action"]), text(&entry["actor"])))
        .collect()
}

async fn was_done_by_a_user(world: &World, action: &str) -> bool {
    let actions = actions(world).await;
    actions
        .iter()
        .any(|(done, by)| done == action && by.starts_with("usr_"))
}

/// Makes a project by the form; gives the page that shows its key.
async fn create(world: &World, browser: &mut Browser, name: &str) -> Page {
    let form = browser
        .visit(&format!("{}/new", list(world)))
        .await
        .ok()
        .form("/projects");
    browser.submit(form.set("name", name)).await
}

async fn a_project_is_made_and_its_key_and_secret_are_shown_once(kind: StoreKind) {
    let world = World::start(kind).await;
    let mut browser = owner(&world).await;
    // Without a code nothing is made: a key comes with it.
    let refused = create(&world, &mut browser, "webshop").await;
    assert!(!refused.has("[data-test=api-key]"), "{}", refused.text());
    confirm(&world, "acme@example.com").await;

    let made = create(&world, &mut browser, "webshop").await.ok();
    let (key, secret) = (
        made.text_of("[data-test=api-key]"),
        made.text_of("[data-test=signing-secret]"),
    );
    assert!(key.starts_with("sk_") && key.len() == 43, "{key}");
    assert!(secret.starts_with("spsec_") && secret.len() == 49, "{secret}");
    assert_eq!(made.header("cache-control"), Some("no-store"));
    // Whoever reloads it would see neither any more.
    let end = made.all("#live")[0].must_have("data-end");
    assert_eq!(end, "No longer renewed. Copy both, then go on to the project.");
    let project = made.link("I have copied both. Go on to the project");
    assert!(!project.contains("sk_"), "{project}");

    let page = browser.visit(&project).await.ok();
    for place in [
        &page.answer.text(),
        &browser.visit(&list(&world)).await.ok().answer.text(),
    ] {
        assert!(!place.contains(&key) && !place.contains(&secret));
    }
    assert!(page.text().contains("webshop") && page.has("[data-test=waiting]"));
    assert!(was_done_by_a_user(&world, "project.created").await);
    // And the key opens it.
    let api = sendpromptly_tests::api::Api {
        server: world.server.address,
        key,
    };
    api.new_event().await;
    let page = browser.visit(&project).await.ok();
    assert!(page.has("[data-test=last-receipt]") && !page.has("[data-test=waiting]"));
}

async fn a_form_with_mistakes_comes_back_with_what_is_wrong(kind: StoreKind) {
    let world = World::start(kind).await;
    let mut browser = confirmed_owner(&world).await;
    let form = browser
        .visit(&format!("{}/new", list(&world)))
        .await
        .ok()
        .form("/projects");
    let wrong = form
        .set("name", " ")
        .set("mode", "live")
        .set("timeout_minutes", "0")
        .set("repair_url", "nowhere");
    let page = browser.submit(wrong).await;
    assert_eq!(page.status(), 422);
    assert_eq!(page.all(".wrong").len(), 3, "{}", page.text());
    let form = page.form("/projects");
    assert_eq!(form.value("repair_url"), "nowhere");
    let right = form
        .set("name", "webshop")
        .set("timeout_minutes", "45")
        .set("repair_url", "");
    let made = browser.submit(right).await.ok();
    let page = browser
        .visit(&made.link("I have copied both. Go on to the project"))
        .await
        .ok();
    let text = page.text();
    assert!(text.contains("45 minutes") && text.contains("live"), "{text}");
}

async fn the_list_tells_what_goes_on_in_each_project(kind: StoreKind) {
    let world = World::start(kind).await;
    world.cli.create_project(&world.organization, &[]).await;
    world.incident_for("ada").await;
    world.incident_for("ben").await;
    let mut browser = owner(&world).await;
    let page = browser.visit(&list(&world)).await.ok();
    let rows = page.texts_of("[data-test=project]");
    assert_eq!(rows.len(), 2);
    assert!(rows[0].contains('2') && rows[0].contains("UTC"), "{rows:?}");
    assert!(rows[1].contains('0') && rows[1].contains("none"), "{rows:?}");
}

async fn a_project_is_deleted_with_all_that_it_held(kind: StoreKind) {
    let world = World::start(kind).await;
    let (event, incident) = world.incident_for("ada").await;
    let mut browser = confirmed_owner(&world).await;
    let path = format!("{}/delete", own(&world));
    let page = browser.visit(&path).await.ok();
    let refused = browser.submit(page.form("/delete").set("name", "another")).await;
    assert_eq!(refused.status(), 422);
    let gone = browser
        .submit_and_follow(refused.form("/delete").set("name", "shop"))
        .await
        .ok();
    assert!(gone.has("[data-test=no-projects]"), "{}", gone.text());

    assert_eq!(browser.get(&own(&world)).await.status(), 404);
    let incidents = browser
        .visit(&format!("/orgs/{}/incidents", world.organization))
        .await
        .ok();
    assert!(!incidents.text().contains("ada"), "{}", incidents.text());
    let one = format!("/orgs/{}/incidents/{incident}", world.organization);
    assert_eq!(browser.get(&one).await.status(), 404);
    for command in [
        &["event", "show", &event][..],
        &["incident", "reprocess", &incident],
    ] {
        assert_eq!(world.cli.run(command).await.code, 1, "{command:?}");
    }
    eventually("its key is refused", async || {
        let body = receipt("evt_late");
        let answer = world.api().receipt("late", &body).await;
        (answer.status == 401).then_some(())
    })
    .await;
    assert!(was_done_by_a_user(&world, "project.deleted").await);
    // An hour later it is removed, at the latest an hour after that.
    let sql = world.sql().await;
    sql.run("UPDATE projects SET deleted_at = 1").await;
    let world = restarted(world).await;
    eventually("nothing of it is left", async || {
        let tables = [
            "projects",
            "events",
            "incidents",
            "results",
            "api_keys",
            "signing_secrets",
        ];
        for table in tables {
            if sql.rows(table).await > 0 {
                return None;
            }
        }
        Some(())
    })
    .await;
    assert!(
        was_done_by_a_user(&world, "project.deleted").await,
        "the log is kept"
    );
    let verified = world
        .cli
        .run(&["audit", "verify", "--org", &world.organization])
        .await;
    assert_eq!(verified.code, 0, "{verified:?}");
}

/// Workers look for old things at the start, and then each hour.
async fn restarted(mut world: World) -> World {
    world.server.stop().await;
    world.restart(&sendpromptly_tests::server::Options::quick()).await;
    world
}

async fn who_may_not_change_a_project_is_not_offered_to(kind: StoreKind) {
    let world = World::start(kind).await;
    for role in ["viewer", "operator"] {
        let mut browser = member(&world, role).await;
        confirm(&world, &format!("{role}@example.com")).await;
        let page = browser.visit(&own(&world)).await.ok();
        for offered in ["settings", "create-key", "rotate"] {
            assert!(!page.has(&format!("[data-test={offered}]")), "{role}: {offered}");
        }
        assert!(
            !browser
                .visit(&list(&world))
                .await
                .ok()
                .has("[data-test=new-project]")
        );
        for path in ["settings", "delete", "secret"] {
            let page = browser.get(&format!("{}/{path}", own(&world))).await;
            assert_eq!(page.status(), 403, "{role}: {path}");
        }
        if role == "viewer" {
            let page = browser.post(&format!("{}/test", own(&world)), &[]).await;
            assert_eq!(page.status(), 403);
        }
        for path in ["settings", "repair-url", "keys", "secret", "delete"] {
            let page = browser
                .post(&format!("{}/{path}", own(&world)), &[("name", "shop")])
                .await;
            assert_eq!(page.status(), 403, "{role}: {path}");
        }
    }
}

async fn a_project_of_another_organization_is_not_there(kind: StoreKind) {
    let world = World::start(kind).await;
    let elsewhere = world.cli.create_organization("elsewhere").await;
    let other = world.cli.create_project(&elsewhere, &[]).await;
    let mut browser = confirmed_owner(&world).await;
    let mine = format!("{}/{}", list(&world), other.id);
    let theirs = format!("/orgs/{elsewhere}/projects/{}", other.id);
    for path in [&mine, &theirs] {
        for rest in ["", "/settings", "/delete", "/secret"] {
            assert_eq!(
                browser.get(&format!("{path}{rest}")).await.status(),
                404,
                "{path}{rest}"
            );
        }
    }
    // Forms of one's own, sent there.
    for (form, rest) in [
        ("settings", "/settings"),
        ("settings", "/repair-url"),
        ("delete", "/delete"),
        ("secret", "/secret"),
    ] {
        let page = browser.visit(&format!("{}/{form}", own(&world))).await.ok();
        let mut foreign = page.form(rest);
        foreign.action = format!("{mine}{rest}");
        assert_eq!(browser.submit(foreign).await.status(), 404, "{rest}");
    }
    for rest in ["/keys", "/test"] {
        let page = browser.visit(&format!("{}/settings", own(&world))).await.ok();
        let mut foreign = page.form("/settings");
        foreign.action = format!("{mine}{rest}");
        assert_eq!(browser.submit(foreign).await.status(), 404, "{rest}");
    }
}
