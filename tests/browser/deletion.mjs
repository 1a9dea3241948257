// What is given up: an organization, which can be kept for seven days, and an account, which cannot.

import assert from 'node:assert/strict';
import { withChromium } from './lib/chromium.mjs';
import { ageWhatWasShown } from './lib/clock.mjs';
import { change } from './lib/database.mjs';
import { pressByKey } from './lib/keyboard.mjs';
import { Person } from './lib/person.mjs';
import { wanted } from './lib/screens.mjs';
import { settings } from './lib/settings.mjs';
import { Visitor } from './lib/visitor.mjs';

await withChromium(async (browser) => {
  const visitor = await Visitor.arrive(browser, settings.origin, wanted());
  const owner = await Person.owner(visitor);
  await deleteOrganization(visitor, owner);
  await keepOrganization(visitor);
  await deleteAccount(visitor, owner);
  await visitor.leave();
});

/** Orders it, after a slip of the pen, with a code that is fresh. */
async function deleteOrganization(visitor, owner) {
  await visitor.open(`${settings.organization}/settings`);
  await visitor.hook('delete').click();
  const name = visitor.page.getByLabel("Type the organization's name");
  await name.waitFor();
  await visitor.check('deleting an organization');
  await name.fill('another');
  visitor.watch.allow('422');
  await visitor.hook('delete-organization').click();
  await visitor.page.locator('#name-wrong').waitFor();
  await visitor.check('not its name');
  await name.fill('acme');
  ageWhatWasShown(11);
  await visitor.hook('delete-organization').click();
  await owner.stepUp();
  await visitor.hook('due').waitFor();
  await visitor.check('the deletion is ordered');
}

/** Finds on another page that it will be deleted, and takes that back by the keyboard alone. */
async function keepOrganization(visitor) {
  await visitor.open(settings.organization);
  await visitor.hook('deletion').waitFor();
  await visitor.check('an organization that will be deleted');
  await visitor.page.getByRole('link', { name: 'Keep it' }).click();
  await visitor.hook('keep-organization').waitFor();
  await pressByKey(visitor.page, 'keep-organization');
  await visitor.hook('notice').filter({ hasText: 'The organization stays' }).waitFor();
  assert.equal(await visitor.hook('deletion').count(), 0);
}

/** Deletes the own account, and is somebody whom nobody knows. */
async function deleteAccount(visitor, owner) {
  await visitor.open('/account');
  await visitor.hook('delete').click();
  const email = visitor.page.getByLabel('Type your e-mail address');
  await email.waitFor();
  await visitor.check('deleting an account');
  await email.fill('somebody@example.com');
  ageWhatWasShown(11);
  await visitor.hook('delete-account').click();
  visitor.watch.allow('422');
  await owner.stepUp();
  await visitor.page.locator('#email-wrong').waitFor();
  await visitor.check('not their address');
  await email.fill(settings.email);
  visitor.watch.allow('422');
  await visitor.hook('delete-account').click();
  await visitor.hook('refusal').filter({ hasText: 'You are the only owner of acme' }).waitFor();
  await visitor.check('the only owner');
  change("UPDATE members SET role = 'owner'");
  await email.fill(settings.email);
  await visitor.hook('delete-account').click();
  await visitor.page.waitForURL('**/sign-in?done=deleted');
  await visitor.check('the account is gone');
  await visitor.open('/account');
  assert.equal(new URL(visitor.page.url()).pathname, '/sign-in');
}
