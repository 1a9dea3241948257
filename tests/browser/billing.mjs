// The plan of an organization that pays: its trial, the way to Stripe's pages, and what a subscription changes.

import assert from 'node:assert/strict';
import { withChromium } from './lib/chromium.mjs';
import { ageWhatWasShown } from './lib/clock.mjs';
import { pressByKey } from './lib/keyboard.mjs';
import { endTrial, subscribe } from './lib/plan.mjs';
import { Person } from './lib/person.mjs';
import { wanted } from './lib/screens.mjs';
import { settings } from './lib/settings.mjs';
import { Visitor } from './lib/visitor.mjs';

await withChromium(async (browser) => {
  const visitor = await Visitor.arrive(browser, settings.origin, wanted());
  await visitor.signIn(settings.email, settings.password);
  const owner = new Person(visitor, settings.email, settings.password);
  await visitor.page.getByRole('link', { name: 'Billing', exact: true }).click();
  await assertPlan(visitor, /Trial.*can be tried until/s);
  await visitor.check('the trial');
  ageWhatWasShown(11);
  await pressByKey(visitor.page, 'subscribe');
  await owner.showPassword();
  await assertLedToStripe(visitor, 'the way to the checkout');
  endTrial();
  await backToThePlan(visitor);
  await assertPlan(visitor, /Ended.*Receipts are refused/s);
  await visitor.check('the trial is over');
  await subscribe();
  await visitor.page.reload();
  await assertPlan(visitor, /Subscribed/);
  await visitor.hook('paid-until').waitFor();
  assert.equal(await visitor.hook('subscribe').count(), 0);
  await visitor.check('the subscription');
  await visitor.hook('manage').click();
  await assertLedToStripe(visitor, 'the way to the portal');
  await visitor.leave();
});

async function assertPlan(visitor, words) {
  await visitor.hook('plan').waitFor();
  assert.match(await visitor.hook('plan').textContent(), words);
}

/** The page leads to where Stripe said, and tells it nothing of where one comes from. */
async function assertLedToStripe(visitor, name) {
  const link = visitor.hook('go');
  await link.waitFor();
  assert.equal(await link.getAttribute('href'), settings.stripe);
  assert.equal(await link.getAttribute('rel'), 'noreferrer');
  await visitor.check(name);
}

async function backToThePlan(visitor) {
  await visitor.page.getByRole('link', { name: 'Back to billing' }).click();
}
