// A hand on the keyboard alone: from the list of incidents to a repair.

import { withChromium } from './lib/chromium.mjs';
import { Customer } from './lib/customer.mjs';
import { pressByKey, tabTo } from './lib/keyboard.mjs';
import { DESKTOP } from './lib/screens.mjs';
import { settings } from './lib/settings.mjs';
import { Visitor } from './lib/visitor.mjs';

await withChromium(async (browser) => {
  const { incident } = await new Customer(settings.origin, settings.key).fail('order_8');
  const visitor = await Visitor.arrive(browser, settings.origin, DESKTOP);
  await visitor.signIn(settings.email, settings.password);
  await visitor.open(`${new URL(visitor.page.url()).pathname}/incidents`);
  await tabTo(visitor.page, `#live td a[href$="${incident}"]`);
  await visitor.page.keyboard.press('Enter');
  await visitor.page.waitForURL(`**/incidents/${incident}`);
  await pressByKey(visitor.page, 'reprocess');
  await visitor.hook('state').filter({ hasText: 'Resolved' }).waitFor();
  // The page at rest, which nothing renews any more.
  await visitor.page.reload();
  await visitor.check('the incident is resolved');
});
