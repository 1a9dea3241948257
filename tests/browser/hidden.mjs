// A page that nobody sees holds no connection, and tells what it has missed as soon as somebody does.

import { withChromium } from './lib/chromium.mjs';
import { Customer } from './lib/customer.mjs';
import { DESKTOP } from './lib/screens.mjs';
import { settings } from './lib/settings.mjs';
import { Visitor } from './lib/visitor.mjs';

/** So many connections to a host a browser holds over HTTP/1.1. */
const CONNECTIONS = 6;

const customer = new Customer(settings.origin, settings.key);

await withChromium(async (browser) => {
  const visitor = await Visitor.arrive(browser, settings.origin, DESKTOP);
  await visitor.signIn(settings.email, settings.password);
  const list = `${new URL(visitor.page.url()).pathname}/incidents`;
  const pages = [];
  while (pages.length <= CONNECTIONS) {
    const page = await visitor.page.context().newPage();
    await page.goto(settings.origin + list);
    await setHidden(page, true);
    pages.push(page);
  }
  const { incident } = await customer.fail('order_8');
  await setHidden(pages[0], false);
  await pages[0].locator(`#pick-${incident}`).waitFor();
  const { incident: later } = await customer.fail('order_9');
  await pages[0].locator(`#pick-${later}`).waitFor();
});

/** In a browser without a screen every page counts as seen, so it is told otherwise. */
async function setHidden(page, hidden) {
  await page.evaluate((hidden) => {
    Object.defineProperty(document, 'hidden', { configurable: true, value: hidden });
    document.dispatchEvent(new Event('visibilitychange'));
  }, hidden);
}
