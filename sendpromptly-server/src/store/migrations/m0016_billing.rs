//! What Stripe has told of organizations' subscriptions, and what follows from it.

use super::step;

step! {
    "m0016_billing":
    // What is left of each event: references and times. By its id an event that comes again is known.
    "CREATE TABLE stripe_events (
        event {id} NOT NULL PRIMARY KEY,
        customer TEXT NOT NULL,
        subscription TEXT NOT NULL,
        organization_id {id},
        at {int} NOT NULL,
        says TEXT NOT NULL,
        paid_until {int}
    ) {strict}",
    "CREATE INDEX stripe_events_by_customer ON stripe_events (customer, at)",
    "CREATE INDEX stripe_events_by_organization ON stripe_events (organization_id)
        WHERE organization_id IS NOT NULL",
    "ALTER TABLE organizations ADD COLUMN stripe_customer TEXT",
    "ALTER TABLE organizations ADD COLUMN stripe_subscription TEXT",
    "ALTER TABLE organizations ADD COLUMN subscription_status TEXT",
    "ALTER TABLE organizations ADD COLUMN past_due_since {int}",
    "ALTER TABLE organizations ADD COLUMN paid_until {int}",
}
