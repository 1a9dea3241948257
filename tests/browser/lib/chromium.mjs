// Debian's Chromium, started for one script and ended with it.

import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium } from 'playwright-core';

/** Starts a browser, hands it to `work`, and ends it whatever happens. */
export async function withChromium(work) {
  const browser = await chromium.launch({
    executablePath: installed('chromium'),
    // Only the tests' own pages are opened, as root in a container too.
    chromiumSandbox: false,
    args: ['--disable-dev-shm-usage', '--force-prefers-reduced-motion'],
  });
  try {
    await work(browser);
  } finally {
    await browser.close();
  }
}

function installed(program) {
  for (const directory of process.env.PATH.split(delimiter)) {
    const path = join(directory, program);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not here.
    }
  }
  throw new Error(`${program} is not installed: run tests/setup`);
}
