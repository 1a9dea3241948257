//! Every path of the table, asked for by everybody who must not come in and by those who may.
//!
//! The cases are made from the table itself, so a new route is in them without anybody's doing; one whose parts
//! have no sample fails every test here.

use hyper::Method;
use sendpromptly_core::access::{LATELY, Role, StepUp};

use super::routes::{Door, FormUse, ROUTES, Route};
use crate::testing::console::{Answer, Ask, House, Person};
use crate::testing::estate::{Estate, fill, parts};

mod samples;
mod strangers;
mod told;

/// A code shown so long ago counts no longer.
fn stale() -> i64 {
    i64::try_from(LATELY.as_millis()).unwrap() + 60_000
}

async fn estate() -> (House, Estate) {
    let house = House::open().await;
    let estate = Estate::found(&house, "first").await;
    (house, estate)
}

fn path(route: &Route, estate: &Estate) -> String {
    fill(route, |name| estate.ids.get(name).cloned())
}

fn ask(route: &Route, path: &str) -> Ask {
    Ask::new(route.method.clone(), path)
}

fn sends(route: &Route) -> bool {
    *route.method == Method::POST
}

const fn step_up(route: &Route) -> StepUp {
    match route.door {
        Door::Anyone(_) => StepUp::No,
        Door::SignedIn(step_up, _) | Door::Member(_, step_up, _) => step_up,
    }
}

/// A fresh member of the estate, who has just shown a code or did so long ago.
async fn member(house: &House, estate: &Estate, role: Role, ago: i64) -> Person {
    let person = house.person(&format!("{}@example.com", unique())).await;
    house.join(&person, estate.world.organization, role).await;
    house.sign_in_with_code(&person, ago).await
}

/// A name that nobody has had before.
fn unique() -> String {
    let random: [u8; 16] = crate::platform::entropy::bytes();
    sendpromptly_core::hex::encode(&random)
}

fn told(route: &Route, answer: &Answer) -> String {
    let main = answer.body.find("<main").unwrap_or_default();
    let body: String = answer.body[main..].chars().take(3_000).collect();
    format!(
        "{} {}: {} {}\n{body}",
        route.method,
        route.path,
        answer.status,
        answer.location()
    )
}

#[tokio::test]
async fn whoever_is_not_signed_in_is_led_to_the_sign_in() {
    let (house, estate) = estate().await;
    for route in ROUTES {
        if matches!(route.door, Door::Anyone(_)) {
            continue;
        }
        let visitor = house.visitor();
        let asked = ask(route, &path(route, &estate)).with_form_of(&visitor);
        let answer = house.send(&visitor, asked).await;
        assert_eq!(answer.status, 303, "{}", told(route, &answer));
        let sign_in = if sends(route) {
            "/sign-in"
        } else {
            "/sign-in?then=%2F"
        };
        assert!(answer.location().starts_with(sign_in), "{}", told(route, &answer));

        let halfway = house.sign_in_halfway(&estate.owner).await;
        let asked = ask(route, &path(route, &estate)).with_form_of(&halfway);
        let answer = house.send(&halfway, asked).await;
        assert_eq!(
            (answer.status.as_u16(), answer.location()),
            (303, "/sign-in/code"),
            "{}",
            told(route, &answer)
        );
    }
}

#[tokio::test]
async fn a_role_below_the_least_one_is_refused_and_the_least_one_is_not() {
    let (house, estate) = estate().await;
    // Pages first: forms may delete what they show.
    let mut routes: Vec<_> = ROUTES.iter().collect();
    routes.sort_by_key(|route| sends(route));
    for route in routes {
        let Door::Member(least, ..) = route.door else {
            continue;
        };
        for role in Role::ALL {
            let person = member(&house, &estate, *role, 0).await;
            let mut asked = ask(route, &path(route, &estate)).with_form_of(&person);
            if sends(route) {
                asked
                    .fields
                    .extend(samples::of(route).fields(&estate, &person.email));
            }
            let answer = house.send(&person, asked).await;
            let case = format!("{role}: {}", told(route, &answer));
            if *role < least {
                assert_eq!(answer.status, 403, "{case}");
                continue;
            }
            assert!(answer.status != 403 && !answer.status.is_server_error(), "{case}");
            if !sends(route) {
                assert_eq!(answer.status, 200, "{case}");
            }
        }
    }
}

#[tokio::test]
async fn what_is_sensitive_asks_for_a_code_that_was_not_shown_lately() {
    let (house, estate) = estate().await;
    let before = estate.rows().await;
    for route in ROUTES {
        if step_up(route) == StepUp::No {
            continue;
        }
        let stale = house.sign_in_with_code(&estate.owner, stale()).await;
        let asked = ask(route, &path(route, &estate)).with_form_of(&stale);
        let answer = house.send(&stale, asked).await;
        if sends(route) {
            assert_eq!(answer.status, 200, "{}", told(route, &answer));
            assert!(
                answer.body.contains("name=\"step_up_code\""),
                "{}",
                told(route, &answer)
            );
        } else {
            assert_eq!(answer.status, 303, "{}", told(route, &answer));
            assert!(
                answer.location().starts_with("/step-up?then=%2F"),
                "{}",
                told(route, &answer)
            );
        }
    }
    assert_eq!(estate.rows().await, before, "nothing was done");
}

#[tokio::test]
async fn what_is_sensitive_leads_whoever_has_no_second_factor_to_it() {
    let (house, estate) = estate().await;
    for route in ROUTES.iter().filter(|route| step_up(route) == StepUp::Code) {
        let person = house.sign_in(estate.owner.user, &estate.owner.email).await;
        let asked = ask(route, &path(route, &estate)).with_form_of(&person);
        let answer = house.send(&person, asked).await;
        assert_eq!(answer.status, 303, "{}", told(route, &answer));
        assert!(
            answer.location().starts_with("/account/second-factor"),
            "{}",
            told(route, &answer)
        );
    }
}

#[tokio::test]
async fn a_form_of_another_browser_or_of_none_is_refused() {
    let (house, estate) = estate().await;
    let before = estate.rows().await;
    for route in ROUTES.iter().filter(|route| sends(route)) {
        let path = path(route, &estate);
        let own = match route.door {
            Door::Anyone(_) if route.form != FormUse::OfSession => house.visitor(),
            _ => house.sign_in_with_code(&estate.owner, 0).await,
        };
        let other = house.sign_in(estate.owner.user, &estate.owner.email).await;
        let refused = [
            ask(route, &path),
            ask(route, &path).with_form_of(&other),
            ask(route, &path)
                .with_form_of(&own)
                .with_header("sec-fetch-site", "cross-site"),
            ask(route, &path)
                .with_form_of(&own)
                .with_header("sec-fetch-site", "same-site"),
            ask(route, &path)
                .with_form_of(&own)
                .with_header("origin", "https://example.com"),
            ask(route, &path).with_form_of(&own).with_header("origin", "null"),
        ];
        for (index, asked) in refused.into_iter().enumerate() {
            let answer = house.send(&own, asked).await;
            assert_eq!(answer.status, 403, "case {index}: {}", told(route, &answer));
        }
    }
    assert_eq!(estate.rows().await, before, "nothing was done");
}
