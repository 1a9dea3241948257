//! The list of incidents among many, as a browser gets it: how long a page takes at the server, whatever the page
//! and whatever the filters.

use sendpromptly_tests::browser::Browser;
use sendpromptly_tests::people::owner;
use sendpromptly_tests::server::Options;
use sendpromptly_tests::store::StoreKind;
use sendpromptly_tests::world::World;

use crate::pages::{ROUNDS, time};
use crate::report::{Report, median};

mod fill;

use fill::{COMMON_REFERENCE, EVENTS};

/// Projects that share the events, and one that has three of them.
const PROJECTS: usize = 21;
/// A session may ask so often before it has to wait.
const PAGES_OF_A_SESSION: usize = 200 / (ROUNDS + 2);

pub(crate) async fn measure(report: &mut Report) {
    for (name, kind) in [("PostgreSQL", StoreKind::Postgres), ("SQLite", StoreKind::Sqlite)] {
        let world = World::start_with(kind, &Options::quick(), &[]).await;
        let rare = fill_world(&world, kind).await;
        let (medians, worst) = pages(&world, &rare).await;
        report.add(
            &format!(
                "{name}: a page of 100,000 incidents among 1,000,000 events, median of all pages and filters"
            ),
            format!("**{medians:.1} ms**"),
            "20 ms",
            "10 ms",
        );
        report.add(
            &format!("{name}: the slowest of these pages, median of its rounds"),
            format!("**{:.1} ms** ({})", worst.0, worst.1),
            "20 ms",
            "10 ms",
        );
    }
}

/// Gives the project that has few incidents.
async fn fill_world(world: &World, kind: StoreKind) -> String {
    let mut projects = Vec::new();
    for _ in 0..PROJECTS {
        projects.push(world.cli.create_project(&world.organization, &[]).await.id);
    }
    let sql = world.sql().await;
    let ids: Vec<_> = projects.iter().map(|id| sql.id(id)).collect();
    fill::fill(&sql, kind, &sql.id(&world.organization), &ids).await;
    projects.remove(PROJECTS - 1)
}

/// Fetches each page several times: the median of all, and the slowest page with its address.
async fn pages(world: &World, rare: &str) -> (f64, (f64, String)) {
    let mut browser = Browser::new(&world.server);
    let mut all = Vec::new();
    let mut worst = (0.0, String::new());
    for (number, query) in queries(rare).into_iter().enumerate() {
        if number % PAGES_OF_A_SESSION == 0 {
            browser = owner(world).await;
        }
        let path = format!("/orgs/{}/incidents?{query}", world.organization);
        let took = time(&mut browser, &path).await;
        println!("  {took:6.2} ms  {query}");
        all.push(took);
        if took > worst.0 {
            worst = (
                took,
                if query.is_empty() {
                    "no filter".to_owned()
                } else {
                    query
                },
            );
        }
    }
    (median(all), worst)
}

/// Filters that fit much, little and nothing, each at the top, in the middle, near the end and upwards.
fn queries(rare: &str) -> Vec<String> {
    let filters = [
        String::new(),
        "state=open".to_owned(),
        "state=dismissed".to_owned(),
        "state=reprocessing".to_owned(),
        "provider=shopify".to_owned(),
        "effect=access_unlock".to_owned(),
        "effect=credit_deduction".to_owned(),
        format!("project={rare}"),
        format!("reference={COMMON_REFERENCE}"),
        format!("reference={COMMON_REFERENCE}&state=dismissed"),
        format!("reference={COMMON_REFERENCE}&project={rare}"),
        "reference=order-50".to_owned(),
        format!("q={COMMON_REFERENCE}"),
        "q=order-50".to_owned(),
        "q=nothing".to_owned(),
        format!("q={COMMON_REFERENCE}&state=open&provider=stripe&effect=access_unlock&project={rare}"),
    ];
    let at = |event: u32| fill::incident_at(event);
    let places = [
        String::new(),
        format!("after={}", at(EVENTS / 2)),
        format!("after={}", at(400)),
        format!("before={}", at(700)),
    ];
    let with = |filter: &String| {
        let filter = filter.clone();
        places
            .clone()
            .map(|place| format!("{filter}&{place}").trim_matches('&').to_owned())
    };
    filters.iter().flat_map(with).collect()
}
