// A day that lies behind: events, incidents and repairs of the hours before this one, as the server counts them.

import { execFileSync } from 'node:child_process';
import { settings } from './settings.mjs';

const HOUR = 3_600_000;

/** Repairs by how long they took: the numbers of the steps that the server counts them in, of one to twenty minutes. */
const STEPS = [110, 114, 118, 122, 126, 130, 137];

const PROGRAM = `
import json, sqlite3, sys
hours = json.loads(sys.argv[2])
database = sqlite3.connect(sys.argv[1], timeout=20)
with database:
    (project,) = database.execute("SELECT id FROM projects").fetchone()
    for at, events, opened, repairs in hours:
        database.execute("INSERT INTO hourly_counts VALUES (?, ?, ?, ?)", (project, at, events, opened))
        for step in repairs:
            database.execute("INSERT INTO hourly_repairs VALUES (?, ?, ?, 1)", (project, at, step))
    last = max(at for at, *_ in hours) + ${HOUR}
    database.execute("INSERT OR REPLACE INTO counted (one, until) VALUES (1, ?)", (last,))
`;

/** Gives the only project a day of shop hours: quiet at night, busy towards the evening. */
export function liveThroughADay() {
  const thisHour = Math.floor(Date.now() / HOUR) * HOUR;
  const hours = Array.from({ length: 23 }, (_, index) => {
    const at = thisHour - (23 - index) * HOUR;
    const busy = 0.5 - 0.5 * Math.cos(((index + 2) / 24) * 2 * Math.PI);
    const events = Math.round(40 + 260 * busy + 25 * Math.sin(index * 2.3));
    const opened = [0, 1, 0, 2, 1, 4, 2][index % 7];
    return [at, events, opened, STEPS.slice(0, Math.max(opened - (index % 2), 0)).map((step) => step + (index % 5))];
  });
  execFileSync(settings.python, ['-c', PROGRAM, settings.database, JSON.stringify(hours)]);
}
