//! What projects let the server order without being asked, and which replays it has ordered so.

use super::step;

step! {
    "m0022_unasked":
    "ALTER TABLE projects ADD COLUMN reprocess_timeouts {int} NOT NULL DEFAULT 0",
    "ALTER TABLE replays ADD COLUMN unasked {int} NOT NULL DEFAULT 0",
}
