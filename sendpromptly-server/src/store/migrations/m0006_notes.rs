//! Notes on incidents, and the way to what the audit log says of one.

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
    "CREATE INDEX audit_entries_by_target ON audit_entries (organization_id, target, seq)",
}
