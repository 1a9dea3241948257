// A change that comes while the server is away for the renewal of the one before is shown all the same.

import { withChromium } from './lib/chromium.mjs';
import { Customer } from './lib/customer.mjs';
import { DESKTOP } from './lib/screens.mjs';
import { settings } from './lib/settings.mjs';
import { Visitor } from './lib/visitor.mjs';

const customer = new Customer(settings.origin, settings.key);

await withChromium(async (browser) => {
  const visitor = await Visitor.arrive(browser, settings.origin, DESKTOP);
  await visitor.signIn(settings.email, settings.password);
  const { page } = visitor;
  await page.addInitScript(countChanges);
  const list = `${new URL(page.url()).pathname}/incidents`;
  await visitor.open(list);
  const held = await holdRenewal(page, list, () => customer.fail('order_8'));
  const heard = await page.evaluate(() => window.changes);
  const { incident } = await customer.fail('order_9');
  await page.waitForFunction((heard) => window.changes > heard, heard);
  await held.abort();
  await page.locator(`#pick-${incident}`).waitFor();
});

/** Holds the first renewal of a page, which something leads to; later ones pass. */
async function holdRenewal(page, path, cause) {
  const held = new Promise((resolve) => {
    page.route(`**${path}`, resolve, { times: 1 });
  });
  await cause();
  return held;
}

function countChanges() {
  window.changes = 0;
  const { EventSource } = window;
  window.EventSource = class extends EventSource {
    constructor(url) {
      super(url);
      this.addEventListener('change', () => { window.changes += 1; });
    }
  };
}
