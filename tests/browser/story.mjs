// The story of a person who has nothing but the console: from signing up to an incident that is repaired.

import assert from 'node:assert/strict';
import { withChromium } from './lib/chromium.mjs';
import { ageWhatWasShown } from './lib/clock.mjs';
import { Customer } from './lib/customer.mjs';
import { Newcomer } from './lib/newcomer.mjs';
import { Project } from './lib/project.mjs';
import { Repairs } from './lib/repairs.mjs';
import { wanted } from './lib/screens.mjs';
import { settings } from './lib/settings.mjs';
import { Visitor } from './lib/visitor.mjs';

const REFERENCE = 'order_1042';

await withChromium((browser) => Repairs.during((repairs) => live(browser, repairs)));

async function live(browser, repairs) {
  const visitor = await Visitor.arrive(browser, settings.origin, wanted());
  const person = new Newcomer(visitor, 'robin@example.com');
  const organization = await join(visitor, person);
  const project = await makeProject(visitor, person, repairs, organization);
  const customer = new Customer(settings.origin, project.key);
  await watchIncidentAppear(visitor, organization, customer);
  await watchRepair(visitor, repairs);
  await lookAround(visitor, organization, project);
  await seeThatAllIsAllowed(visitor, organization);
  await readAuditLog(visitor, organization);
  await visitor.leave();
}

/** Signs up, sets up the second factor, and signs in with each kind of code. Gives the organization's path. */
async function join(visitor, person) {
  await person.signUp('Harbour Books');
  await person.confirmAddress();
  await person.givePassword();
  await visitor.hook('no-project').waitFor();
  const organization = new URL(visitor.page.url()).pathname;
  await visitor.check('the overview of nothing');
  await person.setUpSecondFactor();
  await person.signOut();
  await person.signIn(await person.app.nextCode());
  await person.signOut();
  await person.signIn(person.codes.pop());
  await visitor.open('/account/second-factor');
  assert.match(await visitor.hook('codes-left').textContent(), /^9 recovery codes/);
  await visitor.check('the second factor is on');
  return organization;
}

/** Makes a project and a key of its own, and shows a code before each. */
async function makeProject(visitor, person, repairs, organization) {
  const project = new Project(visitor, person);
  await visitor.open(organization);
  ageWhatWasShown(11);
  repairs.secret = await project.make('Checkout', repairs.url);
  ageWhatWasShown(11);
  await project.makeKey();
  return project;
}

/** Looks at the open incidents, of which there are none, until there is one. */
async function watchIncidentAppear(visitor, organization, customer) {
  await visitor.open(`${organization}/incidents?state=open`);
  await visitor.hook('empty').waitFor();
  await visitor.check('no open incidents');
  await mark(visitor);
  await customer.fail(REFERENCE);
  await visitor.hook('incident').filter({ hasText: REFERENCE }).waitFor();
  await assertNotReloaded(visitor);
  await visitor.check('an open incident');
}

/** Opens the incident, has it repaired, and waits until the page says so. */
async function watchRepair(visitor, repairs) {
  await visitor.hook('incident').getByRole('link').click();
  await visitor.hook('reprocess').waitFor();
  await visitor.check('the incident');
  await visitor.hook('reprocess').click();
  await visitor.page.waitForLoadState();
  await mark(visitor);
  await visitor.hook('state').filter({ hasText: 'Resolved' }).waitFor();
  await assertNotReloaded(visitor);
  repairs.assertDone(REFERENCE);
  await visitor.check('the incident is resolved');
}

/** Stops at the pages that the story does not lead to. */
async function lookAround(visitor, organization, project) {
  const pages = [
    organization,
    `${organization}/incidents`,
    `${organization}/projects`,
    project.path,
    `${project.path}/settings`,
    `${project.path}/secret`,
    `${project.path}/delete`,
    `${organization}/members`,
    `${organization}/leave`,
    `${organization}/settings`,
    `${organization}/settings/security`,
    '/orgs?all=1',
    '/orgs/new',
    '/account',
    '/account/password',
    '/account/email',
    '/account/sessions',
    '/account/security',
  ];
  for (const path of pages) {
    assert.equal(await visitor.open(path), 200, path);
    await visitor.check(path);
  }
}

/** Where nobody pays, the page of the plan says so, and has nothing to press. */
async function seeThatAllIsAllowed(visitor, organization) {
  assert.equal(await visitor.open(`${organization}/billing`), 200);
  assert.match(await visitor.hook('plan').textContent(), /without billing: everything is allowed/);
  assert.equal(await visitor.hook('subscribe').or(visitor.hook('manage')).count(), 0);
  await visitor.check('the plan where nobody pays');
}

/** Finds in the log what was done, by whom. */
async function readAuditLog(visitor, organization) {
  assert.equal(await visitor.open(`${organization}/audit`), 200);
  await visitor.check('the audit log');
  const entries = await visitor.hook('entries').textContent();
  for (const word of ['robin@example.com', 'Reprocess', 'Project', 'key']) {
    assert.ok(entries.toLowerCase().includes(word.toLowerCase()), `${word} in ${entries}`);
  }
  await visitor.hook('check').click();
  await visitor.hook('sound').waitFor();
  await visitor.check('the check of the audit log');
}

/** Leaves something in the page that a reload would take away. */
async function mark(visitor) {
  await visitor.page.evaluate(() => {
    window.isTheSamePage = true;
  });
}

async function assertNotReloaded(visitor) {
  assert.ok(await visitor.page.evaluate(() => window.isTheSamePage), 'the page was loaded again');
}
