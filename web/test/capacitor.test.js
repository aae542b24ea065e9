/** The Capacitor shell, on the web implementation of the plugin for the file system: what of it no phone is needed for. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { findChromium, withPage } from "./support/chromium.js";
import { answersOf } from "./support/sealing.js";
import { serve } from "./support/serving.js";

const built = await import("esbuild")
  .then(({ build }) => {
    const entryPoints = [fileURLToPath(new URL("support/capacitor-page.js", import.meta.url))];
    return build({ entryPoints, bundle: true, format: "esm", write: false, target: "es2022" });
  })
  .catch(() => null);
const skip = (findChromium() && built) || process.env["CI"] ? false : "no chromium, or nothing of package-lock.json";

test("bundles are written in pieces, read back whole, and shown by a path that is not kept", { skip, timeout: 60_000 }, async () => {
  const releases = [1, 2].map((sequence) => ({ "a/empty": "", "a/large.bin": new Uint8Array(2_000_001).fill(sequence) }));
  const server = await serve({
    ...(await answersOf(releases)),
    "/page.js": (_, response) => void response.setHeader("content-type", "text/javascript").end(built?.outputFiles?.[0]?.contents),
  });
  try {
    await withPage(server.url, async (page) => {
      for (const sequence of [1, 2]) {
        const found = await page.evaluate(`import("/page.js").then((page) => page.install(${sequence}))`);
        assert.equal(found.problem, "null");
        assert.equal(found.before, null);
        assert.equal(found.folder, found.runs);
        assert.deepEqual(found.confirmed.slice(0, 1), [sequence]);
        assert(found.problems.every((/** @type {unknown} */ problem) => problem === null), String(found.problems));
        assert.deepEqual(found.folders, [found.runs]);
        assert.equal(found.told.length, 1);
        assert.match(found.told[0].path, new RegExp(`/capseal/${sequence}-[0-9a-f]{16}-[0-9a-f]{16}/content$`));
      }
    });
  } finally {
    await server.close();
  }
});
