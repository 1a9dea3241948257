// Hands on the keyboard.

import assert from 'node:assert/strict';

const MOST_STOPS = 60;

/** Presses the Tab key until what fits the selector has the focus. */
export async function tabTo(page, selector) {
  for (let stop = 0; stop < MOST_STOPS; stop += 1) {
    await page.keyboard.press('Tab');
    if (await page.evaluate((selector) => document.activeElement.matches(selector), selector)) {
      return;
    }
  }
  assert.fail(`the Tab key does not reach ${selector}`);
}

/** Goes to the element with this hook by the Tab key alone, and presses Enter there. */
export async function pressByKey(page, hook) {
  await tabTo(page, `[data-test="${hook}"]`);
  await page.keyboard.press('Enter');
}
