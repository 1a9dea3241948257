// What becomes of the only organization's plan.

import { change } from './database.mjs';

const DAY = 86_400_000;

/** The trial is over. */
export function endTrial() {
  change('UPDATE organizations SET created_at = 1000');
}

/** What Stripe tells has come: the organization has subscribed, and has paid for a month. */
export function subscribe() {
  change(
    `UPDATE organizations SET stripe_customer = 'cus_known', stripe_subscription = 'sub_known',
      subscription_status = 'active', paid_until = ?1`,
    Date.now() + 30 * DAY,
  );
}
