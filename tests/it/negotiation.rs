//! `Accept`, `Content-Type` and `Content-Encoding`.

use sendpromptly_tests::api::{Api, RECEIPT};
use sendpromptly_tests::bodies::{receipt, unique};
use sendpromptly_tests::http::Request;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::world::World;

fn request(api: &Api) -> Request {
    api.request(RECEIPT, &unique("key"), &receipt(&unique("evt")))
}

#[tokio::test]
async fn accept_must_allow_json_and_its_most_specific_range_decides() {
    let world = World::start(StoreKind::Sqlite).await;
    let api = world.api();
    for (accept, verdict) in [
        ("application/json", "202"),
        ("Application/JSON", "202"),
        ("application/json; charset=utf-8", "202"),
        ("application/json;q=0.001", "202"),
        ("application/*", "202"),
        ("*/*", "202"),
        ("application/problem+json", "202"),
        ("application/vnd.acme.v2+json; q=1", "202"),
        ("text/html, application/xhtml+xml, */*;q=0.8", "202"),
        ("text/html,application/json", "202"),
        ("*/*;q=0, application/json", "202"),
        ("application/*;q=0, application/json;q=0.5", "202"),
        ("", "406 not_acceptable"),
        (",", "406 not_acceptable"),
        ("json", "406 not_acceptable"),
        ("*", "406 not_acceptable"),
        ("text/html", "406 not_acceptable"),
        ("text/*", "406 not_acceptable"),
        ("application/xml", "406 not_acceptable"),
        ("application/jsonp", "406 not_acceptable"),
        ("application/json;q=0", "406 not_acceptable"),
        ("application/json;q=0.000, */*", "406 not_acceptable"),
        ("*/*;q=0", "406 not_acceptable"),
        ("application/json;q=2", "406 not_acceptable"),
        ("application/json;q=nan", "406 not_acceptable"),
    ] {
        let answer = request(&api).with("accept", accept).send(api.server).await;
        assert_eq!(answer.verdict(), verdict, "{accept:?}");
    }
    let two = request(&api).with("accept", "text/html").header("accept", "*/*");
    assert_eq!(
        two.send(api.server).await.verdict(),
        "202",
        "two headers are one list"
    );
    let none = request(&api).without("accept").send(api.server).await;
    assert_eq!(none.verdict(), "406 missing_accept_header");
}

#[tokio::test]
async fn the_body_is_json_by_its_type() {
    let world = World::start(StoreKind::Sqlite).await;
    let api = world.api();
    for (content_type, verdict) in [
        ("application/json", "202"),
        ("APPLICATION/JSON", "202"),
        ("application/json;charset=utf-8", "202"),
        ("application/json ; charset=\"utf-8\"; a=b", "202"),
        ("", "415 unsupported_media_type"),
        ("text/plain", "415 unsupported_media_type"),
        ("text/json", "415 unsupported_media_type"),
        ("application/jsonx", "415 unsupported_media_type"),
        ("application/problem+json", "415 unsupported_media_type"),
        ("application/x-www-form-urlencoded", "415 unsupported_media_type"),
        (
            "multipart/form-data; boundary=application/json",
            "415 unsupported_media_type",
        ),
        ("application/json, text/plain", "415 unsupported_media_type"),
        ("application/*", "415 unsupported_media_type"),
    ] {
        let answer = request(&api)
            .with("content-type", content_type)
            .send(api.server)
            .await;
        assert_eq!(answer.verdict(), verdict, "{content_type:?}");
    }
    for wrong in [
        request(&api).without("content-type"),
        request(&api).header("content-type", "application/json"),
    ] {
        let verdict = wrong.send(api.server).await.verdict();
        assert_eq!(verdict, "415 unsupported_media_type", "none or two");
    }
}

#[tokio::test]
async fn the_body_is_not_encoded() {
    let world = World::start(StoreKind::Sqlite).await;
    let api = world.api();
    for (encoding, verdict) in [
        ("identity", "202"),
        ("Identity", "202"),
        ("gzip", "415 unsupported_media_type"),
        ("br", "415 unsupported_media_type"),
        ("identity, gzip", "415 unsupported_media_type"),
        ("", "415 unsupported_media_type"),
    ] {
        let answer = request(&api)
            .header("content-encoding", encoding)
            .send(api.server)
            .await;
        assert_eq!(answer.verdict(), verdict, "{encoding:?}");
    }
}
