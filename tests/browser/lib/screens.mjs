// The screens that every page must fit.

import { settings } from './settings.mjs';

export const DESKTOP = { viewport: { width: 1280, height: 800 } };

/** A small phone: the narrowest screen on which the console must be usable. */
export const PHONE = {
  viewport: { width: 360, height: 740 },
  deviceScaleFactor: 2,
  isMobile: true,
  hasTouch: true,
};

/** The screen that the test asks for. */
export const wanted = () => ({ desktop: DESKTOP, phone: PHONE })[settings.screen];
