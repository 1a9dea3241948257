//! News of alerts once for each project, in place of once for each destination.

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
    // What was queued is handed on anew.
    "INSERT INTO alert_changes (project_id, id, subject_id, news, at)
     SELECT q.project_id, q.subject_id, q.subject_id, q.news, q.at FROM alert_queue q
     WHERE NOT EXISTS (SELECT 1 FROM alert_queue l
        WHERE l.project_id = q.project_id AND l.subject_id = q.subject_id
            AND (l.at > q.at OR (l.at = q.at AND l.destination_id > q.destination_id)))",
    "UPDATE alert_destinations SET due_at = NULL, lease_token = NULL, tries = 0",
    "DROP TABLE alert_queue",
}
