// What becomes of the only organization's plan.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { change } from './database.mjs';
import { settings } from './settings.mjs';

const DAY = 86_400;

/** The trial is over. It takes days, and nothing but time ends it. */
export function endTrial() {
  change('UPDATE organizations SET created_at = 1000');
}

/** Stripe tells that the organization has subscribed, and has paid for a month. */
export async function subscribe() {
  const now = Math.floor(Date.now() / 1_000);
  const body = JSON.stringify({
    id: 'evt_browser',
    type: 'customer.subscription.created',
    created: now,
    livemode: false,
    data: { object: subscription(now + 30 * DAY) },
  });
  const answer = await fetch(`${settings.origin}/webhooks/stripe`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'stripe-signature': sign(body, now) },
    body,
  });
  assert.equal(answer.status, 200, await answer.text());
}

function subscription(paidUntil) {
  return {
    id: 'sub_known',
    customer: 'cus_known',
    status: 'active',
    metadata: { organization_id: settings.organization.split('/').pop() },
    items: { data: [{ current_period_end: paidUntil }] },
  };
}

/** Stripe's own library signs it. */
function sign(body, time) {
  const { secret, signer } = settings.webhooks;
  const order = JSON.stringify({ secret, time, body });
  return execFileSync(settings.python, [signer], { input: `${order}\n`, encoding: 'utf8' }).trim();
}
