//! What the overview shows: events, incidents and repairs of each hour, counted once.

use super::step;

step! {
    "m0007_overview":
    "CREATE TABLE hourly_counts (
        project_id {id} NOT NULL,
        hour {int} NOT NULL,
        events {int} NOT NULL,
        opened {int} NOT NULL,
        PRIMARY KEY (project_id, hour)
    ) {clustered}",
    "CREATE TABLE hourly_repairs (
        project_id {id} NOT NULL,
        hour {int} NOT NULL,
        step {int} NOT NULL,
        repairs {int} NOT NULL,
        PRIMARY KEY (project_id, hour, step)
    ) {clustered}",
    "CREATE INDEX hourly_counts_by_age ON hourly_counts (hour)",
    "CREATE INDEX hourly_repairs_by_age ON hourly_repairs (hour)",
    "CREATE TABLE counted (
        one {int} PRIMARY KEY NOT NULL,
        until {int} NOT NULL
    ) {strict}",
    "CREATE INDEX incidents_by_resolution ON incidents (project_id, resolved_at, opened_at)
        WHERE resolved_at IS NOT NULL",
}
