//! Which data keys a master key wraps, for rotations and removals.

use super::step;

step! {
    "m0011_master_keys":
    "CREATE INDEX data_keys_by_master_key ON data_keys (kid, id)",
}
