//! Before another checkout is made, Stripe is asked what became of the one before: its webhook may have been lost.

use sendpromptly_tests::browser::Browser;
use sendpromptly_tests::endpoint::Reply;
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::page::Page;
use sendpromptly_tests::people::owner;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::stripe::{Api, now, subscription, subscription_of};
use sendpromptly_tests::world::World;
use serde_json::{Value, json};

use super::{DAY, asking, end_trial, receipts_become, status};

on_both_stores!(
    a_checkout_that_was_paid_without_a_webhook_is_taken_over_and_not_made_twice,
    a_checkout_that_has_expired_makes_room_for_another,
    a_checkout_that_stripe_holds_open_is_gone_on_with,
    while_stripe_does_not_tell_of_a_checkout_nothing_else_is_begun,
    what_was_paid_and_has_ended_makes_room_and_what_is_under_way_does_not,
);

const MADE: &str = "POST /v1/checkout/sessions ";
const ASKED: &str = "GET /v1/checkout/sessions/cs_1?expand";
const READ: &str = "GET /v1/subscriptions/sub_known ";

/// An owner who has begun to subscribe, at a Stripe that knows nothing of it yet.
struct Scene {
    stripe: Api,
    world: World,
    browser: Browser,
}

impl Scene {
    async fn begin(kind: StoreKind) -> Self {
        let stripe = Api::start(Reply::status(500)).await;
        let world = World::start_with(kind, &asking(&stripe.url()), &[]).await;
        end_trial(&world).await;
        let browser = owner(&world).await;
        let mut scene = Self {
            stripe,
            world,
            browser,
        };
        assert_eq!(scene.led_to("cs_1").await, page("cs_1"));
        scene
    }

    /// Where somebody is led who subscribes, where a checkout that is made now is this one.
    async fn led_to(&mut self, made: &str) -> String {
        let made = json!({"id": made, "url": page(made), "expires_at": now() + DAY});
        self.stripe.answers_to(MADE, Reply::Json(made));
        self.subscribe().await.ok().link("Go on to Stripe")
    }

    async fn subscribe(&mut self) -> Page {
        let page = self.browser.visit(&self.path()).await.ok();
        self.browser.submit(page.form("/billing/checkout")).await
    }

    fn path(&self) -> String {
        format!("/orgs/{}/billing", self.world.organization)
    }

    /// Stripe says this of the first checkout.
    fn tells(&self, more: Value) {
        let mut told = json!({"id": "cs_1", "object": "checkout.session"});
        let more = more.as_object().unwrap().clone();
        told.as_object_mut().unwrap().extend(more);
        self.stripe.answers_to(ASKED, Reply::Json(told));
    }

    /// Stripe says that it was paid, and that this became of the subscription.
    fn tells_paid(&self, state: &str) {
        let paid_until = now() + 30 * DAY;
        self.stripe
            .answers_to(READ, Reply::Json(subscription(state, paid_until)));
        let bought = subscription_of(&self.world.organization, state, paid_until);
        self.tells(json!({"status": "complete", "url": null, "subscription": bought}));
    }

    /// Lets the time be over in which the first checkout could be paid.
    async fn wait_out(&self) {
        let over = "UPDATE organizations SET checkout_expires_at = 1000";
        self.world.sql().await.run(over).await;
    }

    async fn made(&self) -> usize {
        let calls = self.stripe.after_questions(1).await;
        calls
            .iter()
            .filter(|call| call.request_line.starts_with(MADE))
            .count()
    }

    async fn told(&self) -> usize {
        let told = "SELECT action AS t FROM audit_entries WHERE action = 'subscription.changed'";
        self.world.sql().await.texts(told).await.len()
    }
}

fn page(checkout: &str) -> String {
    format!("https://checkout.stripe.com/c/pay/{checkout}")
}

async fn a_checkout_that_was_paid_without_a_webhook_is_taken_over_and_not_made_twice(kind: StoreKind) {
    // Whether its time is over or not.
    for is_over in [true, false] {
        let mut scene = Scene::begin(kind).await;
        if is_over {
            scene.wait_out().await;
        }
        scene.tells_paid("active");
        let answer = scene.subscribe().await;
        let back = scene.path();
        assert_eq!((answer.status(), answer.location()), (303, Some(back.as_str())));
        let page = scene.browser.visit(&scene.path()).await.ok();
        assert!(page.text_of("[data-test=plan]").contains("Subscribed"));
        assert!(page.has("[data-test=manage]") && !page.has("[data-test=subscribe]"));
        receipts_become(&scene.world, "202").await;
        assert_eq!((scene.made().await, scene.told().await), (1, 1));
        assert!(scene.world.server.log().contains("no webhook of Stripe's told"));
        assert_eq!(scene.world.cli.run(&["audit", "verify"]).await.code, 0);
    }
}

async fn a_checkout_that_has_expired_makes_room_for_another(kind: StoreKind) {
    let mut scene = Scene::begin(kind).await;
    scene.wait_out().await;
    scene.tells(json!({"status": "expired", "url": null, "subscription": null}));
    assert_eq!(scene.led_to("cs_2").await, page("cs_2"));
    // And one that Stripe has never heard of, for the key is another account's.
    scene.wait_out().await;
    let asked = "GET /v1/checkout/sessions/cs_2?expand";
    let unknown = Reply::Text(404, r#"{"error":{"code":"resource_missing"}}"#);
    scene.stripe.answers_to(asked, unknown);
    assert_eq!(scene.led_to("cs_3").await, page("cs_3"));
    assert_eq!(scene.made().await, 3);
}

async fn a_checkout_that_stripe_holds_open_is_gone_on_with(kind: StoreKind) {
    let mut scene = Scene::begin(kind).await;
    // By this server's clock it is over.
    scene.wait_out().await;
    let until = now() + 3_600;
    scene.tells(json!({"status": "open", "url": page("cs_1"), "expires_at": until, "subscription": null}));
    assert_eq!(scene.led_to("cs_2").await, page("cs_1"));
    assert_eq!(scene.made().await, 1);
    let stored = "SELECT checkout_session || ' ' || checkout_expires_at AS t FROM organizations";
    let expected = format!("cs_1 {}", until * 1_000);
    assert_eq!(scene.world.sql().await.texts(stored).await, [expected]);
}

async fn while_stripe_does_not_tell_of_a_checkout_nothing_else_is_begun(kind: StoreKind) {
    let mut scene = Scene::begin(kind).await;
    let of_another = subscription_of("org_00000000000000000000000000000001", "active", now());
    let answers = [
        Reply::Text(500, r#"{"error":{"message":"canary-words-of-stripe"}}"#),
        Reply::Text(403, "{}"),
        Reply::HangUp,
        Reply::Text(200, "<html>canary</html>"),
        Reply::Text(200, r#"{"id":"cs_2","status":"expired"}"#),
        Reply::Text(200, r#"{"id":"cs_1","status":"complete","subscription":null}"#),
        Reply::Json(json!({"id": "cs_1", "status": "complete", "subscription": of_another})),
    ];
    // While its page can be paid, it is gone on with: nobody pays twice there.
    for answer in &answers[..5] {
        scene.stripe.answers_to(ASKED, answer.clone());
        assert_eq!(scene.led_to("cs_2").await, page("cs_1"));
    }
    scene.wait_out().await;
    for answer in answers {
        scene.stripe.answers_to(ASKED, answer.clone());
        let refused = scene.subscribe().await;
        assert_eq!(refused.status(), 502, "{answer:?}: {}", refused.text());
        let why = refused.text_of("[data-test=refusal]");
        assert!(
            why.contains("has to tell first") && why.contains("nothing is lost"),
            "{why}"
        );
        assert!(!refused.text().contains("canary") && !refused.has("[data-test=go]"));
    }
    assert_eq!(scene.made().await, 1);
    assert_eq!(status(&scene.world).await, ["none"]);
    // And it is not lost.
    scene.tells_paid("active");
    assert_eq!(scene.subscribe().await.status(), 303);
    assert_eq!(status(&scene.world).await, ["active"]);
}

async fn what_was_paid_and_has_ended_makes_room_and_what_is_under_way_does_not(kind: StoreKind) {
    let mut scene = Scene::begin(kind).await;
    scene.wait_out().await;
    scene.tells_paid("incomplete");
    let refused = scene.subscribe().await;
    assert_eq!(refused.status(), 409, "{}", refused.text());
    assert!(refused.text_of("[data-test=refusal]").contains("under way"));
    assert_eq!(scene.made().await, 1);
    scene.tells_paid("canceled");
    assert_eq!(scene.led_to("cs_2").await, page("cs_2"));
    assert_eq!(scene.made().await, 2);
}
