//! Every change that a form makes is told in the audit log, with who, when, what and from where, and in the same
//! transaction: where the log cannot be written, nothing is changed.

use sendpromptly_core::hex;
use serde_json::Value;

use super::samples::{self, Sample, Told};
use super::*;
use crate::platform::clock;
use crate::store::rows::{self, Sql};
use crate::testing::estate::first_session;

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
        let query = Sql::new(
            "SELECT e.at, e.actor, e.target, d.details FROM audit_entries e
             JOIN audit_details d ON d.organization_id = e.organization_id AND d.seq = e.seq
             WHERE e.action = {} ORDER BY e.at DESC, e.seq DESC LIMIT 1",
        );
        let row = query.bind(action).one(house.world.store.reader()).await.unwrap();
        let row = row.unwrap_or_else(|| panic!("{action} is not told: {}", told(route, &answer)));
        let text = |column| rows::get::<String>(&row, column).unwrap();
        // Whoever failed to sign in has not shown to be the user; the entry is about the user.
        let by_the_server = text("actor") == "system:sign-in" && text("target") == owner.user.to_string();
        let by_the_user = text("actor") == owner.user.to_string();
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
        house.close().await;
    }
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
