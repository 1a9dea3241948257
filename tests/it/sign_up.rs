//! Signing up: who may, what is told, and what is made when.

use sendpromptly_tests::browser::Browser;
use sendpromptly_tests::mail::Mailbox;
use sendpromptly_tests::newcomer::{Newcomer, PASSWORD, confirming};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::people::{member, owner};
use sendpromptly_tests::server::{Options, Server};
use sendpromptly_tests::store::{StoreKind, TestStore};
use sendpromptly_tests::world::World;

on_both_stores!(
    a_person_signs_up_and_owns_an_organization,
    nothing_is_made_before_the_address_is_confirmed,
    only_whoever_knows_the_password_of_the_sign_up_confirms_it,
    a_known_address_gets_the_same_answer_and_a_mail_that_says_so,
    a_form_that_is_wrong_is_refused_in_words,
    on_invitation_only_nobody_signs_up,
    on_invitation_only_owners_alone_make_another_organization,
    an_address_gets_five_mails_an_hour,
    a_network_signs_up_twenty_times_an_hour,
);

async fn serving(kind: StoreKind) -> (TestStore, Server, Mailbox) {
    let store = TestStore::new(kind).await;
    let server = Server::start(&store, &Options::quick()).await;
    let mailbox = Mailbox::of(&store);
    (store, server, mailbox)
}

async fn a_person_signs_up_and_owns_an_organization(kind: StoreKind) {
    let (store, server, mailbox) = serving(kind).await;
    let (mut ada, organization) = Newcomer::sign_up(&server, &mailbox, "ada@example.com", "Löwe & Co").await;
    let page = ada.browser.visit("/orgs?all=1").await.ok();
    assert!(page.text().contains("Löwe & Co owner"), "{}", page.text());
    let sql = store.sql().await;
    let actions = sql
        .texts("SELECT action AS t FROM audit_entries ORDER BY seq")
        .await;
    assert_eq!(&actions[..2], ["organization.created", "user.created"]);
    let actors = sql.texts("SELECT DISTINCT actor AS t FROM audit_entries").await;
    assert!(actors.iter().all(|actor| actor.starts_with("usr_")), "{actors:?}");
    assert!(organization.starts_with("org_"));
}

async fn nothing_is_made_before_the_address_is_confirmed(kind: StoreKind) {
    let (store, server, mailbox) = serving(kind).await;
    let mut ada = Newcomer::new(&server, "ada@example.com");
    let asked = ada.ask_to_sign_up("Acme").await;
    let told = ada.browser.follow(asked).await.ok();
    // Whoever only tries it out is told where the mail went.
    assert!(told.text_of("[data-test=in-files]").contains("--smtp-url"));
    let mail = mailbox.nth_to("ada@example.com", 1).await;
    assert_eq!(mail.subject, "Confirm your e-mail address");
    assert!(
        !mail.text.contains("Acme"),
        "a stranger chooses no text of a mail"
    );
    let page = ada.sign_in(PASSWORD).await;
    assert!(
        page.has("[data-test=refusal]"),
        "{}: {}",
        page.text(),
        server.log()
    );
    let sql = store.sql().await;
    assert_eq!((sql.rows("users").await, sql.rows("organizations").await), (0, 0));
}

async fn only_whoever_knows_the_password_of_the_sign_up_confirms_it(kind: StoreKind) {
    let (store, server, mailbox) = serving(kind).await;
    let mut mallory = Newcomer::new(&server, "ada@example.com");
    mallory.ask_to_sign_up("Acme").await;
    let link = mailbox.nth_to("ada@example.com", 1).await.paths().remove(0);
    let mut ada = Browser::new(&server);
    let page = ada.visit(&link).await.ok();
    assert!(
        page.text().contains("the password you chose when you signed up"),
        "{}",
        page.text()
    );
    let mut page = page;
    for password in ["", "some other password 7"] {
        page = ada.submit(page.form("/links/").set("password", password)).await;
        assert_eq!(page.status(), 422);
        assert!(
            page.text_of("[data-test=refusal]").contains("not the password"),
            "{}",
            page.text()
        );
    }
    let sql = store.sql().await;
    assert_eq!((sql.rows("users").await, sql.rows("organizations").await), (0, 0));
    // The link is still good for whoever knows it, until there were too many tries.
    for _ in 2..5 {
        let wrong = page.form("/links/").set("password", "some other password 7");
        page = ada.submit(wrong).await;
    }
    let page = ada.submit(confirming(&page)).await;
    assert_eq!(page.status(), 422, "it must wait");
    assert!(page.header("retry-after").is_some());
    assert_eq!(sql.rows("users").await, 0);
}

async fn a_known_address_gets_the_same_answer_and_a_mail_that_says_so(kind: StoreKind) {
    let (store, server, mailbox) = serving(kind).await;
    Newcomer::sign_up(&server, &mailbox, "ada@example.com", "Acme").await;
    let mut known = Newcomer::new(&server, "Ada@Example.com");
    let mut unknown = Newcomer::new(&server, "bob@example.com");
    let answers = [
        known.ask_to_sign_up("Other").await,
        unknown.ask_to_sign_up("Other").await,
    ];
    let told = answers
        .each_ref()
        .map(|page| (page.status(), page.location().map(str::to_owned)));
    assert_eq!(told[0], told[1]);
    let mail = mailbox.nth_to("ada@example.com", 2).await;
    assert_eq!(mail.subject, "You have an account already");
    assert_eq!(mail.paths(), ["/sign-in", "/reset"]);
    let sql = store.sql().await;
    assert_eq!(
        sql.count("SELECT count(*) AS n FROM sign_ups").await,
        1,
        "Bob's alone"
    );
    assert_eq!(sql.rows("users").await, 1);
}

async fn a_form_that_is_wrong_is_refused_in_words(kind: StoreKind) {
    let (_store, server, _) = serving(kind).await;
    let mut browser = Browser::new(&server);
    for (email, organization, password, repeated, word) in [
        ("ada", "Acme", PASSWORD, PASSWORD, "e-mail address"),
        (
            "ada@example.com",
            "a\u{7}b",
            PASSWORD,
            PASSWORD,
            "organization's name",
        ),
        ("ada@example.com", "Acme", "short", "short", "12 to 128"),
        (
            "ada@example.com",
            "Acme",
            PASSWORD,
            "another one entirely",
            "differ",
        ),
        ("ada@example.com", "Acme", "password1234", "password1234", "guess"),
    ] {
        let page = browser.visit("/sign-up").await.ok();
        let form = page
            .form("/sign-up")
            .set("email", email)
            .set("organization", organization);
        let form = form
            .set("new_password", password)
            .set("repeat_password", repeated);
        let page = browser.submit(form).await;
        assert_eq!(page.status(), 422, "{word}");
        let refusal = page.text_of("[data-test=refusal]");
        assert!(refusal.contains(word), "{refusal}");
        assert!(!page.answer.text().contains(password), "no password comes back");
        assert_eq!(
            page.form("/sign-up").value("email"),
            email,
            "what was typed stays"
        );
    }
}

async fn on_invitation_only_nobody_signs_up(kind: StoreKind) {
    let store = TestStore::new(kind).await;
    let mut server = Server::start(&store, &Options::quick().set("--signup", "open")).await;
    let mut browser = Browser::new(&server);
    let form = browser.visit("/sign-up").await.ok().form("/sign-up");
    server.kill().await;
    let server = Server::start(&store, &Options::quick().set("--signup", "invite")).await;
    let mut browser = browser.moved_to(&server);
    let page = browser.visit("/sign-up").await.ok();
    assert!(page.has("[data-test=closed]"), "{}", page.text());
    let form = form.set("email", "ada@example.com").set("organization", "Acme");
    let form = form
        .set("new_password", PASSWORD)
        .set("repeat_password", PASSWORD);
    assert_eq!(browser.submit(form).await.status(), 403);
    assert_eq!(store.sql().await.rows("sign_ups").await, 0);
    assert!(
        browser
            .visit("/sign-in")
            .await
            .ok()
            .all("a[href=/sign-up]")
            .is_empty()
    );
}

async fn on_invitation_only_owners_alone_make_another_organization(kind: StoreKind) {
    let world = World::start_with(kind, &Options::quick().set("--signup", "invite"), &[]).await;
    let mut owner = owner(&world).await;
    let mut admin = member(&world, "admin").await;
    let page = admin.visit("/orgs?all=1").await.ok();
    assert!(!page.has("[data-test=new-organization]"));
    let token = page.form("/sign-out").value("form").to_owned();
    for refused in [
        admin.visit("/orgs/new").await,
        admin
            .post("/orgs/new", &[("form", &token), ("name", "Other")])
            .await,
    ] {
        assert_eq!(refused.status(), 403);
        assert!(refused.text_of("[data-test=closed]").contains("Ask an owner"));
    }
    let page = owner.visit("/orgs?all=1").await.ok();
    assert!(page.has("[data-test=new-organization]"));
    let form = owner.visit("/orgs/new").await.ok().form("/orgs/new");
    let made = owner.submit(form.set("name", "Other")).await;
    assert_eq!(made.status(), 303);
    assert_eq!(world.sql().await.rows("organizations").await, 2);
}

async fn an_address_gets_five_mails_an_hour(kind: StoreKind) {
    let (store, server, mailbox) = serving(kind).await;
    let mut ada = Newcomer::new(&server, "ada@example.com");
    let mut answers = Vec::new();
    for _ in 0..7 {
        answers.push(ada.ask_to_sign_up("Acme").await.location().map(str::to_owned));
    }
    assert!(
        answers
            .iter()
            .all(|answer| answer.as_deref() == Some("/sign-up/sent"))
    );
    // Bob's comes after all of hers.
    Newcomer::new(&server, "bob@example.com")
        .ask_to_sign_up("Other")
        .await;
    mailbox.nth_to("bob@example.com", 1).await;
    let hers = mailbox.mails_to("ada@example.com").len();
    let hour_turned = store
        .sql()
        .await
        .count("SELECT count(DISTINCT hour) AS n FROM mail_rates")
        .await
        > 1;
    assert!(hers == 5 || hour_turned, "{hers}");
}

async fn a_network_signs_up_twenty_times_an_hour(kind: StoreKind) {
    let (store, server, _mailbox) = serving(kind).await;
    let sql = store.sql().await;
    let mut page = Newcomer::new(&server, "user@example.com")
        .ask_to_sign_up("Acme")
        .await;
    for number in 0..25 {
        let mut person = Newcomer::new(&server, &format!("user-{number}@example.com"));
        page = person.ask_to_sign_up("Acme").await;
    }
    let hour_turned = sql
        .count("SELECT count(DISTINCT hour) AS n FROM mail_rates")
        .await
        > 1;
    assert!(page.status() == 422 || hour_turned, "{}", page.status());
    let refusal = "[data-test=refusal]";
    assert!(hour_turned || page.text_of(refusal).contains("from your network"));
    assert!(hour_turned || sql.rows("sign_ups").await == 20);
}
