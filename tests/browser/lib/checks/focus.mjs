// Whoever has no mouse reaches everything with the Tab key, and sees where they are.

const MOST_STOPS = 400;

export async function focus(page) {
  const expected = await page.evaluate(markFocusable);
  const findings = [];
  const reached = new Set();
  // Where the focus begins within the page, as it does in a form, the page is left once and entered from its top.
  let mayLeave = true;
  let before;
  for (let stop = 0; stop < MOST_STOPS; stop += 1) {
    await page.keyboard.press('Tab');
    const at = await page.evaluate(whereTheFocusIs);
    if (at === null && mayLeave) {
      mayLeave = false;
      continue;
    }
    if (at !== null && at.hasParts && at.mark === before) {
      continue;
    }
    if (at === null || reached.has(at.mark)) {
      break;
    }
    before = at.mark;
    reached.add(at.mark);
    if (!at.shown) {
      findings.push(`the focus does not show on ${at.html}`);
    }
  }
  for (const [mark, html] of expected) {
    if (!reached.has(mark)) {
      findings.push(`the Tab key does not reach ${html}`);
    }
  }
  await page.evaluate(() => document.activeElement.blur());
  return findings;
}

/** Numbers everything that the Tab key should stop at; gives each number with its element's markup. */
function markFocusable() {
  const all = document.querySelectorAll(
    'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex="0"]',
  );
  const visible = (element) =>
    element.checkVisibility({ checkVisibilityCSS: true }) && element.getClientRects().length > 0;
  // Of radio buttons with one name, the Tab key stops at one; the arrow keys go on from there.
  const isLaterRadio = (element) =>
    element.type === 'radio' &&
    [...document.getElementsByName(element.name)].find(
      (other) => other.form === element.form && (other.checked || !isChecked(element)),
    ) !== element;
  const isChecked = ({ name, form }) =>
    [...document.getElementsByName(name)].some((other) => other.form === form && other.checked);
  const stops = [...all].filter(
    (element) => !element.disabled && element.tabIndex >= 0 && visible(element) && !isLaterRadio(element),
  );
  return stops.map((element, index) => {
    element.focusMark = `${index}`;
    return [element.focusMark, element.outerHTML.slice(0, 160)];
  });
}

/** The element with the focus, and whether it looks otherwise than without; null where the page is left. */
function whereTheFocusIs() {
  const element = document.activeElement;
  if (element === null || element === document.body || element === document.documentElement) {
    return null;
  }
  element.focusMark ??= `unexpected ${element.outerHTML.slice(0, 160)}`;
  const look = () => {
    const style = getComputedStyle(element);
    const outlined = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
    const box = element.getBoundingClientRect();
    return {
      outline: outlined ? `${style.outlineWidth} ${style.outlineColor}` : 'none',
      rest: [style.boxShadow, style.borderColor, style.backgroundColor, style.textDecoration].join(),
      visible: box.width > 1 && box.height > 1 && box.right > 0 && box.bottom > 0,
    };
  };
  const focused = look();
  // The Tab key stops at the day, the month and the year of a date; taking the focus away would begin them anew.
  const hasParts = element.type === 'date';
  let blurred = focused;
  if (!hasParts) {
    element.blur();
    blurred = look();
    element.focus({ focusVisible: true, preventScroll: true });
  }
  const differs = focused.outline !== 'none' || focused.rest !== blurred.rest;
  return {
    mark: element.focusMark,
    hasParts,
    shown: focused.visible && differs,
    html: element.outerHTML.slice(0, 160),
  };
}
