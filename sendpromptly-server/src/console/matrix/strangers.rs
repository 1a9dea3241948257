//! A member of one organization and the other one's data: there is nothing, and nothing is changed.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::*;

/// Two estates: a member of the second one asks for what is the first one's.
async fn two() -> (House, Estate, Estate) {
    let (house, first) = estate().await;
    let second = Estate::found(&house, "second").await;
    (house, first, second)
}

fn assert_tells_nothing(first: &Estate, path: &str, answer: &Answer) {
    let headers = format!("{:?}", answer.headers);
    // What was asked for may be repeated: the address of the page, to come back to it.
    let body = answer.body.replace(path, "");
    for canary in &first.canaries {
        let asked_for = path.contains(canary.as_str());
        assert!(asked_for || !body.contains(canary), "{canary} in {body}");
        assert!(asked_for || !headers.contains(canary), "{canary} in {headers}");
    }
}

#[tokio::test]
async fn a_member_of_another_organization_finds_nothing_at_any_path() {
    let (house, first, second) = two().await;
    let before = first.rows().await;
    for route in ROUTES {
        if !matches!(route.door, Door::Member(..)) {
            continue;
        }
        let path = path(route, &first);
        for method in [route.method.clone(), Method::HEAD] {
            if method == Method::HEAD && sends(route) {
                continue;
            }
            let stranger = house.sign_in_with_code(&second.owner, 0).await;
            let asked = Ask::new(method, &path).with_form_of(&stranger);
            let answer = house.send(&stranger, asked).await;
            assert_eq!(answer.status, 404, "{}", told(route, &answer));
            assert_tells_nothing(&first, &path, &answer);
        }
    }
    assert_eq!(first.rows().await, before);
}

#[tokio::test]
async fn ids_of_another_organization_name_nothing_in_the_own_one() {
    let (house, first, second) = two().await;
    let before = first.rows().await;
    for route in ROUTES {
        let names = parts(route);
        if names.is_empty() || matches!(route.door, Door::Anyone(_)) {
            continue;
        }
        // Every way to put at least one id of the first organization in.
        for foreign in 1..1_u32 << names.len() {
            let is_foreign = |name: &str| {
                let index = names.iter().position(|known| *known == name);
                index.is_some_and(|index| foreign >> index & 1 == 1)
            };
            let path = fill(route, |name| {
                let estate = if is_foreign(name) { &first } else { &second };
                estate.ids.get(name).cloned()
            });
            let owner = house.sign_in_with_code(&second.owner, 0).await;
            let answer = house.send(&owner, ask(route, &path).with_form_of(&owner)).await;
            assert_eq!(answer.status, 404, "{path}: {}", told(route, &answer));
            assert_tells_nothing(&first, &path, &answer);
        }
    }
    assert_eq!(first.rows().await, before);
    let session = house
        .get(&first.owner, &format!("/orgs/{}", first.ids["org"]))
        .await;
    assert_eq!(session.status, 200, "the other's session goes on");
}

#[tokio::test]
async fn ids_of_another_organization_in_fields_reach_nothing() {
    let (house, first, second) = two().await;
    let before = first.rows().await;
    for route in ROUTES
        .iter()
        .filter(|route| matches!(route.door, Door::Member(..)))
    {
        let owner = house.sign_in_with_code(&second.owner, 0).await;
        let ids = FIELDS
            .iter()
            .flat_map(|field| first.ids.values().map(move |id| (*field, id.clone())));
        let ids: Vec<_> = ids.collect();
        let mut path = path(route, &second);
        let mut asked = ask(route, &path).with_form_of(&owner);
        if sends(route) {
            asked
                .fields
                .extend(ids.into_iter().map(|(name, id)| (name.to_owned(), id)));
        } else {
            // One id for each field: an address has not room for all.
            let one = ids.iter().step_by(first.ids.len());
            let query = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs(one)
                .finish();
            path = format!("{path}?{query}");
            asked = ask(route, &path);
        }
        let answer = house.send(&owner, asked).await;
        assert!(!answer.status.is_server_error(), "{}", told(route, &answer));
        assert!(
            !answer.body.contains(&first.canaries[0]),
            "{}",
            told(route, &answer)
        );
    }
    assert_eq!(first.rows().await, before);
}

/// One request of a sequence.
#[derive(Debug, Clone)]
struct Step {
    route: usize,
    /// For each part of the path and each field that takes an id: whose it is.
    foreign: u32,
    fields: Vec<(&'static str, Value)>,
    in_query: bool,
}

#[derive(Debug, Clone)]
enum Value {
    /// An id of one of the estates, by its name.
    Id(&'static str, bool),
    Text(&'static str),
}

/// Names of fields that handlers look at, and some that they do not.
const FIELDS: &[&str] = &[
    "id",
    "ids",
    "incident",
    "project",
    "key",
    "user",
    "session",
    "organization",
    "org",
    "then",
    "before",
    "after",
    "actor",
    "action",
    "target",
    "from",
    "to",
    "q",
    "search",
    "reference",
    "state",
    "provider",
    "effect",
    "effect_type",
    "reason",
    "text",
    "name",
    "role",
    "email",
    "period",
    "confirm",
    "again",
    "all",
    "since",
    "older",
    "newer",
    "repair_url",
    "timeout_minutes",
    "overlap",
    "mode",
    "select",
];

/// Fields whose text is stored as it was typed.
const KEPT_AS_TYPED: &[&str] = &["reason", "text", "name", "email", "repair_url"];

const TEXTS: &[&str] = &[
    "",
    "1",
    "all",
    "open",
    "resolved",
    "viewer",
    "owner",
    "yes",
    "canary",
    "%",
    "' OR 1=1 --",
    "2026-01-01",
    "stripe",
    "access_unlock",
    "https://example.com/",
    "0",
    "-1",
    "99999999999999999999",
    "\u{0}",
    "é",
];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let id = prop::sample::select(vec![
        "org",
        "project",
        "incident",
        "key",
        "user",
        "session",
        "invitation",
    ]);
    let value = prop_oneof![
        (id, any::<bool>()).prop_map(|(name, foreign)| Value::Id(name, foreign)),
        prop::sample::select(TEXTS).prop_map(Value::Text),
    ];
    let field = (prop::sample::select(FIELDS), value).prop_map(|(name, value)| match value {
        // Who writes a foreign id into a text of their own has it in their own rows; that reaches nothing.
        Value::Id(..) if KEPT_AS_TYPED.contains(&name) => (name, Value::Text("mine")),
        value => (name, value),
    });
    let step = (
        0..ROUTES.len(),
        any::<u32>(),
        prop::collection::vec(field, 0..6),
        any::<bool>(),
    );
    let step = step.prop_map(|(route, foreign, fields, in_query)| Step {
        route,
        foreign,
        fields,
        in_query,
    });
    prop::collection::vec(step, 1..25)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_sequence_of_requests_reaches_another_organizations_data() {
    let (house, first, second) = two().await;
    let before = first.rows().await;
    let config = Config {
        cases: 24,
        failure_persistence: None,
        ..Config::default()
    };
    let handle = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        TestRunner::new(config)
            .run(&steps(), |steps| {
                handle.block_on(async {
                    let mut browser = house.sign_in_with_code(&second.owner, 0).await;
                    for step in steps {
                        if take(&house, &first, &second, &browser, &step).await {
                            browser = house.sign_in_with_code(&second.owner, 0).await;
                        }
                    }
                    prop_assert_eq!(&first.rows().await, &before);
                    Ok(())
                })
            })
            .unwrap();
    });
}

/// Asks, and looks at what comes back. Gives whether the browser is signed out now.
async fn take(house: &House, first: &Estate, second: &Estate, browser: &Person, step: &Step) -> bool {
    let route = &ROUTES[step.route];
    let whose = |foreign: bool| if foreign { first } else { second };
    let names = parts(route);
    let mut path = fill(route, |name| {
        let place = names.iter().position(|known| *known == name);
        let bit = place.unwrap_or(31); // the organization's
        whose(step.foreign >> bit & 1 == 1).ids.get(name).cloned()
    });
    let fields: Vec<(&str, String)> = step
        .fields
        .iter()
        .map(|(name, value)| match value {
            Value::Id(id, foreign) => (*name, whose(*foreign).ids[id].clone()),
            Value::Text(text) => (*name, (*text).to_owned()),
        })
        .collect();
    let mut asked_for = path.clone();
    for (_, value) in &fields {
        asked_for.push_str(value);
    }
    if step.in_query || !sends(route) {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(&fields)
            .finish();
        path = format!("{path}?{query}");
    }
    let mut asked = ask(route, &path).with_form_of(browser);
    if sends(route) {
        asked
            .fields
            .extend(fields.into_iter().map(|(name, value)| (name.to_owned(), value)));
    }
    let answer = house.send(browser, asked).await;
    assert!(
        !answer.status.is_server_error(),
        "{path}: {}",
        told(route, &answer)
    );
    // An id that was sent may come back; a name never does.
    let names = &first.canaries[0];
    assert!(!answer.body.contains(names), "{path}: {}", told(route, &answer));
    for canary in first.canaries[1..]
        .iter()
        .filter(|canary| !asked_for.contains(canary.as_str()))
    {
        assert!(
            !answer.body.contains(canary.as_str()),
            "{canary} at {path}: {}",
            told(route, &answer)
        );
    }
    answer.location().starts_with("/sign-in") || route.path == "/sign-out"
}
