//! Events that providers send themselves: who is believed, what is stored, and what comes of a receipt that is missing.

use serde_json::{Value, json};

use sendpromptly_tests::bodies::{is_id, receipt, unique, with};
use sendpromptly_tests::endpoint::{Endpoint, Reply};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::provider::{
    SHOPIFY_SECRET, STRIPE_SECRET, Webhook, set_secret, shopify_webhook, stripe_event, stripe_webhook,
    stripe_webhooks,
};
use sendpromptly_tests::sql::Sql;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::wait::eventually;
use sendpromptly_tests::world::World;

mod listed;
mod second_name;
mod strangers;

on_both_stores!(
    a_payment_without_its_receipt_opens_an_incident_that_a_success_resolves,
    a_receipt_fills_what_was_announced_and_either_may_come_first,
    a_webhook_that_is_forged_stale_or_huge_is_not_believed,
    shopifys_events_are_believed_by_their_hmac,
    two_secrets_count_while_they_rotate_and_none_is_in_plain,
    a_mapping_says_what_counts_and_what_it_means,
    told_of_at_once_by_both_it_is_one_event_with_its_receipt,
    a_payload_is_kept_of_an_event_that_was_announced,
);

/// A world whose project takes events of both providers.
async fn taking(kind: StoreKind) -> World {
    let world = World::start(kind).await;
    take(&world).await;
    let map = [
        "intake",
        "map",
        "--project",
        &world.project.id,
        "--provider",
        "stripe",
    ];
    let mapped = world.cli.run_with_input(&map, MAPPING).await;
    assert_eq!(mapped.code, 0, "{}", mapped.stderr);
    world
}

const MAPPING: &str = "\
checkout.session.completed access_unlock /data/object/client_reference_id
invoice.paid subscription_state_apply /data/object/customer
";

async fn take(world: &World) {
    for (provider, secret) in [("stripe", STRIPE_SECRET), ("shopify", SHOPIFY_SECRET)] {
        let set = set_secret(&world.cli, &world.project.id, provider, secret, &[]).await;
        let path = format!("/v1/providers/{provider}/{}", world.project.id);
        assert_eq!(set.json()["path"], json!(path), "{}", set.stderr);
    }
}

/// Sends a webhook, which must be taken; gives whether its event is watched.
async fn announce(world: &World, webhook: &Webhook) -> bool {
    let answer = webhook.send(world.server.address, &world.project.id).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["received"], json!(true));
    answer.json()["watched"].as_bool().unwrap()
}

/// The id of the event that the provider knows by this one.
async fn event_id(sql: &Sql, provider_event_id: &str) -> String {
    let query = format!(
        "SELECT {} AS t FROM events WHERE provider_event_id = '{provider_event_id}'",
        sql.hex("id")
    );
    let found = sql.texts(&query).await;
    assert_eq!(found.len(), 1, "{provider_event_id}");
    format!("evt_{}", found[0])
}

async fn a_payment_without_its_receipt_opens_an_incident_that_a_success_resolves(kind: StoreKind) {
    let world = taking(kind).await;
    let (api, sql) = (world.api(), world.sql().await);
    assert!(
        announce(
            &world,
            &stripe_webhook(&stripe_event("evt_lost", "invoice.paid")).await
        )
        .await
    );
    let event = event_id(&sql, "evt_lost").await;
    sql.make_overdue(&event).await;
    let incident = world.incident_of(&event).await;
    assert_eq!(incident["reason"], json!("missing_receipt"));
    assert_eq!(incident["effect_type"], json!("subscription_state_apply"));
    assert_eq!(incident["internal_reference"], json!("cus_1"));

    // The receipt comes after all: it says what the effect is, and the incident waits for it.
    let late = with(receipt("evt_lost"), "effect_type", json!("credit_grant"));
    let answer = api.receipt("key-late", &late).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    assert_eq!(answer.json()["event_id"], json!(event));
    assert_eq!(answer.json()["duplicate"], json!(false));
    let id = incident["incident_id"].as_str().unwrap();
    let incident = world.incident(id).await;
    assert_eq!(
        (&incident["state"], &incident["reason"]),
        (&json!("open"), &json!("missing_receipt"))
    );
    assert_eq!(incident["effect_type"], json!("credit_grant"));
    assert_eq!(incident["internal_reference"], json!("customer_42"));
    let facet = "SELECT facet AS n FROM incidents WHERE internal_reference = 'customer_42'";
    assert_eq!(
        sql.count(facet).await,
        1_102,
        "the list is filtered by what the receipt says"
    );
    assert_eq!(
        sql.count("SELECT count(*) AS n FROM events WHERE sweep_at IS NULL")
            .await,
        1
    );

    api.report(&event, "success").await;
    world.incident_becomes(id, "resolved").await;
    let verified = world.cli.run(&["audit", "verify"]).await;
    assert_eq!(verified.code, 0, "{}", verified.stderr);
}

async fn a_receipt_fills_what_was_announced_and_either_may_come_first(kind: StoreKind) {
    let world = taking(kind).await;
    let (api, sql) = (world.api(), world.sql().await);
    let bodies = ["evt_a", "evt_b"].map(|id| stripe_event(id, "checkout.session.completed").to_string());
    let webhooks = stripe_webhooks(STRIPE_SECRET, &bodies).await;

    // The provider first, twice.
    assert!(announce(&world, &webhooks[0]).await && announce(&world, &webhooks[0]).await);
    let event = event_id(&sql, "evt_a").await;
    let announced = world.cli.event(&event).await;
    assert_eq!(announced["received_at"], Value::Null);
    assert_eq!(announced["internal_reference"], json!("customer_42"));
    let body = with(receipt("evt_a"), "timeout_minutes", json!(7));
    let answer = api.receipt("key-a", &body).await;
    assert_eq!(answer.json()["event_id"], json!(event));
    assert_eq!(answer.json()["duplicate"], json!(false));
    let filled = world.cli.event(&event).await;
    assert!(filled["received_at"].is_string(), "{filled}");
    assert_eq!(filled["timeout_at"], answer.json()["timeout_at"]);
    assert_eq!(
        filled["occurred_at"],
        json!("2026-01-02T03:04:05.000Z"),
        "the app's word counts"
    );
    let again = api.receipt("key-a", &body).await;
    assert_eq!(
        (again.text(), again.header("idempotent-replayed")),
        (answer.text(), Some("true"))
    );
    let other = with(body, "effect_type", json!("credit_grant"));
    let second = api.receipt("key-a2", &other).await.json();
    assert_eq!(second["duplicate"], json!(true));
    assert_eq!(second["differs"], json!(["effect_type"]));

    // The app first: what the provider then says changes nothing.
    let first = api.receipt("key-b", &receipt("evt_b")).await.json();
    let event = first["event_id"].as_str().unwrap();
    assert!(is_id("evt_", &first["event_id"]));
    let before = world.cli.event(event).await;
    assert!(announce(&world, &webhooks[1]).await);
    assert_eq!(world.cli.event(event).await, before);
    assert_eq!(sql.rows("events").await, 2);
    assert!(world.cli.incidents(&world.project.id).await.is_empty());
}

async fn a_webhook_that_is_forged_stale_or_huge_is_not_believed(kind: StoreKind) {
    let world = taking(kind).await;
    let other = world.cli.create_project(&world.organization, &[]).await.id;
    let (server, project) = (world.server.address, &world.project.id);
    let event = stripe_event("evt_1", "invoice.paid").to_string();
    let good = stripe_webhooks(STRIPE_SECRET, &[event.clone(), "[]".to_owned(), "{".to_owned()]).await;
    let forged = &stripe_webhooks("whsec_somebody_elses_0123", &[event]).await[0];
    let changed = |signature: &str, body: &str| Webhook {
        signature: signature.to_owned(),
        body: body.to_owned(),
        ..good[0].clone()
    };
    let signed_at = good[0].signature.split(',').next().unwrap().to_owned();
    let stale = good[0].signature.replace(&signed_at, "t=1000000000");
    let body = good[0].body.as_str();
    for (what, webhook) in [
        ("by another secret", forged.clone()),
        (
            "with another body",
            changed(&good[0].signature, &body.replace("990", "1")),
        ),
        ("cut off", changed(&good[0].signature, &body[..body.len() - 1])),
        ("with another time", changed(&stale, body)),
        ("without a signature", changed(&signed_at, body)),
        ("with none", changed("", body)),
    ] {
        let answer = webhook.send(server, project).await;
        assert_eq!(answer.verdict(), "401 unauthorized", "{what}");
    }
    // Nobody learns which projects there are, or what they take.
    let nowhere = format!("prj_{}", "0".repeat(32));
    for project in [&other, &nowhere] {
        assert_eq!(good[0].send(server, project).await.verdict(), "401 unauthorized");
    }
    assert_eq!(good[0].send(server, "prj_1").await.verdict(), "404 not_found");
    for broken in &good[1..] {
        assert_eq!(
            broken.send(server, project).await.verdict(),
            "422 validation_error"
        );
    }
    let huge = changed(&good[0].signature, &"x".repeat(512 * 1_024 + 1));
    for project in [project, &other, &nowhere] {
        assert_eq!(
            huge.send(server, project).await.verdict(),
            "413 payload_too_large"
        );
    }
    let twice = good[0]
        .request(project)
        .header("stripe-signature", &good[0].signature);
    assert_eq!(twice.send(server).await.verdict(), "401 unauthorized");
    let sql = world.sql().await;
    assert_eq!(sql.rows("events").await, 0);
    // While a secret rotates, Stripe signs with both: one that holds is enough.
    let (_, wrong) = forged.signature.split_once(',').unwrap();
    let both = changed(
        &format!(
            "{signed_at},{wrong},{}",
            good[0].signature.split_once(',').unwrap().1
        ),
        body,
    );
    assert!(announce(&world, &both).await);
    assert_eq!(sql.rows("events").await, 1);
}

async fn shopifys_events_are_believed_by_their_hmac(kind: StoreKind) {
    let world = taking(kind).await;
    let order = r#"{"id": 820982911946154508, "total_price": "9.90", "name": "ü"}"#;
    let webhook = shopify_webhook("event-1", "orders/paid", order).await;
    let (server, project) = (world.server.address, &world.project.id);
    for forged in [
        Webhook {
            body: order.replace("9.90", "0.00"),
            ..webhook.clone()
        },
        Webhook {
            signature: "AAAA".to_owned(),
            ..webhook.clone()
        },
    ] {
        assert_eq!(forged.send(server, project).await.verdict(), "401 unauthorized");
    }
    let nameless = webhook.request(project).without("x-shopify-event-id");
    assert_eq!(nameless.send(server).await.verdict(), "422 validation_error");
    let unwatched = Webhook {
        headers: vec![
            ("x-shopify-event-id", "event-2".to_owned()),
            ("x-shopify-topic", "products/update".to_owned()),
            ("x-shopify-shop-domain", "example.myshopify.com".to_owned()),
        ],
        ..webhook.clone()
    };
    assert!(!announce(&world, &unwatched).await);
    assert!(announce(&world, &webhook).await && announce(&world, &webhook).await);
    let sql = world.sql().await;
    assert_eq!(sql.rows("events").await, 1);
    let event = world.cli.event(&event_id(&sql, "event-1").await).await;
    assert_eq!(event["provider"], json!("shopify"));
    assert_eq!(event["event_type"], json!("orders/paid"));
    assert_eq!(event["internal_reference"], json!("820982911946154508"));
    assert_eq!(event["occurred_at"], json!("2026-01-02T03:04:05.678Z"));
}

async fn two_secrets_count_while_they_rotate_and_none_is_in_plain(kind: StoreKind) {
    const NEXT: &str = "whsec_intakeNext7Gm2xVb9Rd5y";
    let world = taking(kind).await;
    let (project, sql) = (world.project.id.as_str(), world.sql().await);
    let bodies = ["evt_1", "evt_2"].map(|id| stripe_event(id, "invoice.paid").to_string());
    let old = stripe_webhooks(STRIPE_SECRET, &bodies).await;
    let new = stripe_webhooks(NEXT, &bodies).await;
    assert_eq!(set_secret(&world.cli, project, "stripe", NEXT, &[]).await.code, 0);
    assert!(announce(&world, &old[0]).await && announce(&world, &new[0]).await);
    let third = set_secret(&world.cli, project, "stripe", STRIPE_SECRET, &[]).await;
    assert_eq!(third.code, 1, "two are live: {}", third.stdout);
    for wrong in ["sk_live_0123456789abcdef", "whsec_", ""] {
        let refused = set_secret(&world.cli, project, "stripe", wrong, &[]).await;
        assert!(
            refused.code > 0 && !refused.stderr.contains("sk_live"),
            "{}",
            refused.stderr
        );
    }

    let shown = world
        .cli
        .run(&["intake", "show", "--project", project])
        .await
        .json_lines();
    assert_eq!(shown[0]["secrets"].as_array().unwrap().len(), 2);
    let sealed = sql
        .texts(&format!(
            "SELECT {} AS t FROM provider_secrets",
            sql.hex_of_bytes("sealed")
        ))
        .await;
    let plain = |secret: &str| {
        secret
            .bytes()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    for secret in [STRIPE_SECRET, NEXT, SHOPIFY_SECRET] {
        assert!(!sealed.iter().any(|row| row.contains(&plain(secret))));
        assert!(!world.server.log().contains(secret));
    }
    let actions = sql
        .texts("SELECT action AS t FROM audit_entries WHERE action LIKE 'intake.secret%'")
        .await;
    assert_eq!(actions, ["intake.secret_set"; 3]);

    // One that has leaked is ended at once, and then all are.
    let ended = set_secret(&world.cli, project, "stripe", NEXT, &["--overlap", "0s"]).await;
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let refused = async |webhook: &Webhook| {
        eventually("the secret has ended", async || {
            let answer = webhook.send(world.server.address, project).await;
            (answer.verdict() == "401 unauthorized").then_some(())
        })
        .await;
    };
    refused(&old[1]).await;
    assert!(announce(&world, &new[1]).await);
    let done = world
        .cli
        .run(&["intake", "stop", "--project", project, "--provider", "stripe"])
        .await;
    assert_eq!(done.code, 0, "{}", done.stderr);
    refused(&new[1]).await;
    let left = "SELECT count(*) AS n FROM provider_secrets WHERE provider = 'stripe'";
    assert_eq!(sql.count(left).await, 0);
}

async fn a_mapping_says_what_counts_and_what_it_means(kind: StoreKind) {
    let world = World::start(kind).await;
    let project = world.project.id.as_str();
    let map = ["intake", "map", "--project", project, "--provider", "stripe"];
    for (text, said) in [
        ("", "at least one line"),
        ("invoice.paid refund", "line 1: the effect type must be one of"),
        (
            "invoice.paid access_unlock customer",
            "line 1: a JSON pointer must start with '/'",
        ),
        (
            "a access_unlock\na credit_grant",
            "line 2: the event type a stands twice",
        ),
    ] {
        let refused = world.cli.run_with_input(&map, text).await;
        assert_eq!(refused.code, 2, "{text}");
        assert!(refused.stderr.contains(said), "{}", refused.stderr);
    }
    let mapping = "payment_intent.succeeded credit_grant /data/object/amount_paid\ncustomer.deleted access_revocation\n";
    let mapped = world.cli.run_with_input(&map, mapping).await.json();
    assert_eq!(
        mapped["mapping"][0]["reference"],
        json!("/data/object/amount_paid")
    );
    take(&world).await;
    let types = ["payment_intent.succeeded", "customer.deleted", "invoice.paid"];
    let bodies = types.map(|name| stripe_event(name, name).to_string());
    let webhooks = stripe_webhooks(STRIPE_SECRET, &bodies).await;
    let mut watched = Vec::new();
    for webhook in &webhooks {
        watched.push(announce(&world, webhook).await);
    }
    assert_eq!(watched, [true, true, false]);
    let sql = world.sql().await;
    let paid = world.cli.event(&event_id(&sql, types[0]).await).await;
    assert_eq!(
        (&paid["effect_type"], &paid["internal_reference"]),
        (&json!("credit_grant"), &json!("990"))
    );

    // Without a reference nothing can be repaired, and that is said.
    let deleted = event_id(&sql, types[1]).await;
    assert_eq!(world.cli.event(&deleted).await["internal_reference"], Value::Null);
    sql.make_overdue(&deleted).await;
    let incident = world.incident_of(&deleted).await;
    let incident = incident["incident_id"].as_str().unwrap();
    let refused = world.cli.run(&["incident", "reprocess", incident]).await;
    assert_eq!(refused.code, 1, "{}", refused.stdout);

    let back: Vec<_> = map.iter().copied().chain(["--default"]).collect();
    let mapped = world.cli.run(&back).await.json();
    assert_eq!(
        mapped["mapping"][0]["event_type"],
        json!("checkout.session.completed")
    );
}

async fn told_of_at_once_by_both_it_is_one_event_with_its_receipt(kind: StoreKind) {
    let world = taking(kind).await;
    let (server, project) = (world.server.address, world.project.id.clone());
    let ids: Vec<_> = (0..12).map(|_| unique("evt")).collect();
    let bodies: Vec<_> = ids
        .iter()
        .map(|id| stripe_event(id, "invoice.paid").to_string())
        .collect();
    let webhooks = stripe_webhooks(STRIPE_SECRET, &bodies).await;
    let mut tellers = Vec::new();
    for (id, webhook) in ids.iter().zip(&webhooks) {
        for number in 0..3 {
            let (webhook, project) = (webhook.clone(), project.clone());
            tellers.push(tokio::spawn(async move { webhook.send(server, &project).await }));
            let (api, id) = (world.api(), id.clone());
            tellers.push(tokio::spawn(async move {
                api.receipt(&format!("{id}-{number}"), &receipt(&id)).await
            }));
        }
    }
    let mut told = Vec::new();
    for teller in tellers {
        let answer = teller.await.unwrap();
        assert!(matches!(answer.status, 200 | 202), "{}", answer.text());
        told.extend((answer.status == 202).then(|| answer.json()));
    }
    // Of each event's receipts one is the first, and all name the same event and the same time.
    let sql = world.sql().await;
    for id in &ids {
        let event = event_id(&sql, id).await;
        let same: Vec<_> = told
            .iter()
            .filter(|answer| answer["event_id"] == json!(event))
            .collect();
        assert_eq!(same.len(), 3, "{id}");
        let firsts = same.iter().filter(|answer| answer["duplicate"] == json!(false));
        assert_eq!(firsts.count(), 1, "{same:?}");
        let stored = world.cli.event(&event).await;
        assert!(
            same.iter()
                .all(|answer| answer["timeout_at"] == stored["timeout_at"])
        );
        assert_eq!(stored["internal_reference"], json!("customer_42"));
        assert!(stored["received_at"].is_string());
    }
    assert_eq!(sql.rows("events").await, 12);
}

async fn a_payload_is_kept_of_an_event_that_was_announced(kind: StoreKind) {
    let endpoint = Endpoint::start(|_, _| Reply::status(200)).await;
    let world = World::start_calling(kind, &endpoint).await;
    take(&world).await;
    let set = [
        "project",
        "set",
        &world.project.id,
        "--snapshots",
        "true",
        "--send-payload",
        "true",
    ];
    let done = world.cli.run(&set).await;
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(
        announce(
            &world,
            &stripe_webhook(&stripe_event("evt_1", "checkout.session.completed")).await
        )
        .await
    );
    let body = with(receipt("evt_1"), "payload", json!({"kept": "payload-of-evt_1"}));
    let answer = world.api().receipt("key-1", &body).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let event = answer.json()["event_id"].as_str().unwrap().to_owned();
    let sql = world.sql().await;
    assert_eq!(event_id(&sql, "evt_1").await, event);
    assert_eq!(sql.rows("snapshots").await, 1);
    let failed = world.api().report(&event, "failed").await;
    let incident = failed["incident_id"].as_str().unwrap();
    world.cli.reprocess(incident).await;
    world.replay_becomes(incident, "delivered").await;
    assert_eq!(
        endpoint.calls()[0].json()["payload"],
        json!({"kept": "payload-of-evt_1"})
    );
}
