//! Every change that a form makes is told in the audit log, with who, when, what and from where, and in the same
//! transaction: where the log cannot be written, nothing is changed.

use sendpromptly_core::hex;
use sendpromptly_core::time::Timestamp;
use serde_json::Value;

use super::samples::{self, Sample, Told};
use super::*;
use crate::account::link::LinkKind;
use crate::platform::clock;
use crate::store::links;
use crate::store::rows::{self, Sql};
use crate::testing::console::PASSWORD;
use crate::testing::estate::{dump, first_session};

/// Who sends a form, and has whatever must come first done.
async fn prepare(house: &House, estate: &Estate, route: &Route) -> Person {
    let sample = samples::of(route);
    let owner = member(house, estate, Role::Owner, 0).await;
    if let Some(first) = sample.first {
        let first = ROUTES
            .iter()
            .find(|route| route.path == first && sends(route))
            .unwrap();
        let answer = house
            .send(&owner, form(first, estate, &owner, &owner).await)
            .await;
        assert!(
            [200, 303].contains(&answer.status.as_u16()),
            "{}",
            told(first, &answer)
        );
    }
    owner
}

async fn form(route: &Route, estate: &Estate, about: &Person, sender: &Person) -> Ask {
    let session = first_session(&estate.world, about).await;
    let path = fill(route, |name| match name {
        "session" => Some(session.clone()), // one's own is the only one that can be ended
        name => estate.ids.get(name).cloned(),
    });
    let mut asked = ask(route, &path).with_form_of(sender);
    asked
        .fields
        .extend(samples::of(route).fields(estate, &about.email));
    asked
}

/// Sends the form as its sender would: a sign-in comes from a browser that nobody is signed in with.
async fn send(house: &House, estate: &Estate, route: &Route, owner: &Person) -> Answer {
    let sender = if route.path == "/sign-in" {
        house.visitor()
    } else {
        owner.clone()
    };
    let form = form(route, estate, owner, &sender).await;
    house.send(&sender, form).await
}

/// Forms whose taking is told of, each with what is told.
fn forms() -> impl Iterator<Item = (&'static Route, &'static Sample, &'static str)> {
    let forms = ROUTES.iter().filter(|route| sends(route));
    forms.filter_map(|route| match samples::of(route).told {
        Told::Action(action) => Some((route, samples::of(route), action)),
        Told::Nothing | Told::Elsewhere => None,
    })
}

#[tokio::test]
async fn every_change_is_told_with_who_when_what_and_from_where() {
    for (route, _, action) in forms() {
        let (house, estate) = estate().await;
        let owner = prepare(&house, &estate, route).await;
        let begun = clock::now();
        let answer = send(&house, &estate, route, &owner).await;
        assert!(
            !answer.status.is_server_error() && answer.status != 403,
            "{}",
            told(route, &answer)
        );
        assert_told(&house, action, &owner, begun, &told(route, &answer)).await;
        house.close().await;
    }
}

/// The newest entry of an action tells all of it.
async fn assert_told(house: &House, action: &str, by: &Person, begun: Timestamp, answer: &str) {
    let query = Sql::new(
        "SELECT e.at, e.actor, e.target, d.details FROM audit_entries e
         JOIN audit_details d ON d.organization_id = e.organization_id AND d.seq = e.seq
         WHERE e.action = {} ORDER BY e.at DESC, e.seq DESC LIMIT 1",
    );
    let row = query.bind(action).one(house.world.store.reader()).await.unwrap();
    let row = row.unwrap_or_else(|| panic!("{action} is not told: {answer}"));
    let text = |column| rows::get::<String>(&row, column).unwrap();
    // Whoever failed to sign in has not shown to be the user; the entry is about the user.
    let by_the_server = text("actor") == "system:sign-in" && text("target") == by.user.to_string();
    let by_the_user = text("actor") == by.user.to_string();
    assert!(
        by_the_user || by_the_server && action == "login.failed",
        "{action}: {}",
        text("actor")
    );
    assert!(
        rows::time(&row, "at").unwrap() >= begun.plus_millis(-1),
        "{action}"
    );
    assert!(text("target").contains('_'), "{action} of {}", text("target"));
    let details: Value = serde_json::from_str(&text("details")).unwrap();
    assert!(
        details["address"]
            .as_str()
            .is_some_and(|address| address.starts_with("10.")),
        "{action}: {details}"
    );
}

#[tokio::test]
async fn where_the_log_cannot_be_written_nothing_is_changed() {
    for (route, _, action) in forms() {
        let (house, estate) = estate().await;
        let owner = prepare(&house, &estate, route).await;
        house.world.refuse_into("audit_entries").await;
        let marks = [hex::encode(owner.user.as_bytes())];
        let state = async || {
            let rows = (estate.rows().await, estate.rows_with(&marks).await);
            (
                rows,
                count(&house, "organizations").await,
                count(&house, "sessions").await,
            )
        };
        let before = state().await;
        let answer = send(&house, &estate, route, &owner).await;
        // A selection has an outcome for each incident.
        let in_words = answer.body.contains("0 of 1 ordered.");
        assert!(
            answer.status.is_server_error() || in_words,
            "{action}: {}",
            told(route, &answer)
        );
        assert_eq!(state().await, before, "{action}");
        house.close().await;
    }
}

async fn count(house: &House, table: &str) -> i64 {
    let rows = Sql::new(format!("SELECT count(*) AS n FROM {table}"));
    house.world.number(rows).await
}

/// What the samples cannot do, for it takes a mailed link or the right password.
const ELSEWHERE: [&str; 3] = ["login.succeeded", "email.changed", "password.reset"];

/// The path and the fields of the form by which a user does one of them.
async fn elsewhere(house: &House, by: &Person, action: &str) -> (String, Vec<(&'static str, String)>) {
    let link = async |kind, email| {
        let post = &house.console.setting.post;
        let link = post.link(kind, *by.user.as_bytes(), email, clock::now());
        house.world.write(links::insert(&link.row)).await;
        link.url.replace("http://127.0.0.1", "")
    };
    let word = |word: &str| word.to_owned();
    match action {
        "login.succeeded" => {
            let fields = vec![("email", by.email.clone()), ("password", word(PASSWORD))];
            (word("/sign-in"), fields)
        }
        "email.changed" => (
            link(LinkKind::ChangeEmail, Some("new@example.com")).await,
            Vec::new(),
        ),
        _ => {
            let new = word("nine purple otters skate");
            let fields = vec![("new_password", new.clone()), ("repeat_password", new)];
            (link(LinkKind::Reset, None).await, fields)
        }
    }
}

/// Sends it from a browser that nobody is signed in with.
async fn submit(house: &House, (path, fields): (String, Vec<(&'static str, String)>)) -> Answer {
    let fields: Vec<_> = fields
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    house.post(&house.visitor(), &path, &fields).await
}

#[tokio::test]
async fn a_sign_in_and_what_mailed_links_change_are_told_likewise() {
    let (house, estate) = estate().await;
    for action in ELSEWHERE {
        let form = elsewhere(&house, &estate.owner, action).await;
        let begun = clock::now();
        let answer = submit(&house, form).await;
        assert_eq!(answer.status, 303, "{action}: {}", answer.body);
        assert_told(&house, action, &estate.owner, begun, &answer.body).await;
    }
}

#[tokio::test]
async fn where_the_log_cannot_be_written_nobody_is_signed_in_and_a_mailed_link_changes_nothing() {
    let (house, estate) = estate().await;
    house.world.refuse_into("audit_entries").await;
    let state = async || {
        let mut rows = Vec::new();
        for table in ["users", "sessions", "links", "known_devices", "outbox"] {
            rows.extend(dump(&house.world, table).await);
        }
        rows
    };
    for action in ELSEWHERE {
        let form = elsewhere(&house, &estate.owner, action).await;
        let before = state().await;
        let answer = submit(&house, form).await;
        assert!(answer.status.is_server_error(), "{action}: {}", answer.body);
        assert_eq!(state().await, before, "{action}");
    }
}
