//! The benchmarks of `docs/benchmarks.md`: load on the real program, as ratios taken in one run.
//!
//! `tests/bench/run` builds the program for release and runs this. Absolute figures are those of one machine
//! on one day; the ratios are what counts, so both sides are measured in each round, and medians are given.

#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on should stop and say where"
)]

mod alerts;
mod callbacks;
mod incident_list;
mod ingest;
mod load;
mod logins;
mod overdue;
mod overview;
mod pages;
mod payload;
mod pgbench;
mod process;
mod recycled;
mod report;
mod retention;
mod snapshots;
mod sqlite;
mod workload;

use report::Report;

/// Rounds of each measurement, of which the median is given.
const ROUNDS: usize = 3;

#[tokio::main]
async fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let runs = |name: &str| wanted.is_empty() || wanted.iter().any(|word| word == name);
    let mut report = Report::new();
    if runs("start") {
        process::start_and_rest(&mut report).await;
    }
    if runs("postgres") {
        ingest::on_postgres(&mut report).await;
    }
    if runs("sqlite") {
        ingest::on_sqlite(&mut report).await;
    }
    if runs("overdue") {
        overdue::measure(&mut report).await;
    }
    if runs("incidents") {
        incident_list::measure(&mut report).await;
    }
    if runs("overview") {
        overview::measure(&mut report).await;
    }
    if runs("callbacks") {
        callbacks::measure(&mut report).await;
    }
    if runs("snapshots") {
        snapshots::measure(&mut report).await;
    }
    if runs("alerts") {
        alerts::measure(&mut report).await;
    }
    if runs("logins") {
        logins::measure(&mut report).await;
    }
    if runs("retention") {
        retention::measure(&mut report).await;
    }
    report.print();
}
