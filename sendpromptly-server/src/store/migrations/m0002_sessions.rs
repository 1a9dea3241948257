//! Sessions of signed-in users, and the form tokens that were used.

use super::step;

step! {
    "m0002_sessions":
    "CREATE TABLE sessions (
        id {id} PRIMARY KEY NOT NULL,
        token_digest {bytes} NOT NULL UNIQUE,
        user_id {id} NOT NULL REFERENCES users (id),
        complete {int} NOT NULL,
        rotate {int} NOT NULL DEFAULT 0,
        password_at {int},
        code_at {int},
        address text NOT NULL,
        agent text NOT NULL,
        created_at {int} NOT NULL,
        seen_at {int} NOT NULL
    ) {strict}",
    "CREATE INDEX sessions_by_user ON sessions (user_id, id)",
    "CREATE INDEX sessions_by_age ON sessions (created_at)",
    "CREATE INDEX members_by_user ON members (user_id, organization_id)",
    "CREATE TABLE used_forms (
        id {id} PRIMARY KEY NOT NULL
    ) {strict}",
}
