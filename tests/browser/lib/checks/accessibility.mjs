// No violation that axe-core knows, by WCAG 2.1 A and AA and by its own best practices, in light and dark colours.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'];

export async function accessibility(page) {
  // Through the debugger, which no content security policy stops.
  await page.evaluate(AXE);
  const light = await violations(page, { type: 'tag', values: TAGS });
  await page.emulateMedia({ colorScheme: 'dark' });
  const dark = await violations(page, { type: 'rule', values: ['color-contrast'] });
  await page.emulateMedia({ colorScheme: null });
  return [...light, ...dark.map((finding) => `in the dark: ${finding}`)];
}

async function violations(page, runOnly) {
  const { violations, incomplete, passes } = await page.evaluate(
    (runOnly) => window.axe.run(document, { runOnly, resultTypes: ['violations'] }),
    runOnly,
  );
  if (violations.length + incomplete.length + passes.length === 0) {
    return ['axe has looked at nothing'];
  }
  return violations.flatMap(({ id, help, tags, nodes }) =>
    nodes.map((node) => `axe ${id} (${tags.join(' ')}): ${help}: ${node.html}: ${node.failureSummary}`),
  );
}
