//! Second factors, what is proposed as one, recovery codes, and which organizations require one.

use super::step;

step! {
    "m0003_second_factor":
    "CREATE TABLE second_factors (
        user_id {id} PRIMARY KEY NOT NULL REFERENCES users (id),
        id {id} NOT NULL,
        sealed {bytes} NOT NULL,
        last_step {int} NOT NULL,
        confirmed_at {int} NOT NULL
    ) {strict}",
    // One for each session: what another one was shown, it cannot confirm.
    "CREATE TABLE second_factor_proposals (
        session_id {id} PRIMARY KEY NOT NULL,
        user_id {id} NOT NULL REFERENCES users (id),
        id {id} NOT NULL,
        sealed {bytes} NOT NULL,
        created_at {int} NOT NULL
    ) {strict}",
    "CREATE TABLE recovery_codes (
        user_id {id} NOT NULL REFERENCES users (id),
        hash {bytes} NOT NULL,
        used_at {int},
        PRIMARY KEY (user_id, hash)
    ) {strict}",
    "ALTER TABLE organizations ADD COLUMN requires_second_factor {int} NOT NULL DEFAULT 0",
}
