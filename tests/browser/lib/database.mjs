// What happens elsewhere, or takes long: written into the database, as though it had happened.

import { execFileSync } from 'node:child_process';
import { settings } from './settings.mjs';

const PROGRAM = `
import json, sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=20)
with database:
    changed = database.execute(sys.argv[2], json.loads(sys.argv[3]))
    assert changed.rowcount > 0
`;

/** Changes rows, of which there must be some. */
export function change(statement, ...values) {
  execFileSync(settings.python, ['-c', PROGRAM, settings.database, statement, JSON.stringify(values)]);
}
