// The checks find what they must, on pages made for it, and nothing on a page that is as it should be.

import assert from 'node:assert/strict';
import { withChromium } from './lib/chromium.mjs';
import { PHONE } from './lib/screens.mjs';
import { settings } from './lib/settings.mjs';
import { Visitor } from './lib/visitor.mjs';

await withChromium(async (browser) => {
  for (const { path, finding } of settings.pages) {
    const visitor = await Visitor.arrive(browser, settings.origin, PHONE);
    assert.equal(await visitor.open(path), 200);
    const findings = await visitor.findings();
    if (finding === null) {
      assert.deepEqual(findings, [], path);
    } else {
      assert.equal(findings.length, 1, `${path} should have one finding: ${findings.join('\n')}`);
      assert.ok(findings[0].includes(finding), `${path} should find ${finding}: ${findings}`);
    }
    await visitor.leave();
  }
});
console.log(`${settings.pages.length} pages as expected`);
