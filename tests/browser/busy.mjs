// What an operator sees of a shop that is busy: figures, a list of incidents, one of them; on a desktop and a phone.

import assert from 'node:assert/strict';
import { withChromium } from './lib/chromium.mjs';
import { Customer } from './lib/customer.mjs';
import { liveThroughADay } from './lib/history.mjs';
import { DESKTOP, PHONE } from './lib/screens.mjs';
import { settings } from './lib/settings.mjs';
import { Visitor } from './lib/visitor.mjs';

const EFFECTS = ['access_unlock', 'credit_grant', 'seat_update', 'subscription_state_apply'];
const PICTURES = ['overview-desktop', 'incidents-desktop', 'incident-desktop', 'incident-phone'];

await withChromium(async (browser) => {
  liveThroughADay();
  const failed = await sell();
  const visitor = await signedIn(browser, DESKTOP);
  const organization = new URL(visitor.page.url()).pathname;
  await reprocess(visitor, `${organization}/incidents/${failed[0].incident}`, 'Resolved');
  await dismiss(visitor, `${organization}/incidents/${failed[3].incident}`);
  const open = `${organization}/incidents/${failed.at(-1).incident}`;
  await reprocess(visitor, open, 'Call 3:');
  await addNote(visitor, open);
  const pages = { overview: organization, incidents: `${organization}/incidents`, incident: open };
  await look(visitor, 'desktop', pages);
  await look(await signedIn(browser, PHONE), 'phone', pages);
});

/** Payments of which some lack their effect. Gives those. */
async function sell() {
  const customer = new Customer(settings.origin, settings.key);
  const failed = [];
  for (let order = 1; order <= 7; order += 1) {
    failed.push(await customer.fail(`order_${1040 + 9 * order}`, EFFECTS[order % EFFECTS.length]));
  }
  await customer.succeed(failed[1].event);
  await customer.succeed(failed[2].event);
  return failed;
}

async function signedIn(browser, screen) {
  const visitor = await Visitor.arrive(browser, settings.origin, screen);
  await visitor.signIn(settings.email, settings.password);
  return visitor;
}

/** Has an incident reprocessed, and waits until these words tell the end of it. */
async function reprocess(visitor, path, words) {
  await visitor.open(path);
  await visitor.hook('reprocess').click();
  await visitor.page.getByText(words).first().waitFor();
}

async function dismiss(visitor, path) {
  await visitor.open(path);
  await visitor.page.getByLabel('Reason').fill('Refunded by hand.');
  await visitor.hook('dismiss').click();
  await visitor.hook('reopen').waitFor();
}

async function addNote(visitor, path) {
  await visitor.open(path);
  await visitor.page.getByRole('textbox', { name: 'Note' }).fill('The customer wrote at noon. The database is back; repair it now.');
  await visitor.hook('note').click();
  await visitor.page.getByText('The customer wrote').waitFor();
}

/** Checks each of these pages, and keeps its picture. */
async function look(visitor, screen, pages) {
  for (const [name, path] of Object.entries(pages)) {
    assert.equal(await visitor.open(path), 200);
    if (PICTURES.includes(`${name}-${screen}`)) {
      await visitor.picture(settings.screenshots, `${name}-${screen}`);
    }
    await visitor.check(`${name} on a ${screen}`);
  }
  await visitor.leave();
}
