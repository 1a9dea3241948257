//! The audit log's filters: by who, by what, and by what it was done to.

use super::step;

step! {
    "m0008_audit_filters":
    "CREATE INDEX audit_entries_by_actor ON audit_entries (organization_id, actor, seq)",
    "CREATE INDEX audit_entries_by_action ON audit_entries (organization_id, action, seq)",
    "CREATE INDEX audit_entries_by_target ON audit_entries (organization_id, target, seq)",
}
