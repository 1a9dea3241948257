//! Reprocessing a selection: a preview that changes nothing, then one order for each.

use sendpromptly_tests::browser::Browser;
use sendpromptly_tests::endpoint::{Endpoint, Reply};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::page::Page;
use sendpromptly_tests::people::owner;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::world::World;

use super::list;

on_both_stores!(
    a_selection_is_previewed_and_then_ordered_once,
    what_changed_after_the_preview_is_told_for_each,
    a_selection_has_its_bounds_and_its_organization,
);

/// Ticks these incidents on the list, and presses the button.
async fn preview(world: &World, browser: &mut Browser, incidents: &[&String]) -> Page {
    let list = browser.visit(&list(world)).await.ok();
    let mut form = list.form("/preview");
    for incident in incidents {
        form = form.set("incident", incident.as_str());
    }
    browser.submit(form).await
}

fn rows(page: &Page, kind: &str) -> Vec<String> {
    page.texts_of(&format!("[data-test={kind}]"))
}

/// The row of the incident with this reference.
fn row(page: &Page, kind: &str, reference: &str) -> String {
    let mut rows = rows(page, kind);
    rows.retain(|row| row.contains(reference));
    assert_eq!(rows.len(), 1, "{reference} on {}", page.text());
    rows.remove(0)
}

async fn a_selection_is_previewed_and_then_ordered_once(kind: StoreKind) {
    let endpoint = Endpoint::start(|_, call| match call.reference().as_str() {
        "doubtful" => Reply::HangUp,
        _ => Reply::result("success"),
    })
    .await;
    let world = World::start_calling(kind, &endpoint).await;
    let mut browser = owner(&world).await;
    let (_, doubtful) = world.incident_for("doubtful").await;
    world.cli.run(&["incident", "reprocess", &doubtful]).await;
    world.replay_becomes(&doubtful, "exhausted").await;
    let (event, resolved) = world.incident_for("resolved").await;
    world.api().report(&event, "success").await;
    let (_, open) = world.incident_for("open").await;
    let (_, also) = world.incident_for("also").await;
    let before = endpoint.calls().len();

    let selected = [&doubtful, &resolved, &open, &also];
    let page = preview(&world, &mut browser, &selected).await.ok();
    assert!(row(&page, "planned", "resolved").contains("Not called"));
    assert!(row(&page, "planned", "doubtful").contains("may have been done"));
    let origin = endpoint.url();
    let called = row(&page, "planned", "open");
    assert!(
        called.contains("A signed call to http://127.0.0.1:"),
        "{called} {origin}"
    );
    // A preview changes nothing.
    assert_eq!(world.incident(&open).await["state"], "open");

    // Without a word about the doubtful one, it is not called.
    let form = page.form("/incidents/reprocess");
    let done = browser.submit(form.clone()).await.ok();
    assert_eq!(done.text_of("[data-test=notice]"), "2 of 3 ordered.");
    assert!(row(&done, "outcome", "doubtful").contains("may have been applied"));
    world.incident_becomes(&open, "resolved").await;
    world.incident_becomes(&also, "resolved").await;
    assert_eq!(endpoint.calls().len(), before + 2);

    // The same form again makes nothing twice, and says the same.
    let again = browser.submit(form.clone()).await.ok();
    assert_eq!(again.text_of("[data-test=notice]"), "2 of 3 ordered.");
    assert_eq!(
        world.incident(&open).await["replays"].as_array().unwrap().len(),
        1
    );

    let looked = browser.submit(form.set("again", doubtful.as_str())).await.ok();
    assert_eq!(looked.text_of("[data-test=notice]"), "3 of 3 ordered.");
    assert_eq!(
        world.incident(&doubtful).await["replays"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

async fn what_changed_after_the_preview_is_told_for_each(kind: StoreKind) {
    let endpoint = Endpoint::always(200).await;
    let world = World::start_calling(kind, &endpoint).await;
    let mut browser = owner(&world).await;
    let (event, one) = world.incident_for("one").await;
    let (_, two) = world.incident_for("two").await;
    let page = preview(&world, &mut browser, &[&one, &two]).await.ok();
    world.api().report(&event, "success").await;
    let done = browser.submit(page.form("/incidents/reprocess")).await.ok();
    assert!(row(&done, "outcome", "one").contains("It is resolved"));
    assert!(row(&done, "outcome", "two").contains("Ordered"));
    world.replay_becomes(&two, "delivered").await;
    assert_eq!(endpoint.calls().len(), 1);
}

async fn a_selection_has_its_bounds_and_its_organization(kind: StoreKind) {
    let endpoint = Endpoint::always(200).await;
    let world = World::start_calling(kind, &endpoint).await;
    let mut browser = owner(&world).await;
    let (_, open) = world.incident_for("open").await;
    let none = preview(&world, &mut browser, &[]).await;
    assert_eq!(none.status(), 422);
    assert!(
        none.text_of("[data-test=refusal]")
            .contains("Nothing is selected")
    );

    let page = browser.visit(&list(&world)).await.ok();
    let token = page.form("/preview").value("form").to_owned();
    let ids: Vec<_> = (0..101).map(|number| format!("inc_{number:032x}")).collect();
    let mut fields = vec![("form", token.as_str())];
    fields.extend(ids.iter().map(|id| ("incident", id.as_str())));
    let confirm = format!("{}/reprocess", list(&world));
    assert_eq!(browser.post(&confirm, &fields).await.status(), 422);

    // Another organization's incident is nobody's here.
    let other = world.cli.create_organization("other").await;
    let url = endpoint.url();
    let project = world.cli.create_project(&other, &["--repair-url", &url]).await;
    let api = sendpromptly_tests::api::Api {
        server: world.server.address,
        key: project.api_key,
    };
    let (_, theirs) = api.new_incident().await;
    let fields = [
        ("form", token.as_str()),
        ("incident", &theirs),
        ("incident", &open),
    ];
    let done = browser.post(&confirm, &fields).await.ok();
    assert_eq!(rows(&done, "outcome").len(), 1);
    assert!(row(&done, "outcome", "open").contains("Ordered"));
    world.replay_becomes(&open, "delivered").await;
    assert_eq!(endpoint.calls().len(), 1);
}
