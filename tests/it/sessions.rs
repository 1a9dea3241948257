//! The page of a user's own sessions, and how they end.

use sendpromptly_tests::browser::Browser;
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::page::Page;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::world::World;

on_both_stores!(
    a_user_sees_where_the_account_is_signed_in,
    a_user_ends_one_session_or_all_others,
    nobody_ends_the_session_of_another_user,
    a_session_ends_after_an_hour_idle_and_after_twelve_hours,
);

const OWNER: &str = "acme@example.com";
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0";

async fn sign_in(mut browser: Browser, email: &str) -> Browser {
    let form = browser.get("/sign-in").await.ok().form("/sign-in");
    let form = form.set("email", email).set("password", "correct horse battery");
    assert_eq!(browser.submit(form).await.status(), 303);
    browser
}

async fn is_signed_in(browser: &mut Browser) -> bool {
    browser.get("/account").await.status() == 200
}

fn rows(page: &Page) -> Vec<String> {
    page.texts_of("[data-test=sessions] tbody tr")
}

async fn a_user_sees_where_the_account_is_signed_in(kind: StoreKind) {
    let world = World::start(kind).await;
    let firefox = Browser::new(&world.server).with_header("user-agent", FIREFOX);
    let mut firefox = sign_in(firefox, OWNER).await;
    let curl = Browser::new(&world.server).with_header("user-agent", "curl/8.5.0");
    sign_in(curl, OWNER).await;
    world.cli.create_organization("other").await;
    sign_in(Browser::new(&world.server), "other@example.com").await;

    let page = firefox.get("/account/sessions").await.ok();
    let rows = rows(&page);
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert!(
        rows[0].contains("Firefox on Linux") && rows[0].contains("This one"),
        "{rows:?}"
    );
    assert!(
        rows[1].contains("curl") && !rows[1].contains("This one"),
        "{rows:?}"
    );
    assert!(
        rows.iter()
            .all(|row| row.contains("127.0.0.1") && row.contains("UTC")),
        "{rows:?}"
    );
    assert_eq!(
        page.texts_of("[data-test=sessions] button"),
        ["Sign out", "End the session of curl at 127.0.0.1"]
    );
}

async fn a_user_ends_one_session_or_all_others(kind: StoreKind) {
    let world = World::start(kind).await;
    let mut here = sign_in(Browser::new(&world.server), OWNER).await;
    let curl = Browser::new(&world.server).with_header("user-agent", "curl/8.5.0");
    let mut curl = sign_in(curl, OWNER).await;
    let page = here.get("/account/sessions").await.ok();
    assert!(rows(&page)[0].contains("This one"), "{:?}", rows(&page));
    let mut ends = page.forms();
    ends.retain(|form| form.action.ends_with("/end"));
    let page = here.submit_and_follow(ends.remove(1)).await.ok();
    assert_eq!(page.text_of("[data-test=notice]"), "The session has ended.");
    assert!(!is_signed_in(&mut curl).await && is_signed_in(&mut here).await);

    let mut others = [
        sign_in(Browser::new(&world.server), OWNER).await,
        sign_in(Browser::new(&world.server), OWNER).await,
    ];
    let page = here.get("/account/sessions").await.ok();
    let page = here.submit_and_follow(page.form("/end-others")).await.ok();
    assert_eq!(
        page.text_of("[data-test=notice]"),
        "All other sessions have ended."
    );
    for other in &mut others {
        assert!(!is_signed_in(other).await);
    }
    let page = here.get("/account/sessions").await.ok();
    assert_eq!(rows(&page).len(), 1);

    // This one as well, which is a sign-out.
    let mut ends = page.forms();
    ends.retain(|form| form.action.ends_with("/end"));
    here.submit_and_follow(ends.remove(0)).await.ok();
    assert!(!is_signed_in(&mut here).await);
    let ended = "SELECT count(*) AS n FROM audit_entries WHERE action = 'session.ended'";
    assert_eq!(world.sql().await.count(ended).await, 4);
}

async fn nobody_ends_the_session_of_another_user(kind: StoreKind) {
    let world = World::start(kind).await;
    world.cli.create_organization("other").await;
    let mut owner = sign_in(Browser::new(&world.server), OWNER).await;
    let mut other = sign_in(Browser::new(&world.server), "other@example.com").await;
    let of_owner = owner.get("/account/sessions").await.ok().form("/end").action;
    let token = other.get("/account/sessions").await.ok().form("/end");
    let token = token.value("form").to_owned();
    let page = other.post(&of_owner, &[("form", &token)]).await;
    assert_eq!(page.status(), 404);
    let token = other.get("/account/sessions").await.ok().form("/end");
    let token = token.value("form").to_owned();
    let page = other
        .post("/account/sessions/end-others", &[("form", &token)])
        .await;
    assert_eq!(page.status(), 303);
    assert!(is_signed_in(&mut owner).await && is_signed_in(&mut other).await);
}

async fn a_session_ends_after_an_hour_idle_and_after_twelve_hours(kind: StoreKind) {
    const MINUTE: i64 = 60_000;
    let world = World::start(kind).await;
    let sql = world.sql().await;
    for (column, minutes) in [("seen_at", 60), ("created_at", 12 * 60)] {
        let mut browser = sign_in(Browser::new(&world.server), OWNER).await;
        let back = |minutes: i64| format!("UPDATE sessions SET {column} = {column} - {}", minutes * MINUTE);
        sql.run(&back(minutes - 5)).await;
        // Looking at a page would be a use of it.
        let mut copy = browser.clone();
        if column == "created_at" {
            assert!(is_signed_in(&mut copy).await);
        }
        sql.run(&back(10)).await;
        assert!(!is_signed_in(&mut browser).await, "{column}");
        sql.run("DELETE FROM sessions").await;
    }
}
