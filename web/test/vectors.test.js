/** Every vector is judged as the format demands, in Node. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { keyTexts, vectorTexts } from "./support/places.js";
import { judgeVector, parseVector } from "./support/vectors.js";

const keys = keyTexts();
const vectors = vectorTexts();

test("there are vectors", () => assert(vectors.size > 250, `${vectors.size} vectors`));

for (const [name, text] of vectors) {
  test(`vector ${name}`, async () => {
    assert.deepEqual(await judgeVector(parseVector(text), (key) => keys.get(key) ?? assert.fail(key)), []);
  });
}
