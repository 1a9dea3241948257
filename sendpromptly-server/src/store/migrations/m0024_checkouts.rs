//! Where an organization is about to subscribe, and how many subscriptions it is charged for.

use super::step;

step! {
    "m0024_checkouts":
    "ALTER TABLE organizations ADD COLUMN checkout_url TEXT",
    "ALTER TABLE organizations ADD COLUMN checkout_expires_at {int}",
    "ALTER TABLE organizations ADD COLUMN subscriptions_alive {int} NOT NULL DEFAULT 0",
    // What is dropped is found by its age.
    "CREATE INDEX stripe_events_by_time ON stripe_events (at)",
}
