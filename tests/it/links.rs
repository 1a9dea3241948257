//! Mailed links: they are good once, for a time, and nobody else can make one.

use sendpromptly_tests::browser::Browser;
use sendpromptly_tests::mail::Mailbox;
use sendpromptly_tests::newcomer::{Newcomer, PASSWORD, confirming};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::page::Page;
use sendpromptly_tests::server::{Options, Server};
use sendpromptly_tests::store::{StoreKind, TestStore};
use sendpromptly_tests::world::World;

on_both_stores!(
    opening_a_link_changes_nothing_and_its_button_works_once,
    a_hundred_at_once_take_a_link_once,
    every_link_that_is_no_longer_good_has_one_page,
    a_reset_gives_a_new_password_and_ends_all_sessions,
    a_reset_does_not_pass_the_second_factor,
    a_reset_drops_a_second_factor_that_waits_to_be_confirmed,
    a_newer_reset_link_voids_the_older_ones,
    mails_of_other_kinds_do_not_use_up_those_of_resets_and_a_link_lives_on_where_no_mail_follows,
    an_unknown_address_gets_the_same_answer_and_no_mail,
    the_base_of_a_link_is_never_what_the_visitor_says,
);

const NEW: &str = "copper lantern orbit 9 quill";

async fn serving(kind: StoreKind) -> (TestStore, Server, Mailbox) {
    let store = TestStore::new(kind).await;
    let server = Server::start(&store, &Options::quick()).await;
    let mailbox = Mailbox::of(&store);
    (store, server, mailbox)
}

/// Asks for a reset link; gives the `count`th mail's.
async fn reset_link(browser: &mut Browser, mailbox: &Mailbox, email: &str, count: usize) -> String {
    let page = browser.visit("/reset").await.ok();
    let form = page.form("/reset").set("email", email);
    assert_eq!(browser.submit(form).await.location(), Some("/reset/sent"));
    mailbox.nth_to(email, count).await.paths().remove(0)
}

/// Opens a reset link and chooses this password.
async fn choose(browser: &mut Browser, link: &str, password: &str) -> Page {
    let page = browser.visit(link).await.ok();
    let form = page.form("/links/").set("new_password", password);
    browser.submit(form.set("repeat_password", password)).await
}

fn is_dead(page: &Page) -> bool {
    page.status() == 410 && page.has("[data-test=dead-link]")
}

async fn opening_a_link_changes_nothing_and_its_button_works_once(kind: StoreKind) {
    let (store, server, mailbox) = serving(kind).await;
    let mut ada = Newcomer::new(&server, "ada@example.com");
    ada.ask_to_sign_up("Acme").await;
    let link = mailbox.nth_to("ada@example.com", 1).await.paths().remove(0);
    let mut page = ada.browser.visit(&link).await.ok();
    for _ in 0..3 {
        page = Browser::new(&server).visit(&link).await.ok();
    }
    assert_eq!(page.header("referrer-policy"), Some("same-origin"));
    let sql = store.sql().await;
    assert_eq!(sql.rows("users").await, 0);
    let page = ada.browser.visit(&link).await.ok();
    let done = ada.browser.submit(confirming(&page)).await;
    assert_eq!(done.location(), Some("/sign-in?done=confirmed"));
    assert_eq!(sql.rows("users").await, 1);
    assert!(is_dead(&ada.browser.visit(&link).await));
}

async fn a_hundred_at_once_take_a_link_once(kind: StoreKind) {
    let (store, server, mailbox) = serving(kind).await;
    let mut ada = Newcomer::new(&server, "ada@example.com");
    ada.ask_to_sign_up("Acme").await;
    let link = mailbox.nth_to("ada@example.com", 1).await.paths().remove(0);
    // A form of its own for each, as a hundred tabs have.
    let mut forms = Vec::new();
    for _ in 0..25 {
        let mut browser = ada.browser.clone();
        let page = browser.visit(&link).await.ok();
        forms.push((browser, confirming(&page)));
    }
    let sent: Vec<_> = forms
        .iter()
        .cycle()
        .take(100)
        .cloned()
        .map(|(mut browser, form)| tokio::spawn(async move { browser.submit(form).await }))
        .collect();
    let mut won = 0;
    for page in sent {
        let page = page.await.unwrap();
        // Dead, the same form again, too many tries at once, over the rate, or too busy: nothing else comes of it.
        match page.status() {
            303 => won += 1,
            410 | 409 | 422 | 429 | 503 => {}
            other => panic!("{other}: {}", page.text()),
        }
    }
    assert_eq!(won, 1);
    let sql = store.sql().await;
    assert_eq!((sql.rows("users").await, sql.rows("organizations").await), (1, 1));
}

async fn every_link_that_is_no_longer_good_has_one_page(kind: StoreKind) {
    let (store, server, mailbox) = serving(kind).await;
    let (mut ada, _) = Newcomer::sign_up(&server, &mailbox, "ada@example.com", "Acme").await;
    let used = mailbox.nth_to("ada@example.com", 1).await.paths().remove(0);
    let good = reset_link(&mut ada.browser, &mailbox, "ada@example.com", 2).await;
    let last = if good.ends_with('0') { "1" } else { "0" };
    let forged = format!("{}{last}", &good[..good.len() - 1]);
    // The kind is the token's first byte: a link for one thing is none for another.
    let other_kind = good.replacen("/links/02", "/links/01", 1);
    assert_ne!(other_kind, good);
    let unknown = format!("/links/{}", "0".repeat(114));
    let mut told = Vec::new();
    for link in [used, forged, other_kind, unknown, "/links/x".to_owned()] {
        let page = ada.browser.visit(&link).await;
        assert!(is_dead(&page), "{link}: {}", page.text());
        told.push(page.text());
    }
    told.dedup();
    assert_eq!(told.len(), 1, "{told:?}");
    // The row is gone: whoever clears the table cannot make a link good again.
    store.sql().await.run("DELETE FROM links").await;
    assert!(is_dead(&ada.browser.visit(&good).await));
}

async fn a_reset_gives_a_new_password_and_ends_all_sessions(kind: StoreKind) {
    let (store, server, mailbox) = serving(kind).await;
    let (mut ada, _) = Newcomer::sign_up(&server, &mailbox, "ada@example.com", "Acme").await;
    let mut elsewhere = Newcomer::new(&server, "ada@example.com");
    elsewhere.sign_in(PASSWORD).await.ok();
    let mut lost = Browser::new(&server);
    let link = reset_link(&mut lost, &mailbox, "ada@example.com", 2).await;
    let page = choose(&mut lost, &link, "short").await;
    assert_eq!(page.status(), 422, "a refused password leaves the link good");
    let page = choose(&mut lost, &link, NEW).await;
    assert_eq!(page.location(), Some("/sign-in?done=ended"), "{}", page.text());
    for browser in [&mut ada.browser, &mut elsewhere.browser, &mut lost] {
        let page = browser.visit("/orgs").await;
        assert!(page.url.starts_with("/sign-in"), "{}", page.url);
    }
    assert!(ada.sign_in(PASSWORD).await.has("[data-test=refusal]"));
    assert!(ada.sign_in(NEW).await.url.starts_with("/orgs/"));
    let notice = mailbox.nth_to("ada@example.com", 3).await;
    assert_eq!(notice.subject, "Your password was changed");
    assert!(is_dead(&lost.visit(&link).await));
    let told = "SELECT count(*) AS n FROM audit_entries WHERE action = 'password.reset'";
    assert_eq!(store.sql().await.count(told).await, 1);
}

async fn a_reset_does_not_pass_the_second_factor(kind: StoreKind) {
    let (_store, server, mailbox) = serving(kind).await;
    let (mut ada, _) = Newcomer::sign_up(&server, &mailbox, "ada@example.com", "Acme").await;
    ada.set_up_second_factor().await;
    let mut browser = Browser::new(&server);
    let link = reset_link(&mut browser, &mailbox, "ada@example.com", 2).await;
    choose(&mut browser, &link, NEW).await;
    let mut again = Newcomer::new(&server, "ada@example.com");
    let page = again.sign_in(NEW).await;
    assert!(page.url.starts_with("/sign-in/code"), "{}", page.url);
    let page = again.browser.visit("/orgs").await;
    assert!(page.url.starts_with("/sign-in"), "{}", page.url);
}

/// Whoever was signed in with the old password may have begun a set-up, and knows its secret.
async fn a_reset_drops_a_second_factor_that_waits_to_be_confirmed(kind: StoreKind) {
    let (store, server, mailbox) = serving(kind).await;
    let (mut thief, _) = Newcomer::sign_up(&server, &mailbox, "ada@example.com", "Acme").await;
    let begun = thief.begin_second_factor().await.ok();
    assert!(begun.has("[data-test=secret]"), "{}", begun.text());
    let sql = store.sql().await;
    assert_eq!(sql.rows("second_factor_proposals").await, 1);
    let mut lost = Browser::new(&server);
    let link = reset_link(&mut lost, &mailbox, "ada@example.com", 2).await;
    choose(&mut lost, &link, NEW).await;
    assert_eq!(sql.rows("second_factor_proposals").await, 0);
}

async fn a_newer_reset_link_voids_the_older_ones(kind: StoreKind) {
    let (_store, server, mailbox) = serving(kind).await;
    Newcomer::sign_up(&server, &mailbox, "ada@example.com", "Acme").await;
    let mut browser = Browser::new(&server);
    let first = reset_link(&mut browser, &mailbox, "ada@example.com", 2).await;
    let second = reset_link(&mut browser, &mailbox, "ada@example.com", 3).await;
    assert!(is_dead(&browser.visit(&first).await));
    browser.visit(&second).await.ok();
}

async fn mails_of_other_kinds_do_not_use_up_those_of_resets_and_a_link_lives_on_where_no_mail_follows(
    kind: StoreKind,
) {
    let (_store, server, mailbox) = serving(kind).await;
    Newcomer::sign_up(&server, &mailbox, "ada@example.com", "Acme").await;
    let mut stranger = Newcomer::new(&server, "ada@example.com");
    for _ in 0..6 {
        stranger.ask_to_sign_up("Other").await;
    }
    let mut link = String::new();
    let mut browser = Browser::new(&server);
    for count in 6..11 {
        link = reset_link(&mut browser, &mailbox, "ada@example.com", count).await;
    }
    let page = browser.visit("/reset").await.ok();
    let form = page.form("/reset").set("email", "ada@example.com");
    assert_eq!(browser.submit(form).await.location(), Some("/reset/sent"));
    browser.visit(&link).await.ok();
}

async fn an_unknown_address_gets_the_same_answer_and_no_mail(kind: StoreKind) {
    let (_store, server, mailbox) = serving(kind).await;
    let mut browser = Browser::new(&server);
    let page = browser.visit("/reset").await.ok();
    let form = page.form("/reset").set("email", "nobody@example.com");
    let page = browser.submit_and_follow(form).await.ok();
    assert!(page.has("[data-test=sent]"), "{}", page.text());
    Newcomer::new(&server, "bob@example.com")
        .ask_to_sign_up("Other")
        .await;
    mailbox.nth_to("bob@example.com", 1).await;
    assert!(mailbox.mails_to("nobody@example.com").is_empty());
}

async fn the_base_of_a_link_is_never_what_the_visitor_says(kind: StoreKind) {
    let store = TestStore::new(kind).await;
    let options = Options::quick().set("--public-url", "https://pay.example.com");
    let server = Server::start(&store, &options).await;
    let mailbox = Mailbox::of(&store);
    let mut ada = Newcomer::new(&server, "ada@example.com");
    // On loopback a visitor may name this machine as they like.
    ada.browser = ada.browser.with_header("host", "localhost:9");
    ada.ask_to_sign_up("Acme").await;
    let mail = mailbox.nth_to("ada@example.com", 1).await;
    assert!(
        mail.text.contains("https://pay.example.com/links/"),
        "{}",
        mail.text
    );
    assert!(!mail.text.contains("localhost"), "{}", mail.text);
}

#[tokio::test]
async fn two_nodes_take_a_link_once() {
    let world = World::start(StoreKind::Postgres).await;
    let second = world.start_second_node(&Options::quick()).await;
    let mut ada = Newcomer::new(&world.server, "ada@example.com");
    ada.ask_to_sign_up("Acme").await;
    // Either node may have sent it.
    let boxes = [
        Mailbox::of(&world.store),
        Mailbox::in_directory(world.store.directory().join("second/mail")),
    ];
    let link = sendpromptly_tests::wait::eventually("a mail", async || {
        let mails = boxes
            .iter()
            .flat_map(|mailbox| mailbox.mails_to("ada@example.com"));
        mails.last().map(|mail| mail.paths().remove(0))
    })
    .await;
    let mut forms = Vec::new();
    let browsers = [ada.browser.clone(), ada.browser.moved_to(&second)];
    for mut browser in browsers.iter().cycle().take(8).cloned() {
        let page = browser.visit(&link).await.ok();
        forms.push((browser, confirming(&page)));
    }
    let sent = forms
        .into_iter()
        .map(|(mut browser, form)| tokio::spawn(async move { browser.submit(form).await.status() }));
    let sent: Vec<_> = sent.collect();
    let mut won = 0;
    for status in sent {
        won += u32::from(status.await.unwrap() == 303);
    }
    assert_eq!(won, 1);
}
