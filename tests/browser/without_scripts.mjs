// Where no scripts run: signing in, and a repair that is ordered and seen.

import { withChromium } from './lib/chromium.mjs';
import { Customer } from './lib/customer.mjs';
import { DESKTOP } from './lib/screens.mjs';
import { settings } from './lib/settings.mjs';
import { Visitor } from './lib/visitor.mjs';
import { eventually } from './lib/wait.mjs';

await withChromium(async (browser) => {
  const { incident } = await new Customer(settings.origin, settings.key).fail('order_7');
  const visitor = await Visitor.arrive(browser, settings.origin, DESKTOP, { scripts: false });
  await visitor.signIn(settings.email, settings.password);
  const organization = new URL(visitor.page.url()).pathname;
  await visitor.open(`${organization}/incidents/${incident}`);
  await visitor.hook('reprocess').click();
  await visitor.page.waitForLoadState();
  await visitor.check('the repair is ordered');
  await eventually('the incident is resolved', async () => {
    await visitor.page.reload();
    return (await visitor.hook('state').textContent()) === 'Resolved';
  });
  await visitor.check('the incident is resolved');
});
