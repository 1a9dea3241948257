//! How many callbacks go at once: a project's endpoint is not overrun, and no project waits for another's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sendpromptly_tests::api::Api;
use sendpromptly_tests::command::Project;
use sendpromptly_tests::endpoint::{Endpoint, Reply};
use sendpromptly_tests::on_both_stores;
use sendpromptly_tests::server::Options;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::wait::eventually;
use sendpromptly_tests::world::World;

on_both_stores!(
    at_most_five_callbacks_of_a_project_are_in_flight,
    after_five_failures_in_a_row_one_goes_as_a_probe,
);

async fn at_most_five_callbacks_of_a_project_are_in_flight(kind: StoreKind) {
    let (busy, idle) = (
        Endpoint::start(|_, _| Reply::Held(200)).await,
        Endpoint::always(200).await,
    );
    let world = World::start_calling(kind, &busy).await;
    five_of_them_are_in_flight(&world, (&busy, 8), (&idle, 1)).await;
}

#[tokio::test]
async fn at_most_five_callbacks_of_a_project_are_in_flight_over_two_nodes() {
    let busy = Endpoint::start(|_, _| Reply::Held(200)).await;
    let idle = Endpoint::always(200).await;
    let world = World::start_calling(StoreKind::Postgres, &busy).await;
    let _second = world.start_second_node(&Options::quick()).await;
    five_of_them_are_in_flight(&world, (&busy, 12), (&idle, 2)).await;
}

/// Orders so many callbacks of the project to the endpoint that holds them, and so many of another project to the other.
async fn five_of_them_are_in_flight(
    world: &World,
    (busy, ordered): (&Endpoint, usize),
    (idle, beside): (&Endpoint, usize),
) {
    let other = another_project(world, idle).await;
    let of_other = new_incidents(world, &other, beside).await;
    let of_busy = new_incidents(world, &world.project, ordered).await;
    order(world, &of_busy).await;
    busy.after_calls(5).await;

    // Another project's callbacks go at once, and show that the busy one's were looked at again.
    order(world, &of_other).await;
    idle.after_calls(beside).await;
    assert_eq!((busy.calls().len(), busy.in_flight()), (5, 5));

    busy.release();
    busy.after_calls(ordered).await;
    assert_eq!(busy.most_in_flight(), 5);
}

async fn after_five_failures_in_a_row_one_goes_as_a_probe(kind: StoreKind) {
    let works_again = Arc::new(AtomicBool::new(false));
    let works = works_again.clone();
    let broken = Endpoint::start(move |_, _| {
        if works.load(Ordering::SeqCst) {
            Reply::Held(200)
        } else {
            Reply::status(500)
        }
    })
    .await;
    let idle = Endpoint::always(200).await;
    let options = Options::quick().set("--retry-schedule", "0s,1h");
    let world = World::start_with(kind, &options, &["--repair-url", &broken.url()]).await;
    let other = another_project(&world, &idle).await;
    let of_other = new_incidents(&world, &other, 1).await;
    order(&world, &new_incidents(&world, &world.project, 5).await).await;
    let of_broken = new_incidents(&world, &world.project, 4).await;
    let sql = world.sql().await;
    eventually("five attempts have failed", async || {
        let failed = sql
            .count("SELECT count(*) AS n FROM replays WHERE last_status = 500")
            .await;
        (failed == 5).then_some(())
    })
    .await;

    works_again.store(true, Ordering::SeqCst);
    order(&world, &of_broken).await;
    broken.after_calls(6).await;
    order(&world, &of_other).await;
    idle.after_calls(1).await;
    assert_eq!(
        (broken.calls().len(), broken.in_flight()),
        (6, 1),
        "one probe, before the rest"
    );

    broken.release();
    broken.after_calls(9).await;
}

async fn another_project(world: &World, endpoint: &Endpoint) -> Project {
    let options = ["--repair-url", &endpoint.url()];
    world.cli.create_project(&world.organization, &options).await
}

/// Made before anything is ordered: an endpoint holds a call for 30 seconds at most.
async fn new_incidents(world: &World, project: &Project, count: usize) -> Vec<String> {
    let api = Api {
        server: world.server.address,
        key: project.api_key.clone(),
    };
    let mut incidents = Vec::new();
    for _ in 0..count {
        incidents.push(api.new_incident().await.1);
    }
    incidents
}

async fn order(world: &World, incidents: &[String]) {
    for incident in incidents {
        world.cli.reprocess(incident).await;
    }
}
