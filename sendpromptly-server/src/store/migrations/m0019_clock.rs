//! When retention last began: a clock that has leapt since is not believed.

use super::step;

step! {
    "m0019_clock":
    "CREATE TABLE retained (
        one {int} PRIMARY KEY NOT NULL,
        at {int} NOT NULL
    ) {strict}",
}
