// Somebody with an account: signs in, and shows who they are with a password and an authenticator app.

import assert from 'node:assert/strict';
import { Authenticator } from './authenticator.mjs';
import { settings } from './settings.mjs';

export class Person {
  email;
  password;
  app;
  /** Recovery codes that were not used yet. */
  codes = [];
  visitor;

  constructor(visitor, email, password) {
    this.visitor = visitor;
    this.email = email;
    this.password = password;
  }

  /** The owner whom the test has made, signed in, with an authenticator app. */
  static async owner(visitor) {
    const owner = new Person(visitor, settings.email, settings.password);
    owner.app = new Authenticator(settings.python, settings.secret);
    await owner.signIn(await owner.app.nextCode());
    return owner;
  }

  /** Gives the address and the password. */
  async givePassword() {
    const { page } = this.visitor;
    await page.getByLabel('E-mail address').fill(this.email);
    await page.getByLabel('Password').fill(this.password);
    await this.visitor.hook('sign-in').click();
  }

  /** Signs in from the first page, with the password and this code. */
  async signIn(code) {
    const { page } = this.visitor;
    await this.visitor.open('/sign-in');
    await this.givePassword();
    await page.waitForURL('**/sign-in/code*');
    await this.visitor.check('the code of the sign-in');
    await page.locator('#code').fill(code);
    await this.visitor.hook('sign-in').click();
    await page.waitForURL((url) => !url.pathname.startsWith('/sign-in'));
  }

  async signOut() {
    await this.visitor.hook('sign-out').click();
    await this.visitor.page.waitForURL('**/sign-in*');
  }

  /** Sets up the app from the account's page, and keeps the recovery codes. */
  async setUpSecondFactor() {
    const { page } = this.visitor;
    await this.visitor.hook('account').click();
    await page.getByRole('heading', { level: 1 }).waitFor();
    await this.visitor.check('the account');
    await this.visitor.open('/account/second-factor');
    await this.visitor.check('the second factor is off');
    await page.getByRole('button', { name: 'Set it up' }).click();
    await page.locator('#step_up_password, [data-test=secret]').waitFor();
    if (await page.locator('#step_up_password').isVisible()) {
      await this.showPassword();
    }
    const secret = this.visitor.hook('secret');
    this.app = new Authenticator(settings.python, await secret.textContent());
    await this.visitor.check('setting up the second factor');
    await page.locator('#code').fill(await this.app.nextCode());
    await page.getByRole('button', { name: 'Confirm' }).click();
    const codes = this.visitor.hook('codes').locator('li');
    await codes.first().waitFor();
    this.codes = await codes.allTextContents();
    assert.equal(this.codes.length, 10);
    await this.visitor.check('the recovery codes');
    await page.getByText('I have kept them').click();
    await this.visitor.check('security of the account');
  }

  /** Shows once more who they are, where a code is asked for. */
  async stepUp() {
    const field = this.visitor.page.locator('#step_up_code');
    await field.waitFor();
    await this.visitor.check('a code once more');
    await field.fill(await this.app.nextCode());
    await this.#goOn();
  }

  /** The same where the password is asked for. */
  async showPassword() {
    const field = this.visitor.page.locator('#step_up_password');
    await field.waitFor();
    await this.visitor.check('the password once more');
    await field.fill(this.password);
    await this.#goOn();
  }

  async #goOn() {
    await this.visitor.page.getByRole('button', { name: 'Go on' }).click();
  }
}
