//! Twenty people who sign in at once while receipts come in: at a quarter of the rate that the server carries,
//! and at all of it. There any work on the two cores takes from the receipts; how much, a process shows that only
//! counts, at the lowest priority.

use std::time::{Duration, Instant};

use sendpromptly_tests::browser::Browser;
use sendpromptly_tests::form::Form;
use sendpromptly_tests::server::Options;
use sendpromptly_tests::store::{StoreKind, TestStore};
use sendpromptly_tests::world::World;

use crate::load::{self, Figures};
use crate::report::{Report, median};
use crate::workload::Events;

const PEOPLE: usize = 20;
/// Connections at once: enough for batches to form.
const CONNECTIONS: usize = 16;
/// Few enough that they are over before the last of the people is in.
const REQUESTS: usize = 5_000;
/// Rounds, after one that warms up. Each has a server of its own, for so many forms at once are taken from one
/// address once.
const ROUNDS: usize = 5;

/// The p99 of receipts beside the sign-ins, over that without.
pub(crate) async fn measure(report: &mut Report) {
    for (name, kind) in [("PostgreSQL", StoreKind::Postgres), ("SQLite", StoreKind::Sqlite)] {
        for (load, share) in [("a quarter of the load", Some(0.25)), ("all the load", None)] {
            measure_under(report, &format!("{name}, {load}"), kind, share).await;
        }
    }
}

async fn measure_under(report: &mut Report, name: &str, kind: StoreKind, share: Option<f64>) {
    let mut rounds = Vec::new();
    for round in 0..=ROUNDS {
        let figures = one_round(kind, share).await;
        if round > 0 {
            rounds.push(figures);
        }
    }
    let over = |time: fn(&Round) -> Duration| median(rounds.iter().map(|round| ms(time(round))).collect());
    let (alone, counting, beside) = (
        over(|round| round.alone),
        over(|round| round.counting),
        over(|round| round.beside),
    );
    report.add(
        &format!("{name}: p99 of receipts while {PEOPLE} sign in, over that without"),
        format!(
            "**{:.2}x** ({beside:.1} ms over {alone:.1} ms; all are in after {:.0} ms)",
            beside / alone,
            over(|round| round.took)
        ),
        "1.5x",
        "1.1x",
    );
    report.add(
        &format!("{name}: the same beside a process of the lowest priority that only counts"),
        format!("**{:.2}x** ({counting:.1} ms)", counting / alone),
        "",
        "",
    );
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

struct Round {
    alone: Duration,
    counting: Duration,
    beside: Duration,
    took: Duration,
}

async fn one_round(kind: StoreKind, share: Option<f64>) -> Round {
    let world = World::start_on(TestStore::new(kind).await, &Options::quick(), &[]).await;
    let mut people = Vec::new();
    for number in 0..PEOPLE {
        let name = format!("person-{number}");
        world.cli.create_organization(&name).await;
        let mut browser = Browser::new(&world.server);
        let form = browser.get("/sign-in").await.ok().form("/sign-in");
        let form = form
            .set("email", format!("{name}@example.com"))
            .set("password", "correct horse battery");
        people.push((browser, form));
    }
    load(&world, None).await; // warms up
    let rate = load(&world, None).await.rate;
    let rate = share.map(|share| rate * share);
    let alone = load(&world, rate).await.p99;
    let counter = counter();
    let counting = load(&world, rate).await.p99;
    drop(counter);
    let start = Instant::now();
    let all_in: Vec<_> = people
        .into_iter()
        .map(|(browser, form)| tokio::spawn(sign_in(browser, form)))
        .collect();
    let beside = load(&world, rate).await.p99;
    for one in all_in {
        one.await.unwrap();
    }
    Round {
        alone,
        counting,
        beside,
        took: start.elapsed(),
    }
}

async fn sign_in(mut browser: Browser, form: Form) {
    let page = browser.submit(form).await;
    assert_eq!(page.status(), 303, "{}", page.text());
}

async fn load(world: &World, rate: Option<f64>) -> Figures {
    let requests = Events::new(REQUESTS).receipts();
    let (address, key) = (world.server.address, &world.project.api_key);
    let figures = match rate {
        Some(rate) => load::run_at(rate, address, key, CONNECTIONS, requests).await,
        None => load::run(address, key, CONNECTIONS, requests).await,
    };
    figures.unwrap()
}

/// Counts until it is dropped.
fn counter() -> tokio::process::Child {
    tokio::process::Command::new("chrt")
        .args(["--idle", "0", "sh", "-c", "while :; do :; done"])
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}
