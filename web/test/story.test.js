/** The example app's whole story, in a browser, against a live capseal server. */

import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { findChromium, withBrowser } from "./support/chromium.js";
import { Stage, hasCapseal } from "./support/story.js";

const skip = (findChromium() && (await hasCapseal())) || process.env["CI"] ? false : "no chromium or no capseal here";
const SHOTS = process.env["CAPSEAL_SCREENSHOTS"]; // a folder, to write them anew
const shows = (/** @type {string} */ text) => `document.body?.innerText.includes(${JSON.stringify(text)})`;
const RUNS = (/** @type {string} */ version) => shows(`Version ${version}`);
const UPDATE = "document.getElementById('update').click()";

const DAMAGE = `(async () => {
  const root = await (await navigator.storage.getDirectory()).getDirectoryHandle("com.example.webview");
  let damaged = 0;
  for await (const [name, folder] of root) {
    if (!name.startsWith("4-")) continue;
    const file = await (await folder.getDirectoryHandle("content")).getFileHandle("large.bin");
    const writable = await file.createWritable({ keepExistingData: true });
    await writable.write({ type: "write", position: 1_500_000, data: new Uint8Array(9) });
    await writable.close();
    damaged++;
  }
  return damaged;
})()`;

/** @param {import("./support/chromium.js").Page} page @param {string} name */
async function shoot(page, name) {
  if (!SHOTS) return;
  await mkdir(SHOTS, { recursive: true });
  await page.ask("Emulation.setDeviceMetricsOverride", { width: 480, height: 320, deviceScaleFactor: 1, mobile: false });
  const { data } = await page.ask("Page.captureScreenshot", { format: "png" });
  await writeFile(join(SHOTS, `${name}.png`), Buffer.from(data, "base64"));
}

test("v1, a tampered v2 refused, v2, its crash, v1 again, v3, an old release refused, and a delta", { skip, timeout: 120_000 }, async () => {
  const stage = await Stage.open();
  try {
    await withBrowser(async (open) => {
      const page = await open(stage.site);
      await page.until(RUNS("0, built in"));
      await shoot(page, "built-in");

      await stage.publish(1);
      await page.evaluate(UPDATE);
      await page.until(`${RUNS("1")} && ${shows("confirmed")}`);
      await shoot(page, "v1");

      await stage.publish(2);
      stage.way.tampers = true;
      await page.evaluate(UPDATE);
      await page.until(shows("TamperedError"));
      await shoot(page, "tampered");
      stage.way.tampers = false;
      await page.evaluate("document.getElementById('go').click()");
      await page.until(RUNS("1"));

      await page.evaluate(UPDATE);
      await page.until(RUNS("2")); // which crashes before it confirms itself
      await page.visit(stage.site);
      await page.until(RUNS("1"));

      await stage.publish(3);
      await page.evaluate(UPDATE);
      await page.until(`${RUNS("3")} && ${shows("confirmed")}`);

      stage.way.latest = 1;
      await page.evaluate(UPDATE);
      await page.until(shows("RollbackError"));
      await shoot(page, "replay");
      stage.way.latest = 0;

      const other = await open(stage.site); // two tabs at once: both start what is confirmed
      await other.until(RUNS("3"));
      await stage.publish(4, 3);
      stage.way.sent = 0;
      await Promise.all([other.evaluate(UPDATE), page.visit(`${stage.site}/?again#update`)]);
      // Whichever is first starts and confirms it; the other one runs that, or what ran before.
      await Promise.any([other, page].map((tab) => tab.until(`${RUNS("4")} && ${shows("confirmed")}`)));
      await page.visit(stage.site);
      await page.until(`${RUNS("4")} && ${shows("confirmed")}`);
      // The large file was not downloaded again, though the payload has it.
      assert(stage.way.asked.some((path) => /attachments\/recipe-[0-9a-f]{16}$/.test(path)));
      assert(stage.way.sent < 1_000_000, `${stage.way.sent} bytes`);
      await page.until("fetch('large.bin', { headers: { range: 'bytes=5-9' } }).then(async (answer) => " +
        "answer.status === 206 && (await answer.arrayBuffer()).byteLength === 5 && answer.headers.get('content-range') === 'bytes 5-9/3000000')");
      await other.close();

      // A base that is damaged costs the segments that it spoils, and nothing else.
      assert.equal(await page.evaluate(DAMAGE), 1);
      await stage.publish(5, 4);
      stage.way.sent = 0;
      await page.evaluate(UPDATE);
      await page.until(`${RUNS("5")} && ${shows("confirmed")}`);
      assert(stage.way.sent > 500_000 && stage.way.sent < 1_500_000, `${stage.way.sent} bytes`);

      await stage.close(); // neither the app's server nor that of releases can be reached any more
      await page.visit(stage.site);
      await page.until(`${RUNS("5")} && ${shows("confirmed")}`);
      await page.evaluate(UPDATE);
      await page.until(shows("TransferError"));
      await page.evaluate("document.getElementById('go').click()");
      await page.until(RUNS("5"));
    });
  } finally {
    await stage.close();
  }
});
