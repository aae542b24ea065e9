/** The device store on a browser's own storage: pages that end at any call, a full disk, two pages at once. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { findChromium, withBrowser } from "./support/chromium.js";
import { answersOf } from "./support/sealing.js";
import { serve } from "./support/serving.js";

const skip = findChromium() || process.env["CI"] ? false : "no chromium here; CHROMIUM may name one";
const STRIDE = process.env["CAPSEAL_SOAK"] ? 1 : 9; // of calls at which a page is ended
const call = (/** @type {string} */ text) => `import("/test/support/store-page.js").then((store) => store.${text})`;

/** @param {(open: (path?: string) => Promise<import("./support/chromium.js").Page>, url: string) => Promise<void>} use */
async function withStore(use) {
  const releases = [1000, 700_000, 9_000_000].map((bytes, i) => ({ "a/large.bin": Buffer.alloc(bytes, i + 1) }));
  const server = await serve(await answersOf(releases));
  try {
    await withBrowser((open) => use(() => open(server.url), server.url));
  } finally {
    await server.close();
  }
}

test("a page that ends at any call of its storage leaves the old or the new bundle", { skip, timeout: 250_000 }, async () => {
  await withStore(async (open) => {
    let page = await open();
    await page.evaluate(call('update("whole", 1)'));
    const steps = await page.evaluate(call('update("whole", 2)'));
    assert(steps > 40, `${steps} steps`);
    const seen = new Set();
    for (let at = 1; at <= steps; at += STRIDE) {
      const name = JSON.stringify(`ended-${at}`);
      await page.evaluate(call(`update(${name}, 1)`));
      await page.evaluate(`${call(`update(${name}, 2, ${at})`)}, 0`);
      await page.until("globalThis.reached");
      await page.close();
      page = await open();
      const found = await page.evaluate(call(`started(${name})`));
      assert.equal(found.text, `version ${found.sequence}`, `step ${at}: ${found.problem}`);
      assert(found.by.every((/** @type {string} */ by) => by === "trial"), `step ${at}: ${found.by}`);
      seen.add(found.sequence);
      if (found.sequence === 1 && found.by.length === 0) {
        await page.evaluate(call(`update(${name}, 2)`));
      }
    }
    assert.deepEqual([...seen].sort(), [1, 2]);
  });
});

test("a full disk condemns nothing, and there is room again", { skip, timeout: 60_000 }, async () => {
  await withStore(async (open, origin) => {
    const page = await open();
    await page.evaluate(call('update("full", 1)'));
    await page.ask("Storage.overrideQuotaForOrigin", { origin, quotaSize: 4_000_000 });
    assert.equal(await page.evaluate(call('refused("full", 3)')), "QuotaExceededError");
    assert.deepEqual(await page.evaluate(call('started("full")')).then(({ sequence, by }) => [sequence, by]), [1, []]);
    await page.ask("Storage.overrideQuotaForOrigin", { origin });
    await page.evaluate(call('update("full", 3)'));
    assert.equal((await page.evaluate(call('started("full")'))).text, "version 3");
  });
});

test("two pages that install at once do not harm each other", { skip, timeout: 60_000 }, async () => {
  await withStore(async (open) => {
    const pages = await Promise.all([open(), open()]);
    const [first, second] = pages;
    await first?.evaluate(call('update("both", 1)'));
    const ends = await Promise.all(pages.map((page) => page.evaluate(call('refused("both", 2)'))));
    assert(ends.includes("installed"), String(ends));
    assert.equal((await second?.evaluate(call('started("both")'))).text, "version 2");
  });
});
