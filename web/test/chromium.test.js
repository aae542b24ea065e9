/** The same in a browser: every vector, the tests of sources and trust as they are, and URLs of another origin. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { vector } from "./support/bundles.js";
import { findChromium, withPage } from "./support/chromium.js";
import { headTexts, keyTexts, recipeTexts, trustTexts, vectorTexts } from "./support/places.js";
import { serve } from "./support/serving.js";

const skip = findChromium() || process.env["CI"] ? false : "no chromium here; CHROMIUM may name one";
const VECTORS = JSON.stringify({
  vectors: Object.fromEntries(vectorTexts()),
  heads: Object.fromEntries(headTexts()),
  recipes: Object.fromEntries(recipeTexts()),
  trust: Object.fromEntries(trustTexts()),
  keys: Object.fromEntries(keyTexts()),
});
const IMPORTS = JSON.stringify({
  imports: {
    "node:test": "/test/support/page-test.js",
    "node:assert/strict": "/test/support/page-test.js",
    "/test/support/places.js": "/test/support/page-places.js",
  },
});

/**
 * Return what a function of support/in-page.js returns in a page.
 * @param {string} call
 */
async function inPage(call) {
  const html = `<!doctype html><title>test</title><script type="importmap">${IMPORTS}</script>`;
  const server = await serve({
    "/vectors.json": (_, response) => response.end(VECTORS),
    "/": (_, response) => response.setHeader("content-type", "text/html").end(html),
  });
  try {
    return await withPage(server.url, (page) =>
      page.evaluate(`import("/test/support/in-page.js").then((module) => module.${call})`),
    );
  } finally {
    await server.close();
  }
}

test("every vector gets the same verdict in Chromium", { skip, timeout: 280_000 }, async () => {
  const { count, wrong } = await inPage("judgeVectors()");
  assert.deepEqual(wrong, []);
  assert.equal(count, vectorTexts().size);
});

test("heads, stores, updates and recipes get the same verdict in Chromium", { skip, timeout: 120_000 }, async () => {
  const { passed, failed } = await inPage('runFiles(["heads", "stores", "recipes"])');
  assert.deepEqual(failed, []);
  assert(passed > headTexts().size + trustTexts().size + recipeTexts().size, `${passed} tests`);
});

test("sources, strict JSON and trust behave the same in Chromium", { skip, timeout: 120_000 }, async () => {
  const { passed, failed } = await inPage('runFiles(["sources", "strictjson", "trust"])');
  assert.deepEqual(failed, []);
  assert(passed > 50, `${passed} tests`);
});

test(
  "a server of another origin is read with no header but the one that lets the page",
  { skip, timeout: 120_000 },
  async () => {
    const { data, content } = vector("valid-three-segments");
    let turn = 0;
    /** @type {(known: boolean) => import("node:http").RequestListener} */
    const answering = (known) => (request, response) => {
      response.setHeader("access-control-allow-origin", "*").setHeader("etag", '"one"');
      const [, first, last] = /bytes=([0-9]+)-([0-9]*)/.exec((known && request.headers.range) || "") ?? [];
      if (turn++ === 0) {
        response.writeHead(200, { "content-length": data.length });
        return void response.write(data.subarray(0, 700_001), () => setTimeout(() => response.destroy(), 50));
      }
      if (first === undefined) return response.end(data);
      const end = last ? Math.min(Number(last) + 1, data.length) : data.length;
      response.writeHead(206, { "content-range": `bytes ${first}-${end - 1}/${data.length}` });
      response.end(data.subarray(Number(first), end));
    };
    const server = await serve({ "/ranges": answering(true), "/whole": answering(false) });
    try {
      const urls = JSON.stringify([`${server.url}/ranges`, `${server.url}/whole`]);
      assert.deepEqual(await inPage(`readUrls(${urls}, "valid-three-segments")`), Array(4).fill(content));
      assert(turn >= 6, `${turn} requests`);
    } finally {
      await server.close();
    }
  },
);
