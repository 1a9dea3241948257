//! What people write down about incidents.

use super::step;

step! {
    "m0006_notes":
    "CREATE TABLE notes (
        project_id {id} NOT NULL,
        incident_id {id} NOT NULL,
        id {id} NOT NULL,
        author_id {id} NOT NULL,
        text text NOT NULL,
        created_at {int} NOT NULL,
        PRIMARY KEY (project_id, incident_id, id)
    ) {clustered}",
}
