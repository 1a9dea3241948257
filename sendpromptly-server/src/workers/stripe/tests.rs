//! Daily looks at subscriptions while Stripe gives an answer to some, to none, and to all again.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::config::StripeApi;
use crate::store::billing::reads::LOOK_EVERY;
use crate::store::rows::{self, Sql};
use crate::testing::{NOW, World};

const SUBSCRIPTIONS: [&str; 3] = ["sub_1", "sub_2", "sub_3"];

/// Longer than any pause.
const HOURS: Duration = Duration::from_secs(2 * 60 * 60);

const REFUSAL: &str = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 2\r\n\r\n{}";

/// Stripe's API. It has all subscriptions active.
struct Stripe {
    /// What it was asked for.
    asked: Mutex<Vec<String>>,
    /// Which subscriptions it does not tell of.
    failing: Mutex<&'static [&'static str]>,
    /// What it answers then; nothing, and it hangs up.
    failure: &'static str,
}

impl Stripe {
    async fn answer(&self, mut stream: TcpStream) {
        let mut read = [0; 4_096];
        let length = stream.read(&mut read).await.unwrap();
        let request = String::from_utf8_lossy(&read[..length]);
        let path = request.split(' ').nth(1).unwrap_or_default();
        let subscription = path.rsplit('/').next().unwrap_or_default();
        self.asked.lock().unwrap().push(subscription.to_owned());
        let answer = if self.failing.lock().unwrap().contains(&subscription) {
            self.failure.to_owned()
        } else {
            let body = format!(r#"{{"id":"{subscription}","status":"active","items":{{"data":[]}}}}"#);
            format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{body}")
        };
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

/// A worker, and subscriptions that are past due as far as is known, and due to be looked at one after the other.
struct Scene {
    world: World,
    worker: ReadStripe,
    stripe: Arc<Stripe>,
    begun: Timestamp,
}

impl Scene {
    async fn set_up(failure: &'static str, failing: &'static [&'static str]) -> Self {
        let world = World::set_up().await;
        let begun = clock::now();
        for (subscription, ago) in SUBSCRIPTIONS.into_iter().zip([-3, -2, -1]) {
            let insert = Sql::new(
                "INSERT INTO stripe_subscriptions (subscription, customer, heard_at, status, look_at)
                 VALUES ({}, {}, 1, 'past_due', {})",
            );
            let insert = insert.bind(subscription).bind(format!("cus_of_{subscription}"));
            world.write(insert.bind(begun.plus_millis(ago))).await;
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let api = StripeApi::for_tests(&format!("http://{}", listener.local_addr().unwrap()));
        let stripe = Arc::new(Stripe {
            asked: Mutex::default(),
            failing: Mutex::new(failing),
            failure,
        });
        let answering = stripe.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                answering.answer(stream).await;
            }
        });
        let client = StripeClient::new(&api).unwrap();
        let worker = ReadStripe::new(world.store.clone(), client, StripeMetrics::default());
        Self {
            world,
            worker,
            stripe,
            begun,
        }
    }

    /// What one round, so long after the beginning, asks Stripe for, once all of it has ended.
    async fn round(&mut self, after: Duration) -> Vec<String> {
        self.worker.round(self.begun.plus(after)).await.unwrap();
        drop(self.worker.look_slots.acquire().await.unwrap());
        std::mem::take(&mut *self.stripe.asked.lock().unwrap())
    }

    /// What is known of each.
    async fn statuses(&self) -> Vec<String> {
        let query = Sql::new("SELECT status FROM stripe_subscriptions ORDER BY subscription");
        let found = query.all(self.world.store.reader()).await.unwrap();
        found
            .iter()
            .map(|row| rows::get(row, "status").unwrap())
            .collect()
    }

    /// The next day Stripe answers, and all is known.
    async fn all_are_seen_the_next_day(&mut self) {
        *self.stripe.failing.lock().unwrap() = &[];
        let mut asked = Vec::new();
        for _ in SUBSCRIPTIONS {
            asked.extend(self.round(LOOK_EVERY + HOURS).await);
        }
        asked.sort();
        assert_eq!(asked, SUBSCRIPTIONS);
        assert_eq!(self.statuses().await, ["active"; 3]);
    }
}

#[tokio::test]
async fn a_look_that_stripe_fails_holds_up_the_others_for_a_pause_and_is_made_again_the_next_day() {
    for failure in [REFUSAL, ""] {
        let mut scene = Scene::set_up(failure, &["sub_2"]).await;
        let soon = Duration::ZERO;
        assert_eq!(scene.round(soon).await, ["sub_1"]);
        assert_eq!(scene.round(soon).await, ["sub_2"]);
        assert!(scene.round(soon).await.is_empty(), "a pause");
        assert_eq!(scene.round(HOURS).await, ["sub_3"]);
        assert!(scene.round(HOURS).await.is_empty(), "each was looked at");
        assert_eq!(scene.statuses().await, ["active", "past_due", "active"]);
        scene.all_are_seen_the_next_day().await;
    }
}

#[tokio::test]
async fn while_stripe_fails_all_looks_each_is_made_once_a_day_with_a_pause_between_and_none_is_lost() {
    for failure in [REFUSAL, ""] {
        let mut scene = Scene::set_up(failure, &SUBSCRIPTIONS).await;
        for (subscription, later) in SUBSCRIPTIONS.into_iter().zip(0..) {
            assert_eq!(scene.round(HOURS * later).await, [subscription]);
            assert!(scene.round(Duration::ZERO).await.is_empty(), "a pause");
        }
        assert!(scene.round(HOURS * 3).await.is_empty(), "each was looked at");
        assert_eq!(scene.statuses().await, ["past_due"; 3]);
        scene.all_are_seen_the_next_day().await;
    }
}

#[test]
fn the_pause_grows_to_an_hour_while_stripe_gives_no_answer_and_ends_with_one() {
    let (mut pause, mut now) = (Pause::default(), NOW);
    assert!(pause.is_over(now));
    let mut last = Duration::ZERO;
    for _ in 0..200 {
        pause.hear(false, now);
        let over_at = pause.over_at.unwrap();
        assert!(!pause.is_over(over_at.plus_millis(-1)) && pause.is_over(over_at));
        let wait = Duration::from_millis((over_at.as_millis() - now.as_millis()).unsigned_abs());
        assert!(wait >= last);
        (last, now) = (wait, over_at);
    }
    assert_eq!(last, Duration::from_secs(3_600));
    pause.hear(false, now);
    pause.hear(true, now);
    assert!(pause.is_over(now));
}
