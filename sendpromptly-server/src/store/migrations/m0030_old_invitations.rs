//! Invitations by when they ran out, for they are kept for a time only.

use super::step;

step! {
    "m0030_old_invitations":
    "CREATE INDEX invitations_by_age ON invitations (expires_at)",
}
