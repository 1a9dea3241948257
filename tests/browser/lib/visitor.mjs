// A person with a browser at one server. Each page that they stop at is checked.

import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { accessibility } from './checks/accessibility.mjs';
import { focus } from './checks/focus.mjs';
import { layout } from './checks/layout.mjs';
import { weight } from './checks/weight.mjs';
import { withPalette } from './png.mjs';
import { Watch } from './watch.mjs';

const CHECKS = [accessibility, layout, weight, focus];

/** A page of the documents shows several pictures. */
const LARGEST_PICTURE = 120_000;

/** No step takes longer than this, on a busy machine either. */
const PATIENCE = 20_000;

export class Visitor {
  /** What goes wrong without being asked for; see `Watch`. */
  watch;
  page;
  #origin;
  #scripts;

  /** A person with no cookies yet, before a screen of this size. */
  static async arrive(browser, origin, screen, { scripts = true } = {}) {
    const visitor = new Visitor();
    const context = await browser.newContext({ ...screen, javaScriptEnabled: scripts });
    context.setDefaultTimeout(PATIENCE);
    visitor.watch = await Watch.over(context, origin);
    visitor.page = await context.newPage();
    visitor.#origin = origin;
    visitor.#scripts = scripts;
    return visitor;
  }

  /** Opens a page by its path. */
  async open(path) {
    const answer = await this.page.goto(this.#origin + path);
    return answer.status();
  }

  /** Signs in somebody without a second factor. */
  async signIn(email, password) {
    await this.open('/sign-in');
    await this.page.getByLabel('E-mail address').fill(email);
    await this.page.getByLabel('Password').fill(password);
    await this.hook('sign-in').click();
    await this.hook('figures').or(this.hook('no-project')).waitFor();
  }

  /** Everything that is wrong with the page as it is now. */
  async findings() {
    const found = [];
    // They go from element to element, so nothing may be put in an element's place meanwhile.
    const isRenewal = (route) => route.request().headers()['x-live'] !== undefined;
    const holdStill = (route) => (isRenewal(route) ? route.fulfill({ contentType: 'text/html', body: '' }) : route.fallback());
    await this.page.route('**', holdStill);
    // The checks are scripts in the page.
    for (const check of this.#scripts ? CHECKS : []) {
      found.push(...(await check(this.page)));
    }
    await this.page.unroute('**', holdStill);
    return [...found, ...this.watch.take()];
  }

  /** Nothing is wrong with the page as it is now. */
  async check(name) {
    const found = await this.findings();
    assert.deepEqual(found, [], `${name} (${this.page.url()}):\n  ${found.join('\n  ')}\n`);
    console.log(`${name}: nothing to find`);
  }

  /** The element with this hook. */
  hook(name) {
    return this.page.locator(`[data-test="${name}"]`);
  }

  /** Keeps a picture of what is on the screen, where pictures are wanted. */
  async picture(directory, name) {
    if (directory) {
      const path = join(directory, `${name}.png`);
      const picture = withPalette(await this.page.screenshot({ animations: 'disabled', caret: 'hide' }));
      assert.ok(picture.length < LARGEST_PICTURE, `${path} has ${picture.length} bytes`);
      writeFileSync(path, picture);
    }
  }

  async leave() {
    await this.page.context().close();
  }
}
