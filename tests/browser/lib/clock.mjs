// Time that passes at once: what was shown so far lies further back.

import { change } from './database.mjs';

/** Lets the last code and the last password of everybody lie so many minutes further back. */
export function ageWhatWasShown(minutes) {
  change('UPDATE sessions SET code_at = code_at - ?1, password_at = password_at - ?1', minutes * 60_000);
}
