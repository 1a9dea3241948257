// Nothing is wider than the screen, so nobody scrolls sideways to read.

export async function layout(page) {
  return page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    if (scrollWidth <= clientWidth) {
      return [];
    }
    const wide = [...document.body.querySelectorAll('*')]
      .filter((element) => element.getBoundingClientRect().right > clientWidth + 1)
      .map((element) => element.outerHTML.slice(0, 120));
    return [`${scrollWidth} pixels wide on a screen of ${clientWidth}: ${wide.slice(0, 5).join(' ')}`];
  });
}
