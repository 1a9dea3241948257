//! What is sensitive takes a code, or without a second factor the password, that was shown within ten minutes:
//! walked over the console's own table of paths.

use sendpromptly_tests::browser::Browser;
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::page::Page;
use sendpromptly_tests::person::{Person, age_what_was_shown, give_password, let_codes_be_new};
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::world::World;

on_both_stores!(
    every_sensitive_form_asks_for_a_code_that_is_stale,
    a_form_goes_on_as_it_was_sent_once_the_code_is_there,
    the_code_of_the_sign_in_counts_for_its_session_for_ten_minutes,
    without_a_second_factor_sensitive_forms_lead_to_its_set_up,
    a_page_that_needs_it_leads_there_and_back,
    wrong_codes_are_counted_and_audited_wherever_they_are_given,
);

const ELEVEN_MINUTES: i64 = 660_000;

/// A form of the table that takes a step-up.
#[derive(Debug)]
struct Sensitive {
    path: String,
    takes_code: bool,
}

/// The forms of the console's table whose door asks for a code or the password.
fn sensitive(world: &World) -> Vec<Sensitive> {
    let table =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../sendpromptly-server/src/console/routes.rs");
    let table = std::fs::read_to_string(table).unwrap();
    let (_, table) = table.split_once("pub static ROUTES").unwrap();
    let table: String = table.split_whitespace().collect();
    let mut found = Vec::new();
    for kind in ["post(\"", "repeatable(\""] {
        for entry in table.split(kind).skip(1) {
            let (path, rest) = entry.split_once('"').unwrap();
            let (_, door) = rest.split_once("door!(").unwrap();
            let (door, _) = door.split_once("))").unwrap();
            let asks = |step_up: &str| door.split(['(', ',']).any(|word| word == step_up);
            if asks("Code") || asks("Password") {
                let path = path.replace("{org}", &world.organization);
                let path = path.replace("{project}", &world.project.id);
                found.push(Sensitive {
                    path: path.replace(['{', '}'], ""),
                    takes_code: asks("Code"),
                });
            }
        }
    }
    found
}

/// A token for a form of this browser.
async fn token(browser: &mut Browser) -> String {
    let page = browser.get("/account/security").await.ok();
    page.form("/sign-out").value("form").to_owned()
}

/// What there is that a form could have changed.
async fn stored(world: &World) -> Vec<i64> {
    let mut counts = Vec::new();
    let sql = world.sql().await;
    for table in [
        "audit_entries",
        "projects",
        "api_keys",
        "signing_secrets",
        "members",
        "users",
        "second_factors",
        "second_factor_proposals",
        "recovery_codes",
        "sessions",
    ] {
        counts.push(sql.rows(table).await);
    }
    counts
}

fn asks_for_a_code(page: &Page, path: &str) -> bool {
    let here = page.status() == 200
        && page.has("input[name=step_up_code]")
        && page.form(path).names().contains(&"step_up_code");
    let elsewhere = page
        .location()
        .is_some_and(|target| target.starts_with("/step-up?then="));
    here || (page.status() == 303 && elsewhere)
}

async fn every_sensitive_form_asks_for_a_code_that_is_stale(kind: StoreKind) {
    let world = World::start(kind).await;
    let mut person = Person::set_up(&world).await;
    let routes = sensitive(&world);
    for known in [
        "/projects",
        "/keys",
        "/secret",
        "/repair-url",
        "/delete",
        "/turn-off",
        "/recovery-codes",
    ] {
        assert!(
            routes.iter().any(|route| route.path.ends_with(known)),
            "{known} takes a code: {routes:?}"
        );
    }
    age_what_was_shown(&world, ELEVEN_MINUTES).await;
    let before = stored(&world).await;
    for route in &routes {
        let form = token(&mut person.browser).await;
        let page = person
            .browser
            .post(&route.path, &[("form", &form), ("name", "x")])
            .await;
        assert!(
            asks_for_a_code(&page, &route.path),
            "{route:?} {} {}",
            page.status(),
            page.text()
        );
        assert_eq!(stored(&world).await, before, "{route:?}");
    }
}

async fn a_form_goes_on_as_it_was_sent_once_the_code_is_there(kind: StoreKind) {
    let world = World::start(kind).await;
    let mut person = Person::set_up(&world).await;
    let path = format!("/orgs/{}/settings/security", world.organization);
    age_what_was_shown(&world, ELEVEN_MINUTES).await;
    let page = person.browser.get(&path).await.ok();
    let asked = person.browser.submit(page.form(&path)).await.ok();
    assert!(asks_for_a_code(&asked, &path));
    let wrong = asked.form(&path).set("step_up_code", "000000");
    let wrong = person.browser.submit(wrong).await;
    assert_eq!(wrong.status(), 422, "{}", wrong.text());
    assert!(wrong.has("[data-test=refusal]"));
    let form = wrong.form(&path).set("step_up_code", person.code());
    assert_eq!(form.value("second_factor"), "required", "the form is carried on");
    let page = person.browser.submit_and_follow(form).await.ok();
    assert!(
        page.text_of("[data-test=requirement]").starts_with("Required"),
        "{}",
        page.text()
    );
    // For ten minutes it counts for other forms as well.
    let page = person.browser.submit_and_follow(page.form(&path)).await.ok();
    assert!(
        page.text_of("[data-test=requirement]")
            .starts_with("Not required")
    );
}

async fn the_code_of_the_sign_in_counts_for_its_session_for_ten_minutes(kind: StoreKind) {
    let world = World::start(kind).await;
    let person = Person::set_up(&world).await;
    age_what_was_shown(&world, ELEVEN_MINUTES).await;
    let (mut browser, page) = person.sign_in_anew(&world.server, &person.code()).await;
    assert_eq!(page.status(), 303);
    let path = "/account/second-factor/recovery-codes";
    age_what_was_shown(&world, 590_000).await;
    let page = browser.get("/account/second-factor").await.ok();
    let page = browser.submit(page.form(path)).await.ok();
    assert!(page.has("[data-test=codes]"), "{}", page.text());
    // That has ended the other session; this one's code is of now, for a change of the factor takes one.
    age_what_was_shown(&world, 600_001).await;
    let page = browser.get("/account/second-factor").await.ok();
    let page = browser.submit(page.form(path)).await;
    assert!(asks_for_a_code(&page, path), "{} {}", page.status(), page.text());
}

async fn without_a_second_factor_sensitive_forms_lead_to_its_set_up(kind: StoreKind) {
    let world = World::start(kind).await;
    let mut browser = give_password(&world.server).await;
    age_what_was_shown(&world, ELEVEN_MINUTES).await;
    for route in sensitive(&world) {
        let form = token(&mut browser).await;
        let page = browser.post(&route.path, &[("form", &form), ("name", "x")]).await;
        if route.takes_code {
            let target = page.location();
            assert_eq!(
                target,
                Some("/account/second-factor?needed=1"),
                "{route:?} {}",
                page.text()
            );
        } else {
            let asks = page.has("input[name=step_up_password]") || page.status() == 303;
            assert!(asks, "{route:?} {} {}", page.status(), page.text());
        }
    }
    // The first set-up takes the password.
    let page = browser.get("/account/second-factor").await.ok();
    let asked = browser.submit(page.form("/begin")).await.ok();
    let wrong = asked
        .form("/begin")
        .set("step_up_password", "wrong horse battery");
    let asked = browser.submit(wrong).await;
    assert_eq!(asked.status(), 422);
    let right = asked
        .form("/begin")
        .set("step_up_password", "correct horse battery");
    let page = browser.submit_and_follow(right).await.ok();
    assert!(page.has("[data-test=secret]"), "{}", page.text());
}

async fn a_page_that_needs_it_leads_there_and_back(kind: StoreKind) {
    let world = World::start(kind).await;
    let mut person = Person::set_up(&world).await;
    let page = person.browser.get("/account/second-factor").await.ok();
    person.browser.submit(page.form("/begin")).await;
    age_what_was_shown(&world, ELEVEN_MINUTES).await;
    let page = person.browser.visit("/account/second-factor/set-up").await.ok();
    assert!(page.url.starts_with("/step-up?then="), "{}", page.url);
    let form = page.form("/step-up").set("step_up_code", person.code());
    let page = person.browser.submit_and_follow(form).await.ok();
    assert_eq!(page.url, "/account/second-factor/set-up");
    let page = person.browser.get("/step-up?then=https://example.com/").await;
    assert_eq!(page.location(), Some("/"), "it leads to no other site");
}

async fn wrong_codes_are_counted_and_audited_wherever_they_are_given(kind: StoreKind) {
    let world = World::start(kind).await;
    let mut person = Person::set_up(&world).await;
    age_what_was_shown(&world, ELEVEN_MINUTES).await;
    let path = "/account/second-factor/turn-off";
    let mut page = person.browser.get("/account/second-factor").await.ok();
    page = person.browser.submit(page.form(path)).await.ok();
    let mut guesses = 0;
    while page.status() != 429 {
        assert!(guesses < 20, "nobody may guess on and on");
        guesses += 1;
        page = person
            .browser
            .submit(page.form(path).set("step_up_code", "000000"))
            .await;
    }
    assert!(page.header("retry-after").is_some());
    let right = page.form(path).set("step_up_code", person.code());
    assert_eq!(person.browser.submit(right).await.status(), 429);
    let page = person.browser.get("/step-up?then=/").await.ok();
    let right = page
        .form("/step-up")
        .set("step_up_code", &*person.recovery_codes[0]);
    assert_eq!(person.browser.submit(right).await.status(), 429);
    let_codes_be_new(&world).await;
    let sql = world.sql().await;
    assert_eq!(sql.rows("second_factors").await, 1);
    let told = "SELECT count(*) AS n FROM audit_entries WHERE action = 'login.failed'";
    assert_eq!(sql.count(told).await, guesses + 2, "each is audited");
}
