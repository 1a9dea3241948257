//! Whom a project's alerts go to, and what waits to be told.

use super::step;

step! {
    "m0018_alerts":
    "CREATE TABLE alert_destinations (
        project_id {id} NOT NULL,
        id {id} NOT NULL,
        channel text NOT NULL,
        sealed {bytes} NOT NULL,
        -- what of the address may be shown
        shown text NOT NULL,
        -- told of incidents that stay open, and of nothing else
        escalation {int} NOT NULL,
        -- when its next message is due, or the claim of one ends; empty where nothing waits
        due_at {int},
        lease_token {id},
        -- how often the message under way was tried
        tries {int} NOT NULL DEFAULT 0,
        -- when the last message was sent or given up
        ended_at {int},
        sent_at {int},
        failed_at {int},
        failure text,
        given_up {int} NOT NULL DEFAULT 0,
        created_at {int} NOT NULL,
        PRIMARY KEY (project_id, id)
    ) {strict}",
    "CREATE INDEX alert_destinations_due ON alert_destinations (due_at) WHERE due_at IS NOT NULL",
    // News as they are written with what they tell of; handed on to the destinations at once.
    "CREATE TABLE alert_changes (
        project_id {id} NOT NULL,
        id {id} NOT NULL,
        -- the incident, or the project
        subject_id {id} NOT NULL,
        news text NOT NULL,
        at {int} NOT NULL,
        PRIMARY KEY (project_id, id)
    ) {clustered}",
    // What a destination's next message tells: of each incident the last.
    "CREATE TABLE alert_queue (
        project_id {id} NOT NULL,
        destination_id {id} NOT NULL,
        subject_id {id} NOT NULL,
        news text NOT NULL,
        at {int} NOT NULL,
        -- the claim whose message tells it
        lease_token {id},
        PRIMARY KEY (project_id, destination_id, subject_id)
    ) {clustered}",
    "CREATE TABLE alert_escalations (
        project_id {id} NOT NULL,
        -- the incident
        subject_id {id} NOT NULL,
        due_at {int} NOT NULL,
        PRIMARY KEY (project_id, subject_id)
    ) {clustered}",
    "CREATE INDEX alert_escalations_by_time ON alert_escalations (due_at)",
    // After how many minutes an open incident is told to the second destinations; empty for never.
    "ALTER TABLE projects ADD COLUMN escalate_minutes {int}",
    // After how many minutes without a receipt that is told; empty for never.
    "ALTER TABLE projects ADD COLUMN silence_minutes {int}",
    // Since when those minutes count, and when it was told.
    "ALTER TABLE projects ADD COLUMN silence_since {int}",
    "ALTER TABLE projects ADD COLUMN silence_told_at {int}",
    "CREATE INDEX projects_that_are_listened_to ON projects (id) WHERE silence_minutes IS NOT NULL",
}
