//! What Stripe has told of subscriptions when it was asked, and when it is to be asked again.

use super::step;

step! {
    "m0021_stripe_reads":
    "CREATE TABLE stripe_subscriptions (
        subscription TEXT NOT NULL PRIMARY KEY,
        customer TEXT NOT NULL,
        heard_at {int} NOT NULL,
        read_due_at {int},
        tries {int} NOT NULL DEFAULT 0,
        lease_token {id},
        read_at {int},
        status TEXT,
        past_due_since {int},
        paid_until {int}
    ) {strict}",
    "CREATE INDEX stripe_subscriptions_by_customer ON stripe_subscriptions (customer)",
    "CREATE INDEX stripe_subscriptions_to_read ON stripe_subscriptions (read_due_at)
        WHERE read_due_at IS NOT NULL",
    "CREATE INDEX stripe_subscriptions_given_up ON stripe_subscriptions (subscription)
        WHERE read_due_at IS NULL AND tries > 0",
    "ALTER TABLE stripe_events ADD COLUMN is_read {int} NOT NULL DEFAULT 0",
    // What is counted for those who watch the server.
    "CREATE INDEX organizations_by_subscription ON organizations (subscription_status)",
}
