// What anybody sees who is not signed in, on a desktop and on a phone.

import assert from 'node:assert/strict';
import { withChromium } from './lib/chromium.mjs';
import { DESKTOP, PHONE } from './lib/screens.mjs';
import { settings } from './lib/settings.mjs';
import { Visitor } from './lib/visitor.mjs';

await withChromium(async (browser) => {
  for (const screen of [DESKTOP, PHONE]) {
    const visitor = await Visitor.arrive(browser, settings.origin, screen);
    visitor.watch.allow('404 (Not Found)');
    assert.equal(await visitor.open('/nowhere'), 404);
    await visitor.check('a page that is not there');
    await visitor.leave();
  }
});
