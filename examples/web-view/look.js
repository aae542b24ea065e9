/**
 * Somebody in front of a browser, for scripts: headless Chromium, whose profile outlives it, at the example's address.
 *
 *     node look.js PROFILE ADDRESS (TEXT | --update) ...
 *
 * Waits for the page to show each text, for 20 s at most, and prints it; presses the app's button at --update.
 */

import { withBrowser } from "../../web/test/support/chromium.js";

const [profile, address, ...story] = process.argv.slice(2);
const SHOWN = "document.body?.innerText.replace(/\\s+/g, ' ')";

async function answers() {
  for (const end = Date.now() + 20_000; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 100))) {
    if (await fetch(address).then((answer) => answer.ok, () => false)) return;
  }
  throw new Error(`${address} does not answer`);
}

await answers(); // its server may have been started a moment ago
await withBrowser(async (open) => {
  const page = await open(address);
  for (const step of story) {
    if (step === "--update") {
      await page.evaluate("document.getElementById('update').click()");
    } else {
      await page.until(`${SHOWN}.includes(${JSON.stringify(step)})`);
      console.log(step);
    }
  }
}, profile);
