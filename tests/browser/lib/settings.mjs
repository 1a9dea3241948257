// What the test that starts a script tells it: one JSON object on standard input.

import { readFileSync } from 'node:fs';

export const settings = JSON.parse(readFileSync(0, 'utf8'));
