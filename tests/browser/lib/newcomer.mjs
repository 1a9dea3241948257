// Somebody whom nobody knows yet: signs up, and confirms the address by mail.

import { linkMailedTo } from './mail.mjs';
import { Person } from './person.mjs';
import { settings } from './settings.mjs';

const PASSWORD = 'violet harbour mistral 41';

export class Newcomer extends Person {
  constructor(visitor, email) {
    super(visitor, email, PASSWORD);
  }

  async signUp(organization) {
    const { page } = this.visitor;
    await this.visitor.open('/sign-up');
    await this.visitor.check('signing up');
    await page.getByLabel('E-mail address').fill(this.email);
    await page.getByLabel('Name of your organization').fill(organization);
    for (const field of await page.locator('input[type=password]').all()) {
      await field.fill(this.password);
    }
    await this.visitor.hook('sign-up').click();
    await this.visitor.hook('sent').waitFor();
    await this.visitor.check('a mail is on its way');
  }

  /** Follows the link in the mail and confirms. */
  async confirmAddress() {
    await this.visitor.open(await linkMailedTo(settings.mails, this.email, 'address'));
    await this.visitor.check('confirming the address');
    await this.visitor.page.locator('input[type=password]').fill(this.password);
    await this.visitor.hook('confirm').click();
    await this.visitor.page.waitForURL('**/sign-in?*');
    await this.visitor.check('signing in');
  }
}
