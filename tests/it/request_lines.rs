//! The log's lines on requests: under the ids that clients were told, and without anything that clients sent.

use sendpromptly_tests::bodies::{receipt, unique};
use sendpromptly_tests::http::{Answer, Request};
use sendpromptly_tests::server::Options;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::wait::eventually;
use sendpromptly_tests::world::World;
use serde_json::Value;

const UNKNOWN_KEY: &str = "sk_canaryUnknownKey0123456789abcdefghijkl";

/// A request, and what its line must say: method, path, status, and whether the project is known.
type Case = (Request, (&'static str, &'static str, u16, bool));

/// What is refused, each with something that no line may hold.
fn refused(world: &World) -> Vec<Case> {
    let api = world.api();
    let body = receipt("evt_canary");
    let known = |path: &str, key: &str| api.request(path, key, &body);
    let provider = format!("/v1/providers/stripe/{}?canary=1", world.project.id);
    vec![
        (
            Request::new("GET", "/canary/path?token=canary"),
            ("GET", "-", 404, false),
        ),
        (
            Request::new("DELETE", "/v1/receipt?canary"),
            ("DELETE", "-", 405, false),
        ),
        (
            known("/v1/receipt", "canary-key")
                .without("authorization")
                .header("authorization", format!("Bearer {UNKNOWN_KEY}")),
            ("POST", "/v1/receipt", 401, false),
        ),
        (
            known("/api/v1/result", "canary-key").without("accept"),
            ("POST", "/api/v1/result", 406, true),
        ),
        (
            known("/v1/result", "canary-key").body("{\"canary\":1}"),
            ("POST", "/v1/result", 422, true),
        ),
        (
            Request::new("POST", &provider)
                .header("stripe-signature", "t=1,v1=canary")
                .body("canary"),
            ("POST", "/v1/providers/stripe/{project}", 401, false),
        ),
        (
            Request::new("GET", "/reset/canary-link"),
            ("GET", "-", 404, false),
        ),
    ]
}

async fn answered(world: &World) -> Vec<Answer> {
    let api = world.api();
    let known = api.receipt(&unique("key"), &receipt(&unique("evt"))).await;
    let alive = world.server.get("/healthz").await;
    let page = world.server.get("/sign-in").await;
    assert_eq!((known.status, alive.status, page.status), (202, 200, 200));
    vec![known, alive, page]
}

fn id(answer: &Answer) -> String {
    answer.header("x-request-id").unwrap().to_owned()
}

/// The lines of the log that are about this request.
fn lines(world: &World, id: &str) -> Vec<Value> {
    let log = world.server.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str(line).ok());
    let mut lines: Vec<Value> = lines.collect();
    lines.retain(|line| line["id"] == id);
    lines
}

async fn logging(which: &str) -> World {
    let options = Options::quick()
        .set("--log-format", "json")
        .set("--log", "info")
        .set("--log-requests", which);
    World::start_with(StoreKind::Sqlite, &options, &[]).await
}

#[tokio::test]
async fn each_request_that_is_refused_has_one_line_with_its_id_and_nothing_that_was_sent() {
    let world = logging("refused").await;
    let well = answered(&world).await;
    for (request, (method, path, status, with_project)) in refused(&world) {
        let answer = request.send(world.server.address).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
        let told = eventually("a line on the request", async || {
            Some(lines(&world, &id(&answer))).filter(|lines| !lines.is_empty())
        })
        .await;
        let [line] = &told[..] else {
            panic!("{told:?}");
        };
        let expected = (method, path, u64::from(status));
        let found = (
            line["method"].as_str().unwrap(),
            line["path"].as_str().unwrap(),
            line["status"].as_u64().unwrap(),
        );
        assert_eq!(found, expected, "{line}");
        assert!(line["took_ms"].is_u64() && line["level"] == "INFO", "{line}");
        let project = line["project"].as_str();
        let known = with_project.then_some(world.project.id.as_str());
        assert_eq!(project, known, "{line}");
    }
    for answer in well {
        assert_eq!(lines(&world, &id(&answer)), [] as [Value; 0]);
    }
    let log = world.server.log();
    assert!(!log.to_lowercase().contains("canary"), "{log}");
}

#[tokio::test]
async fn every_request_has_a_line_where_the_operator_wants_that() {
    let world = logging("all").await;
    for answer in answered(&world).await {
        eventually("a line on the request", async || {
            let lines = lines(&world, &id(&answer));
            (lines.len() == 1 && lines[0]["status"] == answer.status).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn no_refusal_has_a_line_where_the_operator_wants_none() {
    let world = logging("none").await;
    let mut refusals = Vec::new();
    for (request, _) in refused(&world) {
        refusals.push(request.send(world.server.address).await);
    }
    let mut world = world;
    world.server.stop().await;
    for answer in refusals {
        assert_eq!(lines(&world, &id(&answer)), [] as [Value; 0]);
    }
}
