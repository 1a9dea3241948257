// Events from providers: a secret is set, what counts is said, and all is taken away again.

import assert from 'node:assert/strict';
import { withChromium } from './lib/chromium.mjs';
import { ageWhatWasShown } from './lib/clock.mjs';
import { pressByKey } from './lib/keyboard.mjs';
import { Person } from './lib/person.mjs';
import { wanted } from './lib/screens.mjs';
import { settings } from './lib/settings.mjs';
import { Visitor } from './lib/visitor.mjs';

const SECRET = 'whsec_browser-canary-7Kq2Lm9Xw4';
const MAPPING = 'invoice.paid credit_grant /data/object/metadata/order';

await withChromium(async (browser) => {
  const visitor = await Visitor.arrive(browser, settings.origin, wanted());
  const owner = await Person.owner(visitor);
  await visitor.open(`${settings.project}/settings`);
  await visitor.hook('intake').click();
  await stripe(visitor).getByText('No secret is set').waitFor();
  await visitor.check('nothing is taken yet');
  await setSecret(visitor, owner);
  await sayWhatCounts(visitor);
  await takeNoMore(visitor);
  await visitor.leave();
});

/** The part of the page that is about Stripe. */
function stripe(visitor) {
  return visitor.hook('stripe');
}

/** Sets the secret, which no page shows again, after one that is none. */
async function setSecret(visitor, owner) {
  const field = stripe(visitor).getByLabel('Secret with which Stripe signs');
  ageWhatWasShown(11);
  await field.fill('short');
  await visitor.hook('set-stripe-secret').click();
  // A form with a secret in it is not carried on: it is filled in again.
  await owner.stepUp();
  await field.fill('short');
  visitor.watch.allow('422');
  await visitor.hook('set-stripe-secret').click();
  await visitor.page.locator('#stripe-secret-wrong').waitFor();
  assert.equal(await field.inputValue(), '');
  await visitor.check('no secret of Stripe');
  await field.fill(SECRET);
  await visitor.hook('set-stripe-secret').click();
  await visitor.hook('notice').filter({ hasText: 'The secret is set' }).waitFor();
  assert.equal(await stripe(visitor).locator('[data-test="provider-secret"]').count(), 1);
  assert.ok(!(await visitor.page.content()).includes(SECRET));
  await visitor.check('the secret is set');
}

/** Says which events count, after a line that says nothing. */
async function sayWhatCounts(visitor) {
  const field = stripe(visitor).getByLabel('Events that count');
  await field.fill('invoice.paid no_such_effect');
  visitor.watch.allow('422');
  await visitor.hook('save-stripe-mapping').click();
  await visitor.page.locator('#stripe-mapping-wrong').waitFor();
  assert.equal(await field.inputValue(), 'invoice.paid no_such_effect');
  await visitor.check('a line that says nothing');
  await field.fill(MAPPING);
  await visitor.hook('save-stripe-mapping').click();
  await visitor.hook('notice').filter({ hasText: 'The mapping is saved' }).waitFor();
  assert.equal((await field.inputValue()).trim(), MAPPING);
}

/** Takes the secret away, by the keyboard alone. */
async function takeNoMore(visitor) {
  await pressByKey(visitor.page, 'stop-stripe');
  await visitor.hook('notice').filter({ hasText: 'The secrets are gone' }).waitFor();
  await stripe(visitor).getByText('No secret is set').waitFor();
  await visitor.check('nothing is taken any more');
}
