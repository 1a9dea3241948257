//! When Stripe is asked for a subscription of which no event tells, and which checkout it is asked for.

use super::step;

step! {
    "m0026_stripe_looks":
    "ALTER TABLE stripe_subscriptions ADD COLUMN look_at {int}",
    "CREATE INDEX stripe_subscriptions_to_look_at ON stripe_subscriptions (look_at)
        WHERE look_at IS NOT NULL AND read_due_at IS NULL",
    // Subscriptions that no event has been about since Stripe is asked at all.
    "INSERT INTO stripe_subscriptions (subscription, customer, heard_at)
        SELECT e.subscription, MIN(e.customer), MAX(e.at) FROM stripe_events e
        WHERE e.customer IN (
            SELECT n.customer FROM stripe_events n JOIN organizations o ON o.id = n.organization_id
        )
        GROUP BY e.subscription ON CONFLICT (subscription) DO NOTHING",
    "UPDATE stripe_subscriptions SET look_at = heard_at WHERE status IS NULL OR status <> 'canceled'",
    "ALTER TABLE organizations ADD COLUMN checkout_session TEXT",
}
