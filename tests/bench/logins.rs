//! Twenty people who sign in at once while receipts come in.

use std::time::{Duration, Instant};

use sendpromptly_tests::browser::Browser;
use sendpromptly_tests::form::Form;
use sendpromptly_tests::server::Options;
use sendpromptly_tests::store::{StoreKind, TestStore};
use sendpromptly_tests::world::World;

use crate::load;
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
        let (mut alone, mut beside, mut took) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            let figures = one_round(kind).await;
            if round > 0 {
                alone.push(figures.alone.as_secs_f64() * 1e3);
                beside.push(figures.beside.as_secs_f64() * 1e3);
                took.push(figures.took.as_secs_f64());
            }
        }
        let (alone, beside) = (median(alone), median(beside));
        let measured = format!(
            "**{:.2}x** ({beside:.1} ms over {alone:.1} ms; all are in after {:.1} s)",
            beside / alone,
            median(took)
        );
        report.add(
            &format!("{name}: p99 of receipts while {PEOPLE} sign in, over that without"),
            measured,
            "1.5x",
            "1.1x",
        );
    }
}

struct Figures {
    alone: Duration,
    beside: Duration,
    took: Duration,
}

async fn one_round(kind: StoreKind) -> Figures {
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
    p99(&world).await; // warms up
    let alone = p99(&world).await;
    let start = Instant::now();
    let all_in: Vec<_> = people
        .into_iter()
        .map(|(browser, form)| tokio::spawn(sign_in(browser, form)))
        .collect();
    let beside = p99(&world).await;
    for one in all_in {
        one.await.unwrap();
    }
    Figures {
        alone,
        beside,
        took: start.elapsed(),
    }
}

async fn sign_in(mut browser: Browser, form: Form) {
    let page = browser.submit(form).await;
    assert_eq!(page.status(), 303, "{}", page.text());
}

async fn p99(world: &World) -> Duration {
    let requests = Events::new(REQUESTS).receipts();
    let run = load::run(
        world.server.address,
        &world.project.api_key,
        CONNECTIONS,
        requests,
    );
    run.await.unwrap().p99
}
