// Somebody whom nobody knows yet: signs up, confirms the address by mail, and sets up an authenticator app.

import assert from 'node:assert/strict';
import { Authenticator } from './authenticator.mjs';
import { linkMailedTo } from './mail.mjs';
import { settings } from './settings.mjs';

const PASSWORD = 'violet harbour mistral 41';

export class Newcomer {
  email;
  /** Recovery codes that were not used yet. */
  codes = [];
  app;
  #visitor;

  constructor(visitor, email) {
    this.#visitor = visitor;
    this.email = email;
  }

  async signUp(organization) {
    const { page } = this.#visitor;
    await this.#visitor.open('/sign-up');
    await this.#visitor.check('signing up');
    await page.getByLabel('E-mail address').fill(this.email);
    await page.getByLabel('Name of your organization').fill(organization);
    for (const field of await page.locator('input[type=password]').all()) {
      await field.fill(PASSWORD);
    }
    await this.#visitor.hook('sign-up').click();
    await this.#visitor.hook('sent').waitFor();
    await this.#visitor.check('a mail is on its way');
  }

  /** Follows the link in the mail and confirms. */
  async confirmAddress() {
    await this.#visitor.open(await linkMailedTo(settings.mails, this.email, 'address'));
    await this.#visitor.check('confirming the address');
    await this.#visitor.page.locator('input[type=password]').fill(PASSWORD);
    await this.#visitor.hook('confirm').click();
    await this.#visitor.page.waitForURL('**/sign-in?*');
    await this.#visitor.check('signing in');
  }

  /** Gives the address and the password. */
  async givePassword() {
    const { page } = this.#visitor;
    await page.getByLabel('E-mail address').fill(this.email);
    await page.getByLabel('Password').fill(PASSWORD);
    await this.#visitor.hook('sign-in').click();
  }

  /** Signs in from the first page, with the password and this code. */
  async signIn(code) {
    const { page } = this.#visitor;
    await this.#visitor.open('/sign-in');
    await this.givePassword();
    await page.waitForURL('**/sign-in/code*');
    await this.#visitor.check('the code of the sign-in');
    await page.locator('#code').fill(code);
    await this.#visitor.hook('sign-in').click();
    await page.waitForURL((url) => !url.pathname.startsWith('/sign-in'));
  }

  async signOut() {
    await this.#visitor.hook('sign-out').click();
    await this.#visitor.page.waitForURL('**/sign-in*');
  }

  /** Sets up the app from the account's page, and keeps the recovery codes. */
  async setUpSecondFactor() {
    const { page } = this.#visitor;
    await this.#visitor.hook('account').click();
    await page.getByRole('heading', { level: 1 }).waitFor();
    await this.#visitor.check('the account');
    await this.#visitor.open('/account/second-factor');
    await this.#visitor.check('the second factor is off');
    await page.getByRole('button', { name: 'Set it up' }).click();
    await this.#showPasswordIfAsked();
    const secret = this.#visitor.hook('secret');
    this.app = new Authenticator(settings.python, await secret.textContent());
    await this.#visitor.check('setting up the second factor');
    await page.locator('#code').fill(await this.app.nextCode());
    await page.getByRole('button', { name: 'Confirm' }).click();
    const codes = this.#visitor.hook('codes').locator('li');
    await codes.first().waitFor();
    this.codes = await codes.allTextContents();
    assert.equal(this.codes.length, 10);
    await this.#visitor.check('the recovery codes');
    await page.getByText('I have kept them').click();
    await this.#visitor.check('security of the account');
  }

  async #showPasswordIfAsked() {
    const { page } = this.#visitor;
    await page.locator('#step_up_password, [data-test=secret]').waitFor();
    if (await page.locator('#step_up_password').isVisible()) {
      await this.#visitor.check('the password once more');
      await page.locator('#step_up_password').fill(PASSWORD);
      await page.getByRole('button', { name: 'Go on' }).click();
    }
  }

  /** Shows once more who they are, where they must be asked for it. */
  async stepUp() {
    const { page } = this.#visitor;
    await page.locator('#step_up_code').waitFor();
    await this.#visitor.check('a code once more');
    await page.locator('#step_up_code').fill(await this.app.nextCode());
    await page.getByRole('button', { name: 'Go on' }).click();
  }
}
