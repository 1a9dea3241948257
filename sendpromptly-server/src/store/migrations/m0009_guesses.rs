//! Guesses at passwords and codes, the browsers that are spared strangers' waits, and sign-ins that failed.

use super::step;

step! {
    "m0009_guesses":
    // The failures in a budget. `bucket` is a digest: who guesses at what, and from where, is not to be read.
    "CREATE TABLE guesses (
        bucket {id} PRIMARY KEY NOT NULL,
        failures {int} NOT NULL,
        last_at {int} NOT NULL
    ) {clustered}",
    "CREATE INDEX guesses_by_age ON guesses (last_at)",
    // Browsers in which a user has signed in. One browser may be known for several users.
    "CREATE TABLE known_devices (
        token_digest {id} NOT NULL,
        user_id {id} NOT NULL REFERENCES users (id) ON DELETE CASCADE,
        seen_at {int} NOT NULL,
        PRIMARY KEY (token_digest, user_id)
    ) {clustered}",
    "CREATE INDEX known_devices_by_user ON known_devices (user_id, seen_at)",
    "CREATE INDEX known_devices_by_age ON known_devices (seen_at)",
    // Sign-ins of an account that failed within a minute: beyond ten they become one entry of the audit log.
    "CREATE TABLE failed_sign_ins (
        account {id} NOT NULL,
        minute {int} NOT NULL,
        user_id {id},
        failures {int} NOT NULL,
        PRIMARY KEY (account, minute)
    ) {clustered}",
    "CREATE INDEX failed_sign_ins_by_minute ON failed_sign_ins (minute)",
}
