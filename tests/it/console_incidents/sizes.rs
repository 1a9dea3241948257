//! An incident that has a long story: its pages stay small, and nothing of it is lost.

use sendpromptly_tests::bodies::{result, with};
use sendpromptly_tests::browser::Browser;
use sendpromptly_tests::endpoint::{Endpoint, Reply};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::page::Page;
use sendpromptly_tests::people::{member, owner};
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::wait::eventually;
use sendpromptly_tests::world::World;
use serde_json::json;

use super::page_of;

on_both_stores!(a_long_story_is_told_on_small_pages);

/// What weighs most in a page: it is escaped.
const HEAVY: &str = "<";
const NOTES: usize = 40;
const RESULTS: usize = 40;

async fn a_long_story_is_told_on_small_pages(kind: StoreKind) {
    let endpoint = Endpoint::start(|_, _| Reply::Text(503, ANSWER.as_str())).await;
    let world = World::start_calling(kind, &endpoint).await;
    let mut browser = owner(&world).await;
    let incident = long_story(&world, &mut browser).await;
    let path = page_of(&world, &incident);

    let newest = browser.visit(&path).await.ok();
    assert!(!newest.has("[data-test=newest]"));
    assert_eq!(newest.all("[data-test=moment]").len(), 50);
    let (mut page, mut titles) = (newest.clone(), Vec::new());
    loop {
        let size = page.answer.body.len();
        assert!(size < 100_000, "{size} bytes");
        titles.extend(page.texts_of("[data-test=moment] strong"));
        if !page.has("[data-test=older]") {
            break;
        }
        page = browser.click(&page.link("Older")).await.ok();
        // What was put on the first page can be done from every page.
        assert!(page.has("[data-test=note]") && page.has("[data-test=newest]"));
    }
    let count = |title: &str| titles.iter().filter(|shown| shown.starts_with(title)).count();
    assert_eq!(count("Note"), NOTES);
    assert_eq!(count("Your app reported a failure"), RESULTS);
    assert_eq!(count("Call "), 3);
    assert_eq!(count("Your app confirmed"), 1);
    let back = browser.click(&page.link("Newest")).await.ok();
    assert_eq!(
        back.texts_of("[data-test=moment]"),
        newest.texts_of("[data-test=moment]")
    );

    // The whole of a text is one step away, for whoever may see it.
    let whole = whole_of(&mut browser, &newest, "Note").await;
    assert_eq!(whole.text_of(".said"), HEAVY.repeat(4_000));
    let (place, whole) = whole_answer(&mut browser, &path).await;
    assert_eq!(whole.text_of("[data-test=answer]"), HEAVY.repeat(1_024));
    let mut viewer = member(&world, "viewer").await;
    assert!(!viewer.visit(&place).await.ok().has("[data-test=answer]"));
    let missing = browser.visit(&format!("{path}?moment=1-f00")).await;
    assert_eq!(missing.status(), 404);
}

static ANSWER: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| HEAVY.repeat(2_000));

/// An incident with the longest texts that are taken: reported, reprocessed in vain, and noted on.
async fn long_story(world: &World, browser: &mut Browser) -> String {
    let event = world.api().new_event().await;
    let failure = with(result(&event, "failed"), "error_code", json!(HEAVY.repeat(64)));
    let failure = with(failure, "error_message", json!(HEAVY.repeat(1_024)));
    let mut incident = String::new();
    for _ in 0..RESULTS {
        let answer = world.api().report_as(&failure).await;
        answer["incident_id"].as_str().unwrap().clone_into(&mut incident);
    }
    let path = page_of(world, &incident);
    let page = browser.visit(&path).await.ok();
    browser.submit(page.form("/reprocess")).await;
    world.replay_becomes(&incident, "exhausted").await;
    for _ in 0..NOTES {
        let page = browser.visit(&path).await.ok();
        let note = page.form("/notes").set("note", HEAVY.repeat(4_000));
        assert_eq!(browser.submit(note).await.status(), 303);
    }
    incident
}

/// The page of the first moment of this title that is cut.
async fn whole_of(browser: &mut Browser, page: &Page, title: &str) -> Page {
    let moments = page.texts_of("[data-test=moment]");
    assert!(
        moments.iter().any(|moment| moment.starts_with(title)),
        "{moments:?}"
    );
    let last = page
        .all("[data-test=whole]")
        .pop()
        .unwrap()
        .must_have("href")
        .to_owned();
    browser.click(&last).await.ok()
}

/// The address and the page of the whole of an answer.
async fn whole_answer(browser: &mut Browser, path: &str) -> (String, Page) {
    eventually("an answer's beginning is shown", async || {
        let mut page = browser.visit(path).await.ok();
        while !page.has("[data-test=answer]") && page.has("[data-test=older]") {
            page = browser.click(&page.link("Older")).await.ok();
        }
        for link in page.all("[data-test=whole]") {
            let place = link.must_have("href").to_owned();
            let whole = browser.visit(&place).await.ok();
            if whole.has("[data-test=answer]") {
                return Some((place, whole));
            }
        }
        None
    })
    .await
}
