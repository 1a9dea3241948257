// Waiting for what no page shows, with a deadline.

const PATIENCE = 40_000;
const BETWEEN_LOOKS = 50;

/** Looks again and again until there is something to see, and gives it. */
export async function eventually(what, look) {
  const deadline = Date.now() + PATIENCE;
  while (Date.now() < deadline) {
    const seen = await look();
    if (seen) {
      return seen;
    }
    await new Promise((resolve) => setTimeout(resolve, BETWEEN_LOOKS));
  }
  throw new Error(`not in ${PATIENCE} ms: ${what}`);
}
