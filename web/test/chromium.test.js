/** Every vector is judged as the format demands, in a browser. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { findChromium, withPage } from "./support/chromium.js";
import { keyTexts, vectorTexts } from "./support/places.js";
import { serve } from "./support/serving.js";

const skip = findChromium() || process.env["CI"] ? false : "no chromium here; CHROMIUM may name one";

test("every vector gets the same verdict in Chromium", { skip, timeout: 280_000 }, async () => {
  const data = JSON.stringify({ vectors: Object.fromEntries(vectorTexts()), keys: Object.fromEntries(keyTexts()) });
  const server = await serve({ "/vectors.json": (_, response) => response.end(data) });
  try {
    const { count, wrong } = await withPage(server.url, (page) =>
      page.evaluate(`import("/test/support/in-page.js").then((module) => module.judgeVectors())`),
    );
    assert.deepEqual(wrong, []);
    assert.equal(count, vectorTexts().size);
  } finally {
    await server.close();
  }
});
