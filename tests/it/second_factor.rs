//! The second factor: setting it up, signing in with it, losing the device, and organizations that require it.

use sendpromptly_tests::browser::Browser;
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::page::Page;
use sendpromptly_tests::person::{Person, give_code, give_password};
use sendpromptly_tests::server::Options;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::totp::totp_in_steps;
use sendpromptly_tests::world::World;

on_both_stores!(
    a_set_up_shows_picture_secret_and_codes_and_is_confirmed_by_a_code,
    the_password_alone_opens_nothing,
    a_code_is_good_once_and_a_session_gets_another_token_with_it,
    of_many_browsers_at_once_one_gets_in_with_a_code,
    a_recovery_code_lets_in_once,
    guesses_are_slowed_down_and_the_password_does_not_help,
    a_changed_factor_ends_the_other_sessions,
    an_organization_that_requires_it_keeps_out_who_has_none,
    changes_and_failures_are_told_in_the_audit_log,
);

async fn is_in(browser: &mut Browser) -> bool {
    browser.get("/account/security").await.status() == 200
}

fn leads_in(page: &Page) -> bool {
    page.status() == 303 && page.location() == Some("/")
}

async fn a_set_up_shows_picture_secret_and_codes_and_is_confirmed_by_a_code(kind: StoreKind) {
    let world = World::start(kind).await;
    let mut browser = give_password(&world.server).await;
    let page = browser.visit("/account/second-factor").await.ok();
    let page = browser.submit_and_follow(page.form("/begin")).await.ok();
    assert!(page.has("svg[role=img]") && page.has("svg path"));
    let secret = page.text_of("[data-test=secret]");
    assert_eq!(secret.replace(' ', "").len(), 32, "160 bits: {secret}");

    let wrong = browser.submit(page.form("/set-up").set("code", "000000")).await;
    assert_eq!(wrong.status(), 422, "{}", wrong.text());
    assert_eq!(
        wrong.text_of("[data-test=secret]"),
        secret,
        "it can be tried again"
    );
    let form = wrong.form("/set-up").set("code", totp_in_steps(&secret, 0));
    let page = browser.submit(form).await.ok();
    let codes = page.texts_of("[data-test=codes] li");
    assert_eq!(codes.len(), 10);
    let link = page.all("a[download]")[0];
    let file = link.attribute("href").unwrap();
    assert!(file.starts_with("data:text/plain"), "{file}");
    assert!(codes.iter().all(|code| file.contains(code.as_str())), "{file}");

    let page = browser.click("/account/security?done=second-factor").await.ok();
    assert!(
        page.text_of("[data-test=second-factor]")
            .contains("10 recovery codes are left")
    );
    assert!(!page.text().contains(&codes[0]), "they are shown once");
    let gone = browser.get("/account/second-factor/set-up").await;
    assert_eq!(gone.status(), 303, "the secret is shown no more");
    // The page with the codes bears forms that are good: its session has another token since.
    let page = browser.get("/account/security").await.ok();
    assert_eq!(browser.submit(page.form("/sign-out")).await.status(), 303);
}

async fn the_password_alone_opens_nothing(kind: StoreKind) {
    let world = World::start(kind).await;
    Person::set_up(&world).await;
    let mut browser = give_password(&world.server).await;
    for path in [
        "/orgs".to_owned(),
        "/account/security".to_owned(),
        "/account/second-factor".to_owned(),
        "/account/second-factor/set-up".to_owned(),
        format!("/orgs/{}", world.organization),
    ] {
        let page = browser.get(&path).await;
        assert_eq!(
            (page.status(), page.location()),
            (303, Some("/sign-in/code")),
            "{path}"
        );
    }
    // As if ten minutes had passed since: the password must be given again.
    let sql = world.sql().await;
    sql.run("UPDATE sessions SET created_at = created_at - 601000 WHERE complete = 0")
        .await;
    let page = browser.get("/sign-in/code").await;
    assert_eq!(page.location(), Some("/sign-in?then=%2F"));
}

async fn a_code_is_good_once_and_a_session_gets_another_token_with_it(kind: StoreKind) {
    let world = World::start(kind).await;
    let person = Person::set_up(&world).await;
    let mut browser = give_password(&world.server).await;
    let before = browser.cookies.find("session").unwrap().value.clone();
    let code = person.code();
    assert!(leads_in(&give_code(&mut browser, &code).await));
    assert!(is_in(&mut browser).await);
    assert_ne!(browser.cookies.find("session").unwrap().value, before);

    let (mut second, page) = person.sign_in_anew(&world.server, &code).await;
    assert_eq!(page.status(), 422);
    assert!(page.text_of("[data-test=refusal]").contains("used before"));
    assert!(!is_in(&mut second).await);
}

async fn of_many_browsers_at_once_one_gets_in_with_a_code(kind: StoreKind) {
    let world = World::start(kind).await;
    let person = Person::set_up(&world).await;
    let mut browser = give_password(&world.server).await;
    let other_node = match kind {
        StoreKind::Postgres => Some(world.start_second_node(&Options::quick()).await),
        StoreKind::Sqlite => None,
    };
    let code = person.code();
    let mut forms = Vec::new();
    for _ in 0..30 {
        let form = browser.get("/sign-in/code").await.ok().form("/sign-in/code");
        forms.push(form.set("code", code.clone()));
    }
    let tries = forms.into_iter().enumerate().map(|(number, form)| {
        let mut browser = match &other_node {
            Some(node) if number % 2 == 1 => browser.moved_to(node),
            _ => browser.clone(),
        };
        tokio::spawn(async move { browser.submit(form).await })
    });
    let tries: Vec<_> = tries.collect();
    let mut entered = 0;
    for tried in tries {
        let page = tried.await.unwrap();
        entered += usize::from(leads_in(&page));
        // The others come too late, must wait, or have lost their session to the one that got in.
        assert!(
            matches!(page.status(), 303 | 403 | 422 | 429),
            "{} {}",
            page.status(),
            page.text()
        );
    }
    assert_eq!(entered, 1);
    let sql = world.sql().await;
    let told = "SELECT count(*) AS n FROM audit_entries WHERE action = 'login.succeeded'";
    let before = 1; // the owner's own sign-in before the set-up
    assert_eq!(sql.count(told).await, before + 1);
}

async fn a_recovery_code_lets_in_once(kind: StoreKind) {
    let world = World::start(kind).await;
    let person = Person::set_up(&world).await;
    let typed = person.recovery_codes[4].to_uppercase().replace('-', " ");
    let (mut browser, page) = person.sign_in_anew(&world.server, &typed).await;
    let page = browser.follow(page).await.ok();
    assert!(page.text_of("[data-test=notice]").contains("recovery code"));
    assert!(
        page.text_of("[data-test=codes-left]")
            .contains("9 recovery codes are left")
    );
    assert_eq!(page.link("Go on"), "/");

    let (mut second, page) = person.sign_in_anew(&world.server, &typed).await;
    assert_eq!(page.status(), 422);
    assert!(!is_in(&mut second).await);

    // The code counts as one shown now, so it makes new ones, and with them the old ones end.
    let page = browser.get("/account/second-factor").await.ok();
    let page = browser.submit(page.form("/recovery-codes")).await.ok();
    let new = page.texts_of("[data-test=codes] li");
    assert_eq!(new.len(), 10);
    let (_, page) = person
        .sign_in_anew(&world.server, &person.recovery_codes[0])
        .await;
    assert_eq!(page.status(), 422);
    let (_, page) = person.sign_in_anew(&world.server, &new[0]).await;
    assert_eq!(page.status(), 303);
}

async fn guesses_are_slowed_down_and_the_password_does_not_help(kind: StoreKind) {
    let world = World::start(kind).await;
    let person = Person::set_up(&world).await;
    let mut browser = give_password(&world.server).await;
    let mut guesses = 0;
    let waiting = loop {
        let page = give_code(&mut browser, "000000").await;
        if page.status() == 429 {
            break page;
        }
        assert_eq!(page.status(), 422);
        guesses += 1;
        assert!(guesses < 20, "nobody may guess on and on");
    };
    let wait: u64 = waiting.header("retry-after").unwrap().parse().unwrap();
    assert!(wait > 0);
    // Neither the right code nor the first factor once more makes room.
    let (mut second, page) = person.sign_in_anew(&world.server, &person.code()).await;
    assert_eq!(page.status(), 429, "{}", page.text());
    assert!(!is_in(&mut second).await);
    let (_, page) = person
        .sign_in_anew(&world.server, &person.recovery_codes[0])
        .await;
    assert_eq!(page.status(), 429, "recovery codes are guesses as well");
    // After the wait it does.
    let sql = world.sql().await;
    sql.run("UPDATE guesses SET last_at = last_at - 14400000").await;
    let (mut second, page) = person.sign_in_anew(&world.server, &person.code()).await;
    assert!(leads_in(&page), "{} {}", page.status(), page.text());
    assert!(is_in(&mut second).await);
}

async fn a_changed_factor_ends_the_other_sessions(kind: StoreKind) {
    let world = World::start(kind).await;
    let mut person = Person::set_up(&world).await;
    let old = person.clone();
    let (mut elsewhere, page) = person.sign_in_anew(&world.server, &person.code()).await;
    assert!(leads_in(&page));
    person.take_device().await;
    assert!(is_in(&mut person.browser).await);
    assert!(!is_in(&mut elsewhere).await);
    assert!(
        !is_in(&mut old.browser.clone()).await,
        "its token has been replaced"
    );
    let (_, page) = old
        .sign_in_anew(&world.server, &totp_in_steps(&old.secret, 1))
        .await;
    assert_eq!(page.status(), 422, "the old device is worth nothing any more");
    let (_, page) = old.sign_in_anew(&world.server, &old.recovery_codes[0]).await;
    assert_eq!(page.status(), 422);

    let (mut elsewhere, page) = person
        .sign_in_anew(&world.server, &totp_in_steps(&person.secret, 1))
        .await;
    assert!(leads_in(&page), "{}", page.text());
    let page = person.browser.get("/account/second-factor").await.ok();
    let page = person
        .browser
        .submit_and_follow(page.form("/turn-off"))
        .await
        .ok();
    assert!(
        page.text_of("[data-test=notice]").contains("off"),
        "{}",
        page.text()
    );
    assert!(!is_in(&mut elsewhere).await);
    let mut browser = give_password(&world.server).await;
    assert!(is_in(&mut browser).await, "the password is enough again");
}

/// Makes a member of the organization whose password is the owner's, and signs in.
async fn colleague(world: &World) -> Browser {
    let sql = world.sql().await;
    let (organization, user) = (
        sql.id(&world.organization),
        sql.id("usr_000000000000700080000000000000ff"),
    );
    sql.run(&format!(
        "INSERT INTO users (id, email, email_key, password_hash, created_at) \
         SELECT {user}, 'bob@example.com', 'bob@example.com', password_hash, created_at FROM users"
    ))
    .await;
    sql.run(&format!(
        "INSERT INTO members (organization_id, user_id, role, created_at) VALUES ({organization}, {user}, 'admin', 1)"
    ))
    .await;
    let mut browser = Browser::new(&world.server);
    let form = browser.get("/sign-in").await.ok().form("/sign-in");
    let form = form
        .set("email", "bob@example.com")
        .set("password", "correct horse battery");
    assert_eq!(browser.submit(form).await.status(), 303);
    browser
}

async fn an_organization_that_requires_it_keeps_out_who_has_none(kind: StoreKind) {
    let world = World::start(kind).await;
    let mut person = Person::set_up(&world).await;
    let mut bob = colleague(&world).await;
    let organization = format!("/orgs/{}", world.organization);
    let security = format!("{organization}/settings/security");
    // Whoever has none cannot require one of others.
    let page = bob.get(&security).await.ok();
    assert!(page.forms().iter().all(|form| form.action != security));
    let token = page.form("/sign-out").value("form").to_owned();
    let refused = bob
        .post(&security, &[("form", &token), ("second_factor", "required")])
        .await;
    assert_eq!(refused.location(), Some("/account/second-factor?needed=1"));
    assert_eq!(bob.get(&organization).await.status(), 200);

    let page = person.browser.get(&security).await.ok();
    assert!(
        page.text_of("[data-test=without]")
            .contains("1 member has no second factor")
    );
    let page = person.browser.submit_and_follow(page.form(&security)).await.ok();
    assert!(page.text_of("[data-test=requirement]").starts_with("Required"));

    let other_node = match kind {
        StoreKind::Postgres => Some(world.start_second_node(&Options::quick()).await),
        StoreKind::Sqlite => None,
    };
    let mut at = vec![bob.clone()];
    at.extend(other_node.iter().map(|node| bob.moved_to(node)));
    for bob in &mut at {
        for path in [&organization, &security] {
            let page = bob.get(path).await;
            assert_eq!(
                page.location(),
                Some("/account/second-factor?required=1"),
                "{path}"
            );
        }
        let token = bob
            .get("/account/security")
            .await
            .ok()
            .form("/sign-out")
            .value("form")
            .to_owned();
        let posted = bob
            .post(
                &format!("{organization}/projects"),
                &[("form", &token), ("name", "x")],
            )
            .await;
        assert_eq!(posted.location(), Some("/account/second-factor?required=1"));
    }
    let page = bob.visit("/account/second-factor?required=1").await.ok();
    assert!(page.text_of("[data-test=reason]").contains("requires"));
    let page = bob.submit_and_follow(page.form("/begin")).await.ok();
    let code = totp_in_steps(&page.text_of("[data-test=secret]"), 0);
    bob.submit(page.form("/set-up").set("code", code)).await.ok();
    assert_eq!(bob.get(&organization).await.status(), 200);

    // While it is required it cannot be turned off.
    let page = bob.get("/account/second-factor").await.ok();
    let page = bob.submit_and_follow(page.form("/turn-off")).await.ok();
    assert!(
        page.text_of("[data-test=notice]").contains("stays on"),
        "{}",
        page.text()
    );
    let page = person.browser.get(&security).await.ok();
    let page = person.browser.submit_and_follow(page.form(&security)).await.ok();
    assert!(
        page.text_of("[data-test=requirement]")
            .starts_with("Not required")
    );
}

async fn changes_and_failures_are_told_in_the_audit_log(kind: StoreKind) {
    let world = World::start(kind).await;
    let mut person = Person::set_up(&world).await;
    let (_, page) = person.sign_in_anew(&world.server, "000000").await;
    assert_eq!(page.status(), 422);
    let (_, page) = person
        .sign_in_anew(&world.server, &person.recovery_codes[0])
        .await;
    assert_eq!(page.status(), 303);
    person.take_device().await;
    let page = person.browser.get("/account/second-factor").await.ok();
    person.browser.submit(page.form("/recovery-codes")).await.ok();
    let page = person.browser.get("/account/second-factor").await.ok();
    person.browser.submit(page.form("/turn-off")).await;
    let sql = world.sql().await;
    let told = sql
        .texts(
            "SELECT action AS t FROM audit_entries
             WHERE action LIKE 'second_factor.%' OR action LIKE 'recovery_code%' OR action LIKE 'login.%' ORDER BY seq",
        )
        .await;
    let told: Vec<_> = told.iter().map(String::as_str).collect();
    assert_eq!(
        told,
        [
            "login.succeeded",
            "second_factor.enabled",
            "recovery_codes.made",
            "login.failed",
            "login.succeeded",
            "recovery_code.used",
            "second_factor.replaced",
            "recovery_codes.made",
            "recovery_codes.made",
            "second_factor.disabled",
        ]
    );
    let details = "SELECT d.details AS t FROM audit_details d JOIN audit_entries e
         ON e.organization_id = d.organization_id AND e.seq = d.seq WHERE e.action = 'recovery_code.used'";
    let details = sql.texts(details).await;
    assert_eq!(details, [r#"{"address":"127.0.0.1","left":"9"}"#]);
}
