//! News of alerts once for each project, in place of once for each destination. What an earlier version has queued for each,
//! or still queues while nodes are upgraded, stays where it is and is handed on from there.

use super::step;

step! {
    "m0023_alert_news":
    // News in the order in which they were handed on; each destination knows up to where it was told. The destinations
    // of incidents that stay open have news of their own.
    "CREATE TABLE alert_news (
        project_id {id} NOT NULL,
        escalation {int} NOT NULL,
        number {int} NOT NULL,
        -- the incident, or the project
        subject_id {id} NOT NULL,
        news text NOT NULL,
        at {int} NOT NULL,
        PRIMARY KEY (project_id, escalation, number)
    ) {clustered}",
    "CREATE INDEX alert_news_by_subject ON alert_news (project_id, escalation, subject_id, at)",
    // The last of the news that are for it, and up to where it was told or told in vain.
    "ALTER TABLE alert_destinations ADD COLUMN newest {int} NOT NULL DEFAULT 0",
    "ALTER TABLE alert_destinations ADD COLUMN told_to {int} NOT NULL DEFAULT 0",
    // The message that waits or is under way, the same over all its tries, and up to where it tells; empty where there
    // is none.
    "ALTER TABLE alert_destinations ADD COLUMN message text",
    "ALTER TABLE alert_destinations ADD COLUMN telling_to {int}",
    // How many of its tries in a row were begun without that anybody knows how they ended.
    "ALTER TABLE alert_destinations ADD COLUMN begun {int} NOT NULL DEFAULT 0",
    // Before when its receiver asked not to be called.
    "ALTER TABLE alert_destinations ADD COLUMN not_before {int}",
}
