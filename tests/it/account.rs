//! What users change of their own accounts: the password and the e-mail address.

use sendpromptly_tests::browser::Browser;
use sendpromptly_tests::mail::Mailbox;
use sendpromptly_tests::newcomer::{Newcomer, PASSWORD, confirming};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::page::Page;
use sendpromptly_tests::server::{Options, Server};
use sendpromptly_tests::store::{StoreKind, TestStore};

on_both_stores!(
    without_a_second_factor_password_and_address_lead_to_its_set_up,
    a_new_password_takes_the_old_one_and_ends_the_other_sessions,
    a_new_address_counts_when_it_is_confirmed_and_the_old_one_is_told,
    an_address_that_somebody_has_is_not_told_and_not_taken,
    guesses_at_the_old_password_are_counted_with_those_at_the_sign_in,
);

const ADA: &str = "ada@example.com";
const NEW: &str = "copper lantern orbit 9 quill";

/// A server, its mail, and a user with a second factor whose code counts.
async fn ada(kind: StoreKind) -> (TestStore, Server, Mailbox, Newcomer) {
    let store = TestStore::new(kind).await;
    let server = Server::start(&store, &Options::quick()).await;
    let mailbox = Mailbox::of(&store);
    let (mut ada, _) = Newcomer::sign_up(&server, &mailbox, ADA, "Acme").await;
    ada.set_up_second_factor().await;
    (store, server, mailbox, ada)
}

async fn change_password(browser: &mut Browser, old: &str, new: &str, repeated: &str) -> Page {
    let page = browser.visit("/account/password").await.ok();
    let form = page.form("/account/password").set("password", old);
    let form = form.set("new_password", new).set("repeat_password", repeated);
    browser.submit(form).await
}

async fn ask_for_address(browser: &mut Browser, email: &str) -> Page {
    let page = browser.visit("/account/email").await.ok();
    browser
        .submit(page.form("/account/email").set("email", email))
        .await
}

async fn is_signed_in(browser: &mut Browser) -> bool {
    browser.get("/account").await.status() == 200
}

async fn without_a_second_factor_password_and_address_lead_to_its_set_up(kind: StoreKind) {
    let store = TestStore::new(kind).await;
    let server = Server::start(&store, &Options::quick()).await;
    let (mut ada, _) = Newcomer::sign_up(&server, &Mailbox::of(&store), ADA, "Acme").await;
    for path in ["/account/password", "/account/email"] {
        let page = ada.browser.visit(path).await.ok();
        assert!(page.url.starts_with("/account/second-factor"), "{}", page.url);
    }
}

async fn a_new_password_takes_the_old_one_and_ends_the_other_sessions(kind: StoreKind) {
    let (store, server, mailbox, mut ada) = ada(kind).await;
    let mut stale = ada.browser.clone();
    let browser = &mut ada.browser;
    for (old, new, repeated, why) in [
        ("violet harbour mistral 42", NEW, NEW, "another one"),
        (PASSWORD, NEW, "copper lantern orbit 9 quilt", "differ"),
        (PASSWORD, "short", "short", "12 to 128 characters"),
        (PASSWORD, "Password1234!", "Password1234!", "too easy to guess"),
        (PASSWORD, PASSWORD, PASSWORD, "the one that you have"),
    ] {
        let page = change_password(browser, old, new, repeated).await;
        assert_eq!(page.status(), 422);
        let refusal = page.text_of("[data-test=refusal]");
        assert!(refusal.contains(why), "{refusal}");
        assert!(!page.answer.text().contains(new), "no password comes back");
    }
    let page = change_password(browser, PASSWORD, NEW, NEW).await;
    let page = browser.follow(page).await.ok();
    assert!(
        page.text_of("[data-test=notice]")
            .contains("The password is changed.")
    );
    assert!(is_signed_in(browser).await);
    assert!(!is_signed_in(&mut stale).await, "the token is another one");
    assert_eq!(store.sql().await.rows("sessions").await, 1);
    let notice = mailbox.nth_to(ADA, 2).await;
    assert_eq!(notice.subject, "Your password was changed");

    let mut again = Newcomer::new(&server, ADA);
    let page = again.sign_in(PASSWORD).await;
    assert_eq!(page.status(), 422);
    let page = again.sign_in(NEW).await;
    assert!(page.url.starts_with("/sign-in/code"), "{}", page.url);
    let told = "SELECT count(*) AS n FROM audit_entries WHERE action = 'password.changed'";
    assert_eq!(store.sql().await.count(told).await, 1);
}

async fn a_new_address_counts_when_it_is_confirmed_and_the_old_one_is_told(kind: StoreKind) {
    let (store, server, mailbox, mut ada) = ada(kind).await;
    let new = "ada@new.example.com";
    for (wrong, why) in [("nonsense", "e-mail address"), (ADA, "the address that you have")] {
        let page = ask_for_address(&mut ada.browser, wrong).await;
        assert_eq!(page.status(), 422);
        assert!(
            page.text_of("[data-test=refusal]").contains(why),
            "{}",
            page.text()
        );
    }
    let page = ask_for_address(&mut ada.browser, new).await;
    let page = ada.browser.follow(page).await.ok();
    assert!(
        page.text_of("[data-test=notice]").contains("on its way"),
        "{}",
        page.text()
    );
    assert_eq!(page.text_of("[data-test=email]"), ADA);

    let link = mailbox.nth_to(new, 1).await.paths().remove(0);
    let mut elsewhere = Browser::new(&server);
    let page = elsewhere.visit(&link).await.ok();
    assert_eq!(elsewhere.submit(page.form("/links/")).await.status(), 303);
    let page = ada.browser.visit("/account").await.ok();
    assert_eq!(page.text_of("[data-test=email]"), new);
    let notice = mailbox.nth_to(ADA, 2).await;
    assert_eq!(notice.subject, "Your e-mail address was changed");
    assert_eq!(Newcomer::new(&server, ADA).sign_in(PASSWORD).await.status(), 422);
    let page = Newcomer::new(&server, new).sign_in(PASSWORD).await;
    assert!(page.url.starts_with("/sign-in/code"), "{}", page.url);
    let told = "SELECT count(*) AS n FROM audit_entries WHERE action = 'email.changed'";
    assert_eq!(store.sql().await.count(told).await, 1);
}

async fn an_address_that_somebody_has_is_not_told_and_not_taken(kind: StoreKind) {
    let (_store, server, mailbox, mut ada) = ada(kind).await;
    let bob = "bob@example.com";
    Newcomer::sign_up(&server, &mailbox, bob, "Other").await;
    let taken = ask_for_address(&mut ada.browser, bob).await;
    let free = ask_for_address(&mut ada.browser, "free@example.com").await;
    assert_eq!(
        (taken.status(), taken.location()),
        (free.status(), free.location())
    );
    mailbox.nth_to("free@example.com", 1).await;
    assert_eq!(mailbox.mails_to(bob).len(), 1, "the one by which bob signed up");

    // Free when it was asked for, and somebody's when it is confirmed.
    let link = mailbox.nth_to("free@example.com", 1).await.paths().remove(0);
    let mut other = Newcomer::new(&server, "free@example.com");
    other.ask_to_sign_up("Third").await;
    let confirm = mailbox.nth_to("free@example.com", 2).await.paths().remove(0);
    let page = other.browser.visit(&confirm).await.ok();
    assert_eq!(other.browser.submit(confirming(&page)).await.status(), 303);
    let page = ada.browser.visit(&link).await.ok();
    assert_eq!(ada.browser.submit(page.form("/links/")).await.status(), 410);
    let page = ada.browser.visit("/account").await.ok();
    assert_eq!(page.text_of("[data-test=email]"), ADA);
}

async fn guesses_at_the_old_password_are_counted_with_those_at_the_sign_in(kind: StoreKind) {
    let (store, server, _mailbox, mut ada) = ada(kind).await;
    ada.browser.cookies.remove("device");
    let wrong = "violet harbour mistral 42";
    for _ in 0..5 {
        change_password(&mut ada.browser, wrong, NEW, NEW).await;
    }
    let more = "UPDATE guesses SET failures = failures + 100";
    store.sql().await.run(more).await;
    let page = change_password(&mut ada.browser, PASSWORD, NEW, NEW).await;
    assert_eq!(page.status(), 422);
    let refusal = page.text_of("[data-test=refusal]");
    assert!(refusal.contains("Try again in"), "{refusal}");
    let page = Newcomer {
        browser: Browser::new(&server),
        ..ada
    }
    .sign_in(PASSWORD)
    .await;
    assert_eq!(page.status(), 422);
}
