//! What people were told of each incident.

use super::step;

step! {
    "m0025_told_alerts":
    // A row for each incident that a message told of, once the message has ended.
    "CREATE TABLE told_alerts (
        project_id {id} NOT NULL,
        incident_id {id} NOT NULL,
        -- the message's
        id {id} NOT NULL,
        -- which may be removed by now
        destination_id {id} NOT NULL,
        channel text NOT NULL,
        news text NOT NULL,
        -- how many incidents the message told of, and whether it named this one or only counted it
        incidents {int} NOT NULL,
        named {int} NOT NULL,
        tries {int} NOT NULL,
        ended_at {int} NOT NULL,
        -- why it was given up; empty where it was taken
        failure text,
        PRIMARY KEY (project_id, incident_id, id)
    ) {clustered}",
    // Messages that have ended and are still to be noted for incidents, bit by bit.
    "CREATE TABLE told_messages (
        project_id {id} NOT NULL,
        id {id} NOT NULL,
        escalation {int} NOT NULL,
        -- of the news that it told, up to where they are noted, and the last
        noted_to {int} NOT NULL,
        told_to {int} NOT NULL,
        destination_id {id} NOT NULL,
        channel text NOT NULL,
        message text NOT NULL,
        tries {int} NOT NULL,
        ended_at {int} NOT NULL,
        failure text,
        PRIMARY KEY (project_id, id)
    ) {clustered}",
}
