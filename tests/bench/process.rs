//! What the program costs at rest: the time until it is ready, and the memory it holds.

use std::time::Instant;

use sendpromptly_tests::command::Cli;
use sendpromptly_tests::server::{Options, Server};
use sendpromptly_tests::store::{StoreKind, TestStore};

use crate::report::{Report, median};

/// The memory that a process holds, peak and now.
pub(crate) fn resident(pid: u32) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let megabytes = |field: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        let kilobytes: f64 = line.trim_end_matches("kB").trim().parse().unwrap();
        kilobytes / 1_024.0
    };
    format!(
        "{:.1} MB (peak {:.1} MB)",
        megabytes("VmRSS:"),
        megabytes("VmHWM:")
    )
}

pub(crate) async fn start_and_rest(report: &mut Report) {
    let store = TestStore::new(StoreKind::Sqlite).await;
    Cli::on(&store).create_organization("acme").await; // the tables are there, as at every start but the first
    let mut times = Vec::new();
    for _ in 0..5 {
        let start = Instant::now();
        let mut server = Server::start(&store, &Options::quick()).await;
        times.push(start.elapsed().as_secs_f64() * 1_000.0);
        server.stop().await;
    }
    report.add(
        "SQLite: ready after start",
        format!("{:.0} ms", median(times)),
        "300 ms",
        "100 ms",
    );
    let server = Server::start(&store, &Options::quick()).await;
    report.add("SQLite: resident, idle", resident(server.pid()), "30 MB", "15 MB");
}
