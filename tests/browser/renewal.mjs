// A page that renews itself takes away neither the focus nor what was typed.

import assert from 'node:assert/strict';
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
  for (const part of ['[data-test=reprocess]', '#body > summary', '#body pre', '#note']) {
    await keepsTheFocus(visitor.page, event, part);
  }
  await keepsWhatARefusalGaveBack(visitor, event);
  await keepsASelectionWhereNothingChanges(visitor.page);
});

async function keepsTheFocus(page, event, part) {
  await page.evaluate(() => { document.querySelector('#body').open = true; });
  await page.locator(part).focus();
  await renew(page, event);
  const focused = await page.evaluate((part) => document.activeElement.matches(part), part);
  assert.ok(focused, `${part} keeps the focus`);
}

async function keepsWhatARefusalGaveBack(visitor, event) {
  const text = 'Called the customer.\u0001';
  await visitor.page.locator('#note').fill(text);
  await visitor.hook('note').click();
  await visitor.hook('refusal').waitFor();
  await renew(visitor.page, event);
  assert.equal(await visitor.page.locator('#note').inputValue(), text);
}

/** What happens in the organization renews the page; nothing that it says is another, so nothing is put in place. */
async function keepsASelectionWhereNothingChanges(page) {
  const selected = await page.evaluate(() => {
    getSelection().selectAllChildren(document.querySelector('#live h1'));
    return String(getSelection());
  });
  const renewed = page.waitForResponse((answer) => answer.request().headers()['x-live'] !== undefined);
  await customer.fail('order_10');
  await (await renewed).finished();
  assert.notEqual(selected, '');
  assert.equal(await page.evaluate(() => String(getSelection())), selected);
}

/** Something happens to the incident, which the page shows at once for something else happens in the organization. */
async function renew(page, event) {
  const before = await page.evaluateHandle(() => document.querySelector('#live').firstElementChild);
  await customer.failAgain(event, 'The table is still locked.');
  await customer.fail('order_9');
  await page.waitForFunction((before) => !before.isConnected, before);
}
