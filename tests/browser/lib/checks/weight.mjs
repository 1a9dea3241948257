// A page with all that it loads is light, also where nothing of it is in the cache yet.

const MOST = 100_000;

export async function weight(page) {
  const parts = await page.evaluate(() => {
    const entries = ['navigation', 'resource'].flatMap((kind) => performance.getEntriesByType(kind));
    // Of what comes from the cache, too, the body's size is told.
    return entries.map(({ name, encodedBodySize }) => [name, encodedBodySize]);
  });
  const total = parts.reduce((sum, [, size]) => sum + size, 0);
  if (total === 0) {
    return ['nothing was weighed'];
  }
  return total < MOST ? [] : [`weighs ${total} bytes: ${parts.map((part) => part.join(' ')).join(', ')}`];
}
