// Makes a project in the console, and API keys for it.

import { settings } from './settings.mjs';

export class Project {
  /** The path of its page. */
  path;
  key;
  #visitor;
  #person;

  constructor(visitor, person) {
    this.#visitor = visitor;
    this.#person = person;
  }

  /** From the overview of an organization that has none. Gives the signing secret that is shown. */
  async make(name, repairUrl) {
    const { page } = this.#visitor;
    await this.#visitor.hook('no-project').getByRole('link').click();
    await page.getByLabel('Name').waitFor();
    await this.#visitor.check('a new project');
    await page.getByLabel('Name').fill(name);
    await page.getByLabel('Repair URL').fill(repairUrl);
    await this.#visitor.hook('create-project').click();
    await this.#person.stepUp();
    await this.#visitor.hook('signing-secret').waitFor();
    await this.#visitor.check('the project is ready');
    const secret = await this.#visitor.hook('signing-secret').textContent();
    await this.#visitor.hook('go-on').click();
    await this.#visitor.hook('waiting').waitFor();
    if (settings.screen === 'desktop') {
      await this.#visitor.picture(settings.screenshots, 'project-desktop');
    }
    this.path = new URL(page.url()).pathname;
    await this.#visitor.check('the project before its first receipt');
    return secret.trim();
  }

  /** Makes another key, and keeps what is shown. */
  async makeKey() {
    await this.#visitor.hook('create-key').click();
    await this.#person.stepUp();
    const credential = this.#visitor.hook('credential');
    await credential.waitFor();
    await this.#visitor.check('the key is shown once');
    this.key = (await credential.textContent()).trim();
    await this.#visitor.hook('go-on').click();
    await this.#visitor.hook('create-key').waitFor();
  }
}
