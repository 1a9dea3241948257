//! Whether what is to be erased of a deleted user is looked for a second time.

use super::step;

step! {
    "m0020_second_look":
    // 1 once the first look is over. What is there from before is looked through twice as well.
    "ALTER TABLE erasures ADD COLUMN second_look {int} NOT NULL DEFAULT 0",
}
