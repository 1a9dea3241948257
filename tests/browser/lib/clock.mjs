// Time that passes at once: what was shown so far lies further back.

import { execFileSync } from 'node:child_process';
import { settings } from './settings.mjs';

const PROGRAM = `
import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=20)
with database:
    changed = database.execute(
        "UPDATE sessions SET code_at = code_at - ?1, password_at = password_at - ?1", (int(sys.argv[2]),)
    )
    assert changed.rowcount > 0
`;

/** Lets the last code and the last password of everybody lie so many minutes further back. */
export function ageWhatWasShown(minutes) {
  execFileSync(settings.python, ['-c', PROGRAM, settings.database, `${minutes * 60_000}`]);
}
