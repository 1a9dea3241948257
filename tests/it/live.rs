//! Live pages: whoever may see an organization hears, as server-sent events, that something of it has changed.

use sendpromptly_tests::browser::Browser;
use sendpromptly_tests::http::{Connection, Request};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::people::{member, owner};
use sendpromptly_tests::server::{Options, Server};
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::wait::eventually;
use sendpromptly_tests::world::World;

on_both_stores!(
    a_change_is_told_to_whoever_listens,
    a_change_between_the_page_and_its_stream_is_told,
    a_stream_ends_with_the_session_and_tells_nothing_after_it,
    a_stream_ends_with_the_membership_and_tells_nothing_after_it,
    streams_end_at_the_stop,
    what_a_page_does_by_itself_keeps_no_session_alive,
    what_a_page_does_by_itself_leaves_a_session_its_token_and_a_navigation_replaces_it,
);

/// A stream of events, open.
#[derive(Debug)]
struct Listener(Connection);

impl Listener {
    /// Opens it; gives the status where it is refused.
    async fn open(server: &Server, browser: &Browser, path: &str) -> Result<Self, u16> {
        let request = Request::new("GET", path)
            .header("host", server.address.to_string())
            .header("accept", "text/event-stream")
            .header("sec-fetch-site", "same-origin")
            .header("cookie", browser.cookies.header().unwrap_or_default());
        let mut connection = Connection::open(server.address).await;
        connection.send(&request.to_bytes()).await;
        let status_line = connection.next_line().await.expect("an answer");
        let mut listener = Self(connection);
        if !status_line.contains(" 200 ") {
            return Err(status_line.split(' ').nth(1).unwrap().parse().unwrap());
        }
        assert!(listener.hears("content-type: text/event-stream").await);
        assert!(listener.hears("retry: 3000").await, "it is open");
        Ok(listener)
    }

    /// Whether this line comes before the stream ends, which it does with a chunk of no bytes.
    async fn hears(&mut self, wanted: &str) -> bool {
        while let Some(line) = self.0.next_line().await.filter(|line| line != "0") {
            if line == wanted {
                return true;
            }
        }
        false
    }

    async fn hears_of_a_change(&mut self) -> bool {
        self.hears("event: change").await
    }
}

fn live(world: &World) -> String {
    format!("/orgs/{}/live", world.organization)
}

async fn listen(world: &World, browser: &Browser) -> Listener {
    let seq = world
        .sql()
        .await
        .count("SELECT max(seq) AS n FROM audit_heads")
        .await;
    let path = format!("{}?since={seq}", live(world));
    Listener::open(&world.server, browser, &path)
        .await
        .expect("a stream")
}

async fn a_change_is_told_to_whoever_listens(kind: StoreKind) {
    let world = World::start(kind).await;
    let (owner, viewer) = (owner(&world).await, member(&world, "viewer").await);
    let (mut one, mut two) = (listen(&world, &owner).await, listen(&world, &viewer).await);
    let (event, _) = world.api().new_incident().await;
    assert!(one.hears_of_a_change().await && two.hears_of_a_change().await);
    world.api().report(&event, "success").await;
    assert!(one.hears_of_a_change().await && two.hears_of_a_change().await);
}

async fn a_change_between_the_page_and_its_stream_is_told(kind: StoreKind) {
    let world = World::start(kind).await;
    let mut browser = owner(&world).await;
    let page = browser
        .visit(&format!("/orgs/{}/incidents", world.organization))
        .await
        .ok();
    let path = page.all("#live")[0].must_have("data-live").to_owned();
    world.api().new_incident().await;
    let mut late = Listener::open(&world.server, &browser, &path)
        .await
        .expect("a stream");
    assert!(late.hears_of_a_change().await);
}

async fn a_stream_ends_with_the_session_and_tells_nothing_after_it(kind: StoreKind) {
    let world = World::start(kind).await;
    let browser = owner(&world).await;
    its_stream_ends_by(&world, &browser, "DELETE FROM sessions").await;
    assert_eq!(
        Listener::open(&world.server, &browser, &live(&world)).await.err(),
        Some(303)
    );
}

async fn a_stream_ends_with_the_membership_and_tells_nothing_after_it(kind: StoreKind) {
    let world = World::start(kind).await;
    let browser = member(&world, "viewer").await;
    its_stream_ends_by(&world, &browser, "DELETE FROM members WHERE role = 'viewer'").await;
    assert_eq!(
        Listener::open(&world.server, &browser, &live(&world)).await.err(),
        Some(404)
    );
}

async fn its_stream_ends_by(world: &World, browser: &Browser, sql: &str) {
    let mut listener = listen(world, browser).await;
    world.sql().await.run(sql).await;
    world.api().new_incident().await;
    assert!(
        !listener.hears_of_a_change().await,
        "the stream ends, and tells nothing"
    );
}

async fn streams_end_at_the_stop(kind: StoreKind) {
    let mut world = World::start(kind).await;
    let browser = owner(&world).await;
    let mut listeners = Vec::new();
    for _ in 0..5 {
        listeners.push(listen(&world, &browser).await);
    }
    let (status, took) = world.server.stop().await;
    assert!(status.success(), "{}", world.server.log());
    assert!(took.as_secs() < 10, "the contract's bound on a stop: {took:?}");
    assert!(!world.server.log().contains("cut off at the stop"));
    for mut listener in listeners {
        assert!(!listener.hears_of_a_change().await);
    }
}

async fn what_a_page_does_by_itself_keeps_no_session_alive(kind: StoreKind) {
    let world = World::start(kind).await;
    let mut browser = owner(&world).await;
    let sql = world.sql().await;
    let long_ago = "UPDATE sessions SET seen_at = seen_at - 1800000";
    sql.run(long_ago).await;
    let seen = async || sql.count("SELECT max(seen_at) AS n FROM sessions").await;
    let before = seen().await;
    let page = format!("/orgs/{}/incidents", world.organization);
    browser.clone().with_header("x-live", "1").visit(&page).await.ok();
    let listener = listen(&world, &browser).await;
    assert_eq!(seen().await, before, "a script renewed the page");
    browser.visit(&page).await.ok();
    assert!(seen().await > before, "a person opened it");
    drop(listener);
}

async fn what_a_page_does_by_itself_leaves_a_session_its_token_and_a_navigation_replaces_it(kind: StoreKind) {
    let world = World::start(kind).await;
    let mut browser = owner(&world).await;
    let settings = browser
        .visit(&format!("/orgs/{}/settings", world.organization))
        .await;
    world.sql().await.run("UPDATE sessions SET rotate = 1").await;
    let form = settings.ok().form("/settings").set("name", "Other");
    let saved = browser.submit(form).await;
    assert_eq!(saved.status(), 303, "the form was made under the token before");
    let before = browser.clone();
    let page = format!("/orgs/{}/incidents", world.organization);
    for _ in 0..2 {
        let mut script = before.clone().with_header("x-live", "1");
        let answer = script.get(&page).await.ok();
        assert_eq!(answer.header("set-cookie"), None);
    }
    Listener::open(&world.server, &before, &live(&world))
        .await
        .expect("a stream");
    let answer = browser.get(&page).await.ok();
    assert!(answer.header("set-cookie").is_some(), "a person came");
    assert_eq!(before.clone().get(&page).await.status(), 303);
    assert_eq!(browser.get(&page).await.status(), 200);
}

#[tokio::test]
async fn a_change_at_one_node_is_told_at_the_other() {
    let world = World::start(StoreKind::Postgres).await;
    let second = world.start_second_node(&Options::quick()).await;
    let browser = owner(&world).await;
    let seq = world
        .sql()
        .await
        .count("SELECT max(seq) AS n FROM audit_heads")
        .await;
    let path = format!("{}?since={seq}", live(&world));
    let mut listener = Listener::open(&second, &browser, &path).await.expect("a stream");
    world.api().new_incident().await;
    assert!(listener.hears_of_a_change().await);
}

#[tokio::test]
async fn a_user_has_so_many_streams_and_another_when_one_is_closed() {
    let world = World::start(StoreKind::Sqlite).await;
    let browser = owner(&world).await;
    let mut listeners = Vec::new();
    for _ in 0..12 {
        listeners.push(listen(&world, &browser).await);
    }
    assert_eq!(
        Listener::open(&world.server, &browser, &live(&world)).await.err(),
        Some(429)
    );
    listeners.pop();
    eventually("a place is free again", async || {
        Listener::open(&world.server, &browser, &live(&world)).await.ok()
    })
    .await;
}

#[tokio::test]
async fn strangers_hear_nothing() {
    let world = World::start(StoreKind::Sqlite).await;
    let browser = owner(&world).await;
    let other = world.cli.create_organization("other").await;
    let refused = Listener::open(&world.server, &browser, &format!("/orgs/{other}/live")).await;
    assert_eq!(refused.err(), Some(404));
    let nobody = Browser::new(&world.server);
    assert_eq!(
        Listener::open(&world.server, &nobody, &live(&world)).await.err(),
        Some(303)
    );
}
