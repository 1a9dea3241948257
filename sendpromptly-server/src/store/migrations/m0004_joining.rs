//! How people come in: mails that wait, mailed links, sign-ups and invitations.

use super::step;

step! {
    "m0004_joining":
    // Mails that wait to be sent. A row goes when its mail has gone.
    "CREATE TABLE outbox (
        id {id} PRIMARY KEY NOT NULL,
        sealed {bytes} NOT NULL,
        tries {int} NOT NULL DEFAULT 0,
        due_at {int} NOT NULL,
        lease_token {id},
        created_at {int} NOT NULL
    ) {strict}",
    "CREATE INDEX outbox_by_time ON outbox (due_at)",
    // How many mails an address, or a user, has caused in an hour.
    "CREATE TABLE mail_rates (
        digest {id} PRIMARY KEY NOT NULL,
        hour {int} NOT NULL,
        mails {int} NOT NULL
    ) {strict}",
    "CREATE INDEX mail_rates_by_hour ON mail_rates (hour)",
    // `subject_id` is the user, sign-up or invitation that the link is about.
    "CREATE TABLE links (
        id {id} PRIMARY KEY NOT NULL,
        kind text NOT NULL,
        subject_id {id} NOT NULL,
        email text,
        expires_at {int} NOT NULL,
        used_at {int}
    ) {strict}",
    "CREATE INDEX links_by_subject ON links (subject_id, kind)",
    "CREATE INDEX links_by_age ON links (expires_at)",
    // A sign-up becomes a user and an organization when its address is confirmed.
    "CREATE TABLE sign_ups (
        id {id} PRIMARY KEY NOT NULL,
        email text NOT NULL,
        email_key text NOT NULL,
        password_hash text NOT NULL,
        organization_name text NOT NULL,
        created_at {int} NOT NULL
    ) {strict}",
    "CREATE INDEX sign_ups_by_email ON sign_ups (email_key)",
    "CREATE INDEX sign_ups_by_age ON sign_ups (created_at)",
    "CREATE TABLE invitations (
        id {id} PRIMARY KEY NOT NULL,
        organization_id {id} NOT NULL REFERENCES organizations (id),
        email text NOT NULL,
        email_key text NOT NULL,
        role text NOT NULL,
        invited_by {id} NOT NULL REFERENCES users (id),
        expires_at {int} NOT NULL,
        created_at {int} NOT NULL,
        UNIQUE (organization_id, email_key)
    ) {strict}",
}
