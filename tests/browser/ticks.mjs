// What is ticked on the list of incidents stays until nothing is ticked, whatever comes meanwhile.

import assert from 'node:assert/strict';
import { withChromium } from './lib/chromium.mjs';
import { Customer } from './lib/customer.mjs';
import { DESKTOP } from './lib/screens.mjs';
import { settings } from './lib/settings.mjs';
import { Visitor } from './lib/visitor.mjs';

const customer = new Customer(settings.origin, settings.key);

await withChromium(async (browser) => {
  const { incident } = await customer.fail('order_8');
  const visitor = await Visitor.arrive(browser, settings.origin, DESKTOP);
  await visitor.signIn(settings.email, settings.password);
  const organization = new URL(visitor.page.url()).pathname;
  await visitor.open(`${organization}/incidents`);
  const { page } = visitor;
  await page.locator(`#pick-${incident}`).check();

  const { incident: later } = await customer.fail('order_9');
  await page.getByText('There are changes. They are shown when nothing is ticked.').waitFor();
  assert.ok(await page.locator(`#pick-${incident}`).isChecked(), 'the tick stays');
  assert.equal(await page.locator(`#pick-${later}`).count(), 0, 'no row is moved');
  await visitor.check('a list that waits');

  await page.locator(`#pick-${incident}`).uncheck();
  await page.locator(`#pick-${later}`).waitFor();
  await page.getByText('There are changes.').waitFor({ state: 'detached' });
});
