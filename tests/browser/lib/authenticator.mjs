// An authenticator app: pyotp, fed with the secret that the page shows.

import { execFileSync } from 'node:child_process';
import { eventually } from './wait.mjs';

const STEP = 30;

/** A code must still be good when it comes to the server, on a busy machine too. */
const ON_ITS_WAY = 10_000;

const stepAt = (millis) => Math.floor(millis / 1000 / STEP);

export class Authenticator {
  #python;
  #secret;
  #last = 0;

  constructor(python, secret) {
    this.#python = python;
    this.#secret = secret.replaceAll(/\s/g, '');
  }

  /** A code that has not been used yet. A person waits for the next one; here a step of drift may do. */
  async nextCode() {
    const step = await eventually('a code that was not used yet', () => {
      const next = Math.max(this.#last + 1, stepAt(Date.now() + ON_ITS_WAY) - 1);
      return next <= stepAt(Date.now()) + 1 ? next : undefined;
    });
    this.#last = step;
    const program = 'import pyotp, sys; print(pyotp.TOTP(sys.argv[1]).at(int(sys.argv[2])))';
    const code = execFileSync(this.#python, ['-c', program, this.#secret, `${step * STEP}`]);
    return code.toString().trim();
  }
}
