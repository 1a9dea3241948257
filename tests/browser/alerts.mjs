// Who is told of incidents: destinations are added, tried and removed, and the incident says what was told of it.

import assert from 'node:assert/strict';
import { withChromium } from './lib/chromium.mjs';
import { ageWhatWasShown } from './lib/clock.mjs';
import { Customer } from './lib/customer.mjs';
import { pressByKey } from './lib/keyboard.mjs';
import { Person } from './lib/person.mjs';
import { wanted } from './lib/screens.mjs';
import { settings } from './lib/settings.mjs';
import { Visitor } from './lib/visitor.mjs';

/** What of the webhook's URL is a secret. */
const CANARY = 'token=canary';
const SHOWN = new URL(settings.hook).origin;

await withChromium(async (browser) => {
  const visitor = await Visitor.arrive(browser, settings.origin, wanted());
  const owner = await Person.owner(visitor);
  await visitor.open(settings.project);
  await visitor.hook('alerts').click();
  await visitor.hook('nobody').waitFor();
  await visitor.check('nobody is told');
  await addWebhook(visitor, owner);
  await tryIt(visitor);
  await addMailbox(visitor);
  await setMinutes(visitor);
  await seeWhatWasTold(visitor);
  await remove(visitor, owner);
  await visitor.leave();
});

/** Adds a webhook, whose secret is shown this once. */
async function addWebhook(visitor, owner) {
  const { page } = visitor;
  ageWhatWasShown(11);
  await page.getByLabel('How', { exact: true }).selectOption('webhook');
  await page.getByLabel('E-mail address, or URL').fill(`${settings.hook}?${CANARY}`);
  await visitor.hook('add-alert').click();
  await owner.stepUp();
  const credential = visitor.hook('credential');
  await credential.waitFor();
  await visitor.check('the secret is shown once');
  const secret = (await credential.textContent()).trim();
  assert.match(secret, /^spsec_[0-9A-Za-z]{43}$/);
  await visitor.hook('go-on').click();
  await visitor.hook('destination').filter({ hasText: `Webhook: ${SHOWN}` }).waitFor();
  await assertHidden(page, secret);
  await visitor.check('a destination');
}

/** Sends two tests, by the keyboard alone: one is taken, one is refused. */
async function tryIt(visitor) {
  const verdict = visitor.hook('verdict');
  await pressByKey(visitor.page, 'test-alert');
  await verdict.filter({ hasText: `was taken by ${SHOWN}` }).waitFor();
  await visitor.check('the test is taken');
  await visitor.open(`${settings.project}/alerts`);
  await pressByKey(visitor.page, 'test-alert');
  await verdict.filter({ hasText: 'was not taken' }).waitFor();
  assert.match(await verdict.textContent(), /It answered 410/);
  await assertHidden(visitor.page);
  await visitor.check('the test is refused');
}

/** Adds an address after a slip of the pen. */
async function addMailbox(visitor) {
  const { page } = visitor;
  const to = page.getByLabel('E-mail address, or URL');
  await to.fill('nobody');
  visitor.watch.allow('422');
  await visitor.hook('add-alert').click();
  await page.locator('#to-wrong').waitFor();
  assert.equal(await to.getAttribute('aria-invalid'), 'true');
  await visitor.check('the address is wrong');
  await to.fill('ops@example.com');
  await visitor.hook('add-alert').click();
  await visitor.hook('notice').waitFor();
  assert.equal(await visitor.hook('destination').count(), 2);
  await visitor.check('two destinations');
}

/** Has told what does not happen. */
async function setMinutes(visitor) {
  const { page } = visitor;
  await page.getByLabel('Minutes after which an open incident').fill('60');
  await page.getByLabel('Minutes without a receipt').fill('90');
  await visitor.hook('save-minutes').click();
  await visitor.hook('notice').waitFor();
  assert.equal(await page.getByLabel('Minutes without a receipt').inputValue(), '90');
}

/** A payment fails, and its incident says who was told of it. */
async function seeWhatWasTold(visitor) {
  const { incident } = await new Customer(settings.origin, settings.key).fail('order_1042');
  await visitor.open(`${settings.organization}/incidents/${incident}`);
  const moment = (words) => visitor.hook('moment').filter({ hasText: words });
  for (const [channel, to] of [['webhook', SHOWN], ['e-mail', 'ops@example.com']]) {
    const told = moment(`An alert by ${channel} told that the incident opened`);
    await told.waitFor();
    assert.ok((await told.textContent()).includes(`To ${to}`), channel);
  }
  await assertHidden(visitor.page);
  await visitor.check('what was told of the incident');
}

/** Removes the webhook, which takes a code again. */
async function remove(visitor, owner) {
  await visitor.open(`${settings.project}/alerts`);
  ageWhatWasShown(11);
  await visitor.page.getByRole('button', { name: `Remove ${SHOWN}` }).click();
  await owner.stepUp();
  await visitor.hook('notice').filter({ hasText: 'is removed' }).waitFor();
  assert.equal(await visitor.hook('destination').count(), 1);
  await visitor.check('a destination is removed');
}

/** Neither the rest of the webhook's URL nor these are anywhere in the page. */
async function assertHidden(page, ...secrets) {
  const content = await page.content();
  for (const secret of [CANARY, ...secrets]) {
    assert.ok(!content.includes(secret), `${secret} in ${page.url()}`);
  }
}
