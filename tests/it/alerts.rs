//! Alerts: people are told of incidents by mail, Slack and signed webhooks, at once and then in groups.

use sendpromptly_tests::endpoint::{Call, Endpoint, Reply};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::page::Page;
use sendpromptly_tests::people::{member, owner};
use sendpromptly_tests::server::Options;
use sendpromptly_tests::smtp::SmtpSink;
use sendpromptly_tests::sql::Sql;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::wait::{PATIENCE, eventually, within};
use sendpromptly_tests::world::World;
use serde_json::Value;
use tokio::net::TcpListener;

mod faults;

on_both_stores!(
    incidents_are_told_by_mail_slack_and_webhook_at_once_and_then_as_one_message,
    an_alert_that_a_kill_cut_off_is_sent_again_once_and_not_for_ever,
    a_mail_server_that_hangs_holds_up_no_other_destination_and_is_shown,
    an_endpoint_that_fails_or_refuses_is_tried_again_and_who_refuses_is_given_up_sooner,
    an_incident_that_stays_open_and_receipts_that_do_not_come_are_told,
    destinations_are_added_listed_tested_and_removed_at_the_command_line,
    an_incidents_page_tells_what_was_told_of_it_and_what_waits,
);

/// What a receipt holds and no alert may.
const REFERENCE: &str = "customer-canary-7";

/// Destinations that there is more to tell.
const BEHIND: &str = "SELECT count(*) AS n FROM alert_destinations WHERE newest > told_to";

/// Adds a destination; gives what was printed.
async fn add(world: &World, channel: &str, to: &str, more: &[&str]) -> Value {
    let mut arguments = vec![
        "alert",
        "add",
        "--project",
        &world.project.id,
        "--channel",
        channel,
    ];
    arguments.extend(more);
    world.cli.run_with_input(&arguments, to).await.json()
}

async fn listed(world: &World) -> Vec<Value> {
    let list = ["alert", "list", "--project", &world.project.id];
    world.cli.run(&list).await.json_lines()
}

/// Lets the five minutes after a message be over for every destination that more waits for.
async fn let_groups_end(sql: &Sql) {
    sql.run("UPDATE alert_destinations SET due_at = 0 WHERE due_at IS NOT NULL AND lease_token IS NULL")
        .await;
}

/// Waits until no message is under way or waits.
async fn until_told(sql: &Sql) {
    eventually("all is told", async || {
        let waits = sql.rows("alert_changes").await
            + sql
                .count("SELECT count(*) AS n FROM alert_destinations WHERE due_at IS NOT NULL")
                .await;
        (waits == 0).then_some(())
    })
    .await;
}

fn text_of(slack: &Call) -> String {
    slack.json()["text"].as_str().unwrap().to_owned()
}

async fn incidents_are_told_by_mail_slack_and_webhook_at_once_and_then_as_one_message(kind: StoreKind) {
    let mut sink = SmtpSink::start(&[]).await;
    let (slack, hook) = (Endpoint::always(200).await, Endpoint::always(204).await);
    let options = Options::quick()
        .set("--smtp-url", format!("smtp://127.0.0.1:{}", sink.port))
        .set("--mail-from", "Pay <pay@example.com>");
    let world = World::start_with(kind, &options, &[]).await;
    add(&world, "email", "ops@example.com", &[]).await;
    add(&world, "slack", &slack.url(), &[]).await;
    let secret = add(&world, "webhook", &hook.url(), &[]).await["signing_secret"].clone();
    let (event, first) = world.incident_for(REFERENCE).await;

    let mail = sink.next().await;
    assert_eq!(mail["to"][0], "<ops@example.com>");
    let mail = mail["message"].as_str().unwrap().to_owned();
    let told = text_of(&slack.after_calls(1).await[0]);
    let call = hook.after_calls(1).await.remove(0);
    assert!(call.is_signed_with(&[secret.as_str().unwrap()]));
    let body = call.json();
    assert_eq!(body["counts"]["opened"], 1, "{body}");
    assert_eq!(body["incidents"][0]["incident_id"], first.as_str());
    assert_eq!(body["incidents"][0]["effect_type"], "access_unlock");
    assert!(told.contains(&first) && mail.contains(&first), "{told}\n{mail}");
    assert!(
        mail.contains("Subject: [SendPromptly] Incidents: 1 opened in"),
        "{mail}"
    );

    for _ in 0..12 {
        world.incident_for(REFERENCE).await;
    }
    world.api().report(&event, "success").await;
    let sql = world.sql().await;
    eventually("all news are handed on", async || {
        (sql.rows("alert_changes").await == 0).then_some(())
    })
    .await;
    eventually("they wait for their turn, once for all", async || {
        let news = "SELECT count(*) AS n FROM alert_news n
            WHERE n.number > (SELECT max(d.told_to) FROM alert_destinations d)";
        (sql.count(news).await == 13).then_some(())
    })
    .await;
    let_groups_end(&sql).await;
    let digest = hook.after_calls(2).await.remove(1).json();
    assert_eq!(
        (&digest["counts"]["opened"], &digest["counts"]["resolved"]),
        (&12.into(), &1.into())
    );
    assert!(text_of(&slack.after_calls(2).await[1]).contains("12 opened, 1 resolved"));
    let second = sink.next().await["message"].as_str().unwrap().to_owned();
    until_told(&sql).await;
    assert_eq!((slack.calls().len(), hook.calls().len()), (2, 2));
    let said = [&mail, &second, &told, &body.to_string(), &digest.to_string()];
    assert!(said.iter().all(|text| !text.contains(REFERENCE)));
}

async fn an_alert_that_a_kill_cut_off_is_sent_again_once_and_not_for_ever(kind: StoreKind) {
    let hook = Endpoint::start(|number, _| match number {
        0 => Reply::Held(200),
        _ => Reply::status(200),
    })
    .await;
    let mut world = World::start_with(kind, &Options::quick(), &[]).await;
    add(&world, "webhook", &hook.url(), &[]).await;
    let (_, incident) = world.incident_for(REFERENCE).await;
    hook.after_calls(1).await;
    world.server.kill().await;
    let sql = world.sql().await;
    assert_eq!(sql.count(BEHIND).await, 1, "it is not known to be told");
    if kind == StoreKind::Postgres {
        // As though the lease had run out. On SQLite no other node can have it.
        sql.run("UPDATE alert_destinations SET due_at = 0").await;
    }
    let first = hook.calls().remove(0);
    world.restart(&Options::quick()).await;
    let again = hook.after_calls(2).await.remove(1);
    assert_eq!(again.json()["incidents"][0]["incident_id"], incident.as_str());
    assert_eq!(again.header("x-sendpromptly-attempt"), "2");
    let (first, again) = (first.json(), again.json());
    for same in ["message_id", "sent_at", "counts", "text"] {
        assert_eq!(again[same], first[same], "each try says the same");
    }
    assert!(again["message_id"].as_str().unwrap().starts_with("msg_"));
    until_told(&sql).await;
    assert_eq!(hook.calls().len(), 2);
    assert!(listed(&world).await[0]["sent_at"].is_string());
}

async fn a_mail_server_that_hangs_holds_up_no_other_destination_and_is_shown(kind: StoreKind) {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let slack = Endpoint::always(200).await;
    let options = Options::quick()
        .set("--smtp-url", format!("smtp://127.0.0.1:{port}"))
        .set("--mail-from", "pay@example.com");
    let world = World::start_with(kind, &options, &[]).await;
    add(&world, "email", "ops@example.com", &[]).await;
    add(&world, "slack", &slack.url(), &[]).await;
    world.incident_for(REFERENCE).await;
    slack.after_calls(1).await;
    // The server waits for it some time itself.
    let failed = within(3 * PATIENCE, "the failure is shown", async || {
        let listed = listed(&world).await.remove(0);
        listed["failure"].is_string().then_some(listed)
    })
    .await;
    assert_eq!(
        (&failed["waits"], &failed["sent_at"]),
        (&true.into(), &Value::Null),
        "{failed}"
    );
    assert_eq!(world.server.get("/readyz").await.status, 200);
    drop(silent);
}

async fn an_endpoint_that_fails_or_refuses_is_tried_again_and_who_refuses_is_given_up_sooner(
    kind: StoreKind,
) {
    let failing = Endpoint::start(|number, _| match number {
        0 => Reply::status(503),
        1 => Reply::HangUp,
        _ => Reply::status(200),
    })
    .await;
    let refusing = Endpoint::always(404).await;
    let world = World::start_with(kind, &Options::quick(), &[]).await;
    add(&world, "slack", &failing.url(), &[]).await;
    add(&world, "slack", &refusing.url(), &[]).await;
    world.incident_for(REFERENCE).await;
    let sql = world.sql().await;
    for tries in 1..3 {
        failing.after_calls(tries).await;
        eventually("the alert waits", async || {
            let waits = "SELECT count(*) AS n FROM alert_destinations
                WHERE due_at IS NOT NULL AND lease_token IS NULL AND failure IS NOT NULL";
            (sql.count(waits).await == 2).then_some(())
        })
        .await;
        if tries == 2 {
            // As though it had refused for ten minutes.
            let long_ago = "UPDATE alert_destinations SET message =
                replace(message, '\"made_at\":1', '\"made_at\":-1') WHERE failure LIKE '%404'";
            sql.run(long_ago).await;
        }
        let_groups_end(&sql).await;
    }
    failing.after_calls(3).await;
    until_told(&sql).await;
    assert_eq!(failing.calls().len(), 3);
    assert!(refusing.calls().len() >= 2, "a refusal may be put right");
    let [taken, refused]: [Value; 2] = listed(&world).await.try_into().unwrap();
    assert_eq!((&taken["failure"], &taken["given_up"]), (&Value::Null, &0.into()));
    assert_eq!(
        (&refused["failure"], &refused["given_up"]),
        (&"it answered 404".into(), &1.into())
    );
    let log = world.server.log();
    assert!(log.contains("an alert was given up"), "{log}");
}

async fn an_incident_that_stays_open_and_receipts_that_do_not_come_are_told(kind: StoreKind) {
    let (first, second) = (Endpoint::always(200).await, Endpoint::always(200).await);
    let world = World::start_with(kind, &Options::quick(), &[]).await;
    add(&world, "webhook", &first.url(), &[]).await;
    add(&world, "webhook", &second.url(), &["--escalation"]).await;
    let set = ["alert", "set", "--project", &world.project.id];
    let set = [&set[..], &["--escalate-minutes", "60", "--silence-minutes", "5"]].concat();
    assert_eq!(world.cli.run(&set).await.json()["silence_minutes"], 5);
    let (_, incident) = world.incident_for(REFERENCE).await;
    first.after_calls(1).await;
    assert!(second.calls().is_empty());
    let sql = world.sql().await;
    let moved = sql.run("UPDATE alert_escalations SET due_at = 0").await;
    assert_eq!(moved, 1);
    let escalated = second.after_calls(1).await.remove(0).json();
    assert_eq!(escalated["counts"]["escalated"], 1, "{escalated}");
    assert_eq!(escalated["incidents"][0]["incident_id"], incident.as_str());

    until_told(&sql).await;
    // As though none had come for long before the receipt.
    sql.run("UPDATE projects SET silence_told_at = 1").await;
    eventually("it is found that receipts come again", async || {
        (sql.count(BEHIND).await == 1).then_some(())
    })
    .await;
    let_groups_end(&sql).await;
    let told = first.after_calls(2).await.remove(1).json();
    assert!(
        told["text"]
            .as_str()
            .unwrap()
            .starts_with("receipts come again in"),
        "{told}"
    );
    assert_eq!(
        (&told["counts"]["heard"], &told["counts"]["opened"]),
        (&1.into(), &0.into())
    );
    until_told(&sql).await;
    assert_eq!(second.calls().len(), 1);
}

async fn destinations_are_added_listed_tested_and_removed_at_the_command_line(kind: StoreKind) {
    let hook = Endpoint::start(|number, _| match number {
        0 => Reply::status(200),
        _ => Reply::status(410),
    })
    .await;
    let world = World::start_with(kind, &Options::quick(), &[]).await;
    let canary = format!("{}?token=canary", hook.url());
    let added = add(&world, "webhook", &canary, &[]).await;
    let id = added["alert_id"].as_str().unwrap().to_owned();
    assert!(added["signing_secret"].as_str().unwrap().starts_with("spsec_"));
    let tested = world.cli.run(&["alert", "test", &id]).await;
    assert_eq!(tested.json()["sent"], true);
    let call = hook.after_calls(1).await.remove(0);
    assert_eq!(call.json()["type"], "alert.test");
    assert!(call.request_line.contains("?token=canary"));
    let refused = world.cli.run(&["alert", "test", &id]).await;
    assert_eq!(refused.code, 1);
    assert!(
        refused.stderr.contains("was not taken: it answered 410"),
        "{refused:?}"
    );
    let list = listed(&world).await;
    assert_eq!(list.len(), 1);
    assert!(
        !format!("{list:?}{added}{refused:?}").contains("canary"),
        "{list:?}"
    );
    let strict = world
        .cli
        .clone()
        .with("SENDPROMPTLY_ALLOW_PRIVATE_CALLBACKS", "false");
    for (channel, to, code, words) in [
        ("slack", "http://hooks.example/x", 2, "must begin with https://"),
        (
            "webhook",
            "https://127.0.0.1/x",
            1,
            "must lead to a public address",
        ),
        ("email", "nobody", 2, "must be an e-mail address"),
        ("email", "", 2, "on standard input"),
    ] {
        let add = [
            "alert",
            "add",
            "--project",
            &world.project.id,
            "--channel",
            channel,
        ];
        let refused = strict.run_with_input(&add, to).await;
        assert_eq!(refused.code, code, "{refused:?}");
        assert!(refused.stderr.contains(words), "{refused:?}");
    }
    let set = [
        "alert",
        "set",
        "--project",
        &world.project.id,
        "--silence-minutes",
        "0",
    ];
    assert_eq!(world.cli.run(&set).await.code, 2);
    assert_eq!(
        world.cli.run(&["alert", "remove", &id]).await.json()["alert_id"],
        id.as_str()
    );
    assert!(listed(&world).await.is_empty());
    assert_eq!(world.cli.run(&["alert", "remove", &id]).await.code, 1);
}

/// The moments of an incident's time line that tell of alerts.
fn told_on(page: &Page) -> Vec<String> {
    let mut moments = page.texts_of("[data-test=moment]");
    moments.retain(|moment| moment.starts_with("An alert by"));
    moments
}

async fn an_incidents_page_tells_what_was_told_of_it_and_what_waits(kind: StoreKind) {
    let taking = Endpoint::always(200).await;
    let failing = Endpoint::always(503).await;
    let world = World::start_with(kind, &Options::quick(), &[]).await;
    let canary = format!("{}?token=canary", taking.url());
    let removed = add(&world, "webhook", &canary, &[]).await["alert_id"].clone();
    add(&world, "slack", &failing.url(), &[]).await;
    let (event, incident) = world.incident_for(REFERENCE).await;
    let path = format!("/orgs/{}/incidents/{incident}", world.organization);
    let mut browser = owner(&world).await;
    let told = eventually("each has ended once", async || {
        let page = browser.visit(&path).await.ok();
        let told = told_on(&page);
        let has = |words: &str| told.iter().any(|moment| moment.contains(words));
        let ended = has("told that the incident opened") && has("was not taken");
        ended.then_some(page)
    })
    .await;
    let text = told.text();
    assert!(!text.contains("token="), "{text}");
    let told = told_on(&told);
    let of = |words: &str| told.iter().find(|moment| moment.contains(words)).unwrap();
    assert_eq!(told.len(), 2, "{told:?}");
    let origin = taking.url().replace("/repair", "");
    assert!(
        of("by webhook told that the incident opened").contains(&origin),
        "{told:?}"
    );
    assert!(of("was not taken, and is due again").contains("After one try: it answered 503"));

    // A second message, of two incidents.
    world.incident_for(REFERENCE).await;
    world.api().report(&event, "success").await;
    let sql = world.sql().await;
    eventually("both wait for their turn", async || {
        let handed_on = "SELECT count(*) AS n FROM alert_destinations WHERE newest = 3";
        (sql.count(handed_on).await == 2).then_some(())
    })
    .await;
    let_groups_end(&sql).await;
    taking.after_calls(2).await;
    let resolved = eventually("the digest is told", async || {
        let told = told_on(&browser.visit(&path).await.ok());
        let digest = told
            .iter()
            .find(|moment| moment.contains("told that the incident was resolved"));
        digest.cloned()
    })
    .await;
    assert!(
        resolved.contains("In one message with another incident"),
        "{resolved}"
    );

    let remove = ["alert", "remove", removed.as_str().unwrap()];
    assert_eq!(world.cli.run(&remove).await.code, 0);
    let told = told_on(&browser.visit(&path).await.ok());
    let gone = |told: &[String]| {
        told.iter()
            .filter(|moment| moment.contains("a destination that is removed by now"))
            .count()
    };
    assert_eq!(gone(&told), 2, "{told:?}");
    // Who only reads is told how and when, and not where.
    let mut viewer = member(&world, "viewer").await;
    let told = told_on(&viewer.visit(&path).await.ok());
    assert!(
        told.len() >= 3 && told.iter().all(|moment| !moment.contains("To ")),
        "{told:?}"
    );
}
