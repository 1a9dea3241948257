// The customer's app: it sends receipts and results with the key that the console has shown.

import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';

export class Customer {
  #origin;
  #key;

  constructor(origin, key) {
    this.#origin = origin;
    this.#key = key;
  }

  /** A payment whose effect failed. Gives the ids of its event and incident. */
  async fail(reference, effect = 'access_unlock') {
    const event = await this.#send('receipt', {
      provider: 'stripe',
      provider_event_id: `evt_${randomBytes(12).toString('hex')}`,
      event_type: 'checkout.session.completed',
      effect_type: effect,
      internal_reference: reference,
      occurred_at: new Date().toISOString(),
    });
    const result = await this.failAgain(event.event_id, 'The entitlements database did not answer.');
    return { event: event.event_id, incident: result.incident_id };
  }

  /** The effect of a payment failed, perhaps not for the first time. */
  async failAgain(event, message) {
    return this.#send('result', { event_id: event, status: 'failed', error_code: 'db_timeout', error_message: message });
  }

  /** The effect was applied after all. */
  async succeed(event) {
    return this.#send('result', { event_id: event, status: 'success' });
  }

  async #send(what, body) {
    const answer = await fetch(`${this.#origin}/api/v1/${what}`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${this.#key}`,
        'idempotency-key': randomUUID(),
        'content-type': 'application/json',
        accept: 'application/json',
      },
      body: JSON.stringify(body),
    });
    const text = await answer.text();
    assert.equal(answer.status, 202, `${what}: ${text}`);
    return JSON.parse(text);
  }
}
