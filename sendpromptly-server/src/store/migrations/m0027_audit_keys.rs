//! Which keys have signed checkpoints of the audit log, so that another one does not go unnoticed.

use super::step;

step! {
    "m0027_audit_keys":
    "CREATE TABLE audit_keys (
        -- the public half, in hex digits
        public_key text PRIMARY KEY NOT NULL,
        last_used_at {int} NOT NULL
    ) {strict}",
}
