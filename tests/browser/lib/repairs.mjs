// The customer's repair endpoint: it does the missing work for whoever signs with the secret that was shown.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';

export class Repairs {
  /** The secret that callbacks must be signed with; until it is known, none is believed. */
  secret;
  /** The references of what was repaired. */
  done = [];
  #server;

  /** Starts the endpoint, hands it to `work`, and ends it whatever happens. */
  static async during(work) {
    const repairs = new Repairs();
    repairs.#server = createServer((request, answer) => repairs.#take(request, answer));
    repairs.#server.listen(0, '127.0.0.1');
    await once(repairs.#server, 'listening');
    try {
      await work(repairs);
    } finally {
      repairs.#server.closeAllConnections();
      repairs.#server.close();
    }
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}/repair`;
  }

  async #take(request, answer) {
    const parts = [];
    for await (const part of request) {
      parts.push(part);
    }
    const body = Buffer.concat(parts);
    if (!this.#isGenuine(request.headers, body)) {
      answer.writeHead(401).end();
      return;
    }
    this.done.push(JSON.parse(body).internal_reference);
    answer.writeHead(200, { 'x-sendpromptly-result': 'success' }).end();
  }

  #isGenuine(headers, body) {
    if (this.secret === undefined) {
      return false;
    }
    const signed = `${headers['x-sendpromptly-timestamp']}.${headers['x-sendpromptly-nonce']}.`;
    const expected = createHmac('sha256', this.secret).update(signed).update(body).digest('hex');
    return headers['x-sendpromptly-signature'].split(',').includes(`v1=${expected}`);
  }

  /** The references of what was repaired are these, in this order. */
  assertDone(...references) {
    assert.deepEqual(this.done, references);
  }
}
