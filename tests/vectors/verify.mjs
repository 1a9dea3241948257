import { createHmac, timingSafeEqual } from 'node:crypto';

/** The callback is not genuine: answer 401. */
export class CallbackRefused extends Error {}

/**
 * Throws CallbackRefused unless one of the secrets signed this body, within 300 s of now; and TypeError, which is no
 * 401, where there is no secret or one of them is none: with an empty one anybody could sign.
 *
 * @param {string[]} secrets each as it was shown, with its spsec_
 * @param {Record<string, string>} headers by lower-case names, as `request.headers` of node:http has them
 * @param {Buffer} body the raw bytes, as they came
 * @param {number} now Unix seconds: Date.now() / 1000
 */
export function verifyCallback(secrets, headers, body, now) {
  if (!secrets.length || !secrets.every((secret) => /^spsec_[0-9A-Za-z]{32,}$/.test(secret))) {
    throw new TypeError('a signing secret is missing, or is not spsec_ and at least 32 letters and digits');
  }
  const names = ['timestamp', 'nonce', 'signature'];
  const [timestamp, nonce, signature] = names.map((name) => headers[`x-sendpromptly-${name}`]);
  if (timestamp === undefined || nonce === undefined || signature === undefined) {
    throw new CallbackRefused('missing_header');
  }
  if (!/^[0-9]{1,20}$/.test(timestamp) || !/^[0-9a-f]{32}$/.test(nonce)) {
    throw new CallbackRefused('malformed_header');
  }
  const candidates = [];
  const parts = signature.split(',');
  for (const part of parts) {
    const [, scheme = 'v1', digits] = /^[ \t]*(?:([^=]*)=)?(.*?)[ \t]*$/s.exec(part);
    if (scheme === 'v1' && /^[0-9a-f]{64}$/.test(digits)) {
      candidates.push(Buffer.from(digits, 'hex'));
    } else if (scheme === '' || scheme === 'v1') {
      throw new CallbackRefused('malformed_header');
    }
  }
  if (parts.length > 16) throw new CallbackRefused('malformed_header');
  const age = Math.floor(now) - Number(timestamp);
  if (!(age <= 300)) throw new CallbackRefused('stale'); // so written, no time at all (NaN) is refused too
  if (!(age >= -300)) throw new CallbackRefused('from_future');
  let genuine = false;
  for (const secret of secrets) {
    const expected = createHmac('sha256', secret).update(`${timestamp}.${nonce}.`).update(body).digest();
    for (const candidate of candidates) {
      genuine = timingSafeEqual(candidate, expected) || genuine;
    }
  }
  if (!genuine) throw new CallbackRefused('wrong_signature');
}

// What follows runs the vectors: node verify.mjs callbacks.json

import { readFileSync, realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

function outcome(row) {
  const headers = {};
  for (const [name, value] of row.headers) { // one that stands twice is joined, as node:http does
    const key = name.toLowerCase();
    headers[key] = key in headers ? `${headers[key]}, ${value}` : value;
  }
  try {
    verifyCallback(row.secrets, headers, Buffer.from(row.body_hex, 'hex'), row.now);
    return 'verified';
  } catch (error) {
    if (error instanceof CallbackRefused) return error.message;
    if (error instanceof TypeError) return 'wrong_secrets';
    throw error;
  }
}

if (realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const rows = JSON.parse(readFileSync(process.argv[2], 'utf8')).callbacks;
  const [genuine] = rows;
  rows.push( // what JSON can't hold
    { ...genuine, name: 'no time', now: undefined, expected: 'stale' },
    { ...genuine, name: 'a secret that is not set', secrets: [...genuine.secrets, undefined], expected: 'wrong_secrets' },
  );
  const failures = rows.filter((row) => outcome(row) !== row.expected);
  for (const row of failures) {
    console.log(`${row.name}: ${outcome(row)} where ${row.expected} is expected`);
  }
  console.log(`${rows.length} callbacks, ${failures.length} failures`);
  process.exitCode = failures.length || !rows.length ? 1 : 0;
}
