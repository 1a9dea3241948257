//! For how long events are kept, how far they have been forgotten, and where audit chains were pruned.

use super::step;

step! {
    "m0012_retention":
    "ALTER TABLE projects ADD COLUMN events_kept_days {int} NOT NULL DEFAULT 396",
    // The last event, in the order of their ids, that was forgotten or left behind for its incident.
    "ALTER TABLE projects ADD COLUMN events_forgotten_to {id}",
    // When it was resolved or dismissed; nothing while it waits for somebody.
    "ALTER TABLE incidents ADD COLUMN settled_at {int}",
    "UPDATE incidents SET settled_at = CASE state WHEN 'resolved' THEN resolved_at WHEN 'dismissed' THEN opened_at END",
    // Set where its event was left behind.
    "ALTER TABLE incidents ADD COLUMN stays {int} NOT NULL DEFAULT 0",
    "CREATE INDEX incidents_to_forget ON incidents (settled_at) WHERE stays = 1",
    "CREATE INDEX orders_by_incident ON orders (project_id, incident_id)",
    "CREATE INDEX sessions_by_use ON sessions (seen_at)",
    "CREATE INDEX second_factor_proposals_by_age ON second_factor_proposals (created_at)",
    // The last entry that was pruned, and the signed checkpoint that says so, as a line of an export.
    "ALTER TABLE audit_heads ADD COLUMN pruned_seq {int} NOT NULL DEFAULT 0",
    "ALTER TABLE audit_heads ADD COLUMN prune_checkpoint text",
}
