// No violation that axe-core knows, by WCAG 2.1 A and AA and by its own best practices.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'];

export async function accessibility(page) {
  // Through the debugger, which no content security policy stops.
  await page.evaluate(AXE);
  const { violations, passes } = await page.evaluate(
    (tags) => window.axe.run(document, { runOnly: tags, resultTypes: ['violations'] }),
    TAGS,
  );
  if (passes.length === 0) {
    return ['axe has looked at nothing'];
  }
  return violations.flatMap(({ id, help, tags, nodes }) =>
    nodes.map((node) => `axe ${id} (${tags.join(' ')}): ${help}: ${node.html}: ${node.failureSummary}`),
  );
}
