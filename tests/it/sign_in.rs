//! Signing in and out: what a stranger learns, what slows a guesser down, and what the browser is given.

use sendpromptly_tests::browser::Browser;
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::page::Page;
use sendpromptly_tests::server::{Options, Server};
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::world::World;

on_both_stores!(
    the_owner_signs_in_and_out,
    unknown_wrong_and_waiting_are_answered_alike,
    strangers_cannot_lock_out_a_browser_that_is_known,
    guesses_at_two_nodes_are_counted_together,
    signing_in_leads_on_within_the_console_only,
    a_form_of_another_browser_or_sent_twice_signs_nobody_in,
    sign_ins_leave_their_entries,
);

const OWNER: &str = "acme@example.com";
const PASSWORD: &str = "correct horse battery";

async fn try_to_sign_in(browser: &mut Browser, email: &str, password: &str) -> Page {
    let form = browser.get("/sign-in").await.ok().form("/sign-in");
    browser
        .submit(form.set("email", email).set("password", password))
        .await
}

async fn signed_in(server: &Server) -> Browser {
    let mut browser = Browser::new(server);
    let page = try_to_sign_in(&mut browser, OWNER, PASSWORD).await;
    assert_eq!(page.status(), 303, "{}", page.text());
    browser
}

async fn is_signed_in(browser: &mut Browser) -> bool {
    browser.get("/account").await.status() == 200
}

async fn the_owner_signs_in_and_out(kind: StoreKind) {
    let world = World::start(kind).await;
    let mut browser = Browser::new(&world.server);
    // The address counts in any case.
    let page = try_to_sign_in(&mut browser, "Acme@Example.com", PASSWORD).await;
    assert_eq!((page.status(), page.location()), (303, Some("/")));
    let page = browser.follow(page).await.ok();
    assert!(
        page.url.starts_with(&format!("/orgs/{}", world.organization)),
        "{}",
        page.url
    );

    let session = browser.cookies.find("session").unwrap().clone();
    for said in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(session.says(said), "{session:?}");
    }
    assert!(!session.says("Secure"), "plain HTTP on loopback");
    assert_eq!(session.value.len(), 64);
    let stored = world.sql().await.texts("SELECT address AS t FROM sessions").await;
    assert_eq!(stored, ["127.0.0.1"]);

    let stale = browser.clone();
    let form = browser.get("/account").await.ok().form("/sign-out");
    let page = browser.submit_and_follow(form).await.ok();
    assert_eq!(page.text_of("[data-test=notice]"), "You are signed out.");
    assert!(!is_signed_in(&mut browser).await);
    assert!(
        !is_signed_in(&mut stale.clone()).await,
        "its token opens nothing any more"
    );
    assert_eq!(world.sql().await.rows("sessions").await, 0);
}

/// As if whoever has failed had gone on with it: the next one must wait a quarter of an hour.
async fn fail_for_long(world: &World) {
    let more = "UPDATE guesses SET failures = failures + 100";
    assert!(
        world.sql().await.run(more).await >= 3,
        "a stranger's try counts in three budgets"
    );
}

/// What tells one refusal from another: all but the token of the form, and what was typed.
fn told(page: &Page) -> (u16, String, String) {
    let alert = page.text_of("[data-test=refusal]");
    (page.status(), alert, page.text())
}

async fn unknown_wrong_and_waiting_are_answered_alike(kind: StoreKind) {
    let world = World::start(kind).await;
    let mut wrong = Vec::new();
    let mut unknown = Vec::new();
    for _ in 0..8 {
        let page = try_to_sign_in(&mut Browser::new(&world.server), OWNER, "wrong horse battery").await;
        wrong.push((told(&page), page.header("retry-after").is_some()));
        let page = try_to_sign_in(&mut Browser::new(&world.server), "nobody@example.com", PASSWORD).await;
        unknown.push((told(&page), page.header("retry-after").is_some()));
    }
    assert_eq!(wrong, unknown);
    let (status, alert, _) = &wrong[0].0;
    assert_eq!(*status, 422);
    assert!(
        alert.starts_with("The e-mail address or the password is wrong."),
        "{alert}"
    );
    assert!(wrong.iter().all(|(told, _)| *told == wrong[0].0));
    // From the fifth failure on there is a wait, which the right password does not shorten.
    let waits: Vec<_> = wrong.iter().map(|(_, waits)| *waits).collect();
    assert_eq!(waits, [false, false, false, false, true, true, true, true]);
    fail_for_long(&world).await;
    let page = try_to_sign_in(&mut Browser::new(&world.server), OWNER, PASSWORD).await;
    assert_eq!(told(&page), wrong[0].0);
    let wait: u64 = page.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=900).contains(&wait), "{wait}");
}

async fn strangers_cannot_lock_out_a_browser_that_is_known(kind: StoreKind) {
    let world = World::start(kind).await;
    let mut owner = signed_in(&world.server).await;
    let form = owner.get("/account").await.ok().form("/sign-out");
    owner.submit(form).await;
    try_to_sign_in(&mut Browser::new(&world.server), OWNER, "wrong horse battery").await;
    fail_for_long(&world).await;
    let page = try_to_sign_in(&mut Browser::new(&world.server), OWNER, PASSWORD).await;
    assert_eq!(page.status(), 422);
    let before = owner.cookies.value("device");
    let page = try_to_sign_in(&mut owner, OWNER, PASSWORD).await;
    assert_eq!(page.status(), 303, "{}", page.text());
    assert_ne!(
        owner.cookies.value("device"),
        before,
        "its token is good for one sign-in"
    );
}

async fn guesses_at_two_nodes_are_counted_together(kind: StoreKind) {
    if kind == StoreKind::Sqlite {
        return; // it has one node
    }
    let world = World::start(kind).await;
    let second = world.start_second_node(&Options::quick()).await;
    let mut waits = Vec::new();
    for server in [&world.server, &second].into_iter().cycle().take(5) {
        let page = try_to_sign_in(&mut Browser::new(server), OWNER, "wrong horse battery").await;
        waits.push(page.header("retry-after").is_some());
    }
    assert_eq!(waits, [false, false, false, false, true]);
    fail_for_long(&world).await;
    for server in [&world.server, &second] {
        let page = try_to_sign_in(&mut Browser::new(server), OWNER, PASSWORD).await;
        assert_eq!(page.status(), 422);
    }
}

async fn signing_in_leads_on_within_the_console_only(kind: StoreKind) {
    let world = World::start(kind).await;
    let wanted = "/account/sessions?x=1";
    let mut browser = Browser::new(&world.server);
    let page = browser.visit(wanted).await.ok();
    assert!(page.url.starts_with("/sign-in?then="), "{}", page.url);
    let form = page
        .form("/sign-in")
        .set("email", OWNER)
        .set("password", PASSWORD);
    assert_eq!(browser.submit(form).await.location(), Some(wanted));
    for elsewhere in ["https://example.com/", "//example.com", "/\\example.com"] {
        let mut browser = Browser::new(&world.server);
        let form = browser.get("/sign-in").await.ok().form("/sign-in");
        let form = form.set("email", OWNER).set("password", PASSWORD);
        let page = browser.submit(form.forge("then", elsewhere)).await;
        assert_eq!((page.status(), page.location()), (303, Some("/")), "{elsewhere}");
    }
}

async fn a_form_of_another_browser_or_sent_twice_signs_nobody_in(kind: StoreKind) {
    let world = World::start(kind).await;
    let (mut one, mut other) = (Browser::new(&world.server), Browser::new(&world.server));
    let form = one.get("/sign-in").await.ok().form("/sign-in");
    let form = form.set("email", OWNER).set("password", PASSWORD);
    other.get("/sign-in").await.ok();
    assert_eq!(other.submit(form.clone()).await.status(), 403);
    assert_eq!(one.submit(form.clone().without("form")).await.status(), 403);
    for site in ["cross-site", "same-site"] {
        let mut elsewhere = one.clone().with_header("sec-fetch-site", site);
        assert_eq!(elsewhere.submit(form.clone()).await.status(), 403, "{site}");
    }
    assert_eq!(world.sql().await.rows("sessions").await, 0);
    let mut again = one.clone();
    assert_eq!(one.submit(form.clone()).await.status(), 303);
    assert_eq!(again.submit(form).await.status(), 409);
    assert_eq!(world.sql().await.rows("sessions").await, 1);
}

async fn sign_ins_leave_their_entries(kind: StoreKind) {
    let world = World::start(kind).await;
    try_to_sign_in(&mut Browser::new(&world.server), OWNER, "wrong horse battery").await;
    try_to_sign_in(&mut Browser::new(&world.server), "nobody@example.com", PASSWORD).await;
    try_to_sign_in(&mut Browser::new(&world.server), PASSWORD, PASSWORD).await;
    let mut browser = signed_in(&world.server).await;
    let form = browser.get("/account").await.ok().form("/sign-out");
    browser.submit(form).await;

    let sql = world.sql().await;
    let entries = |which: &str| {
        format!(
            "SELECT e.action || ' ' || d.details AS t FROM audit_entries e
             JOIN audit_details d ON d.organization_id = e.organization_id AND d.seq = e.seq
             WHERE e.action LIKE 'log%' AND e.target {which} ORDER BY e.at, e.seq"
        )
    };
    let of_the_owner = sql.texts(&entries("LIKE 'usr_%'")).await;
    let failed = r#"login.failed {"address":"127.0.0.1","email":"acme@example.com","wrong":"password"}"#;
    let from_here = r#"{"address":"127.0.0.1"}"#;
    assert_eq!(
        of_the_owner,
        [
            failed.to_owned(),
            format!("login.succeeded {from_here}"),
            format!("logout {from_here}")
        ]
    );
    // What is no address may be a password in the wrong field.
    let of_nobody = sql.texts(&entries("= 'unknown'")).await;
    assert_eq!(
        of_nobody,
        [
            r#"login.failed {"address":"127.0.0.1","email":"nobody@example.com","wrong":"password"}"#,
            r#"login.failed {"address":"127.0.0.1","wrong":"password"}"#,
        ]
    );
    let verified = world.cli.run(&["audit", "verify"]).await;
    assert_eq!(verified.code, 0, "{verified:?}");
}

#[tokio::test]
async fn too_many_forms_from_one_address_must_wait_while_the_api_and_sessions_do_not() {
    let world = World::start(StoreKind::Sqlite).await;
    let mut owner = signed_in(&world.server).await;
    let mut stranger = Browser::new(&world.server);
    let mut refused = None;
    for _ in 0..60 {
        let page = stranger.post("/sign-in", &[("email", "x")]).await;
        if page.status() == 429 {
            refused = Some(page);
            break;
        }
        assert_eq!(page.status(), 403, "without a token of the form");
    }
    let refused = refused.expect("a wait");
    let wait: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=3).contains(&wait), "{wait}");
    assert!(refused.text().contains("Too many requests"), "{}", refused.text());
    assert_eq!(stranger.get("/sign-in").await.status(), 200);
    assert!(is_signed_in(&mut owner).await);
    world.api().new_event().await;
}
