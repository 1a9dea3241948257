//! Organizations that are to be deleted, and what is still to be erased of users who were.

use super::step;

step! {
    "m0013_forgetting":
    // When an order to delete the organization is carried out; empty where there is none.
    "ALTER TABLE organizations ADD COLUMN deletion_due_at {int}",
    // When it was carried out: nobody reaches the organization any more, and its rows are being removed.
    "ALTER TABLE organizations ADD COLUMN deleted_at {int}",
    "CREATE INDEX organizations_to_delete ON organizations (deletion_due_at) WHERE deletion_due_at IS NOT NULL",
    // A deleted user whose addresses the audit log may still tell: a JSON array of them, and how far was looked.
    // A row goes when its work is done.
    "CREATE TABLE erasures (
        user_id {id} PRIMARY KEY NOT NULL,
        addresses text NOT NULL,
        organization_id {id} NOT NULL,
        seq {int} NOT NULL,
        created_at {int} NOT NULL
    ) {strict}",
}
