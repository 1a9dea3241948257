// What happens to an incident without an entry in the audit log is shown on its open page all the same.

import { withChromium } from './lib/chromium.mjs';
import { Customer } from './lib/customer.mjs';
import { DESKTOP } from './lib/screens.mjs';
import { settings } from './lib/settings.mjs';
import { Visitor } from './lib/visitor.mjs';

const customer = new Customer(settings.origin, settings.key);

await withChromium(async (browser) => {
  const { event, incident } = await customer.fail('order_8');
  const visitor = await Visitor.arrive(browser, settings.origin, DESKTOP);
  await visitor.signIn(settings.email, settings.password);
  const organization = new URL(visitor.page.url()).pathname;
  await visitor.open(`${organization}/incidents/${incident}`);
  await customer.failAgain(event, 'The table of seats is gone.');
  await visitor.page.getByText('The table of seats is gone.').waitFor();
});
