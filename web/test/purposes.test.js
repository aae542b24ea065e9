/** Trust stores with root and heads: the vectors that capseal and the independent reader judge, judged here alike. */

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { loadTrust } from "../src/index.js";
import { loadPurposes } from "../src/purposes.js";

const FOLDER = new URL("../../tests/vectors/trust/", import.meta.url);
const read = (name) => JSON.parse(readFileSync(new URL(name, FOLDER), "utf8"));
const vectors = readdirSync(FOLDER).map(read);
const stores = vectors.filter(({ kind }) => kind === "store");

test("there are vectors of stores", () => assert.ok(stores.length > 20));

for (const { name, expect, store } of stores) {
  test(`${name} is ${expect === "ok" ? "taken" : "refused"}`, async () => {
    if (expect !== "ok") return assert.rejects(loadPurposes(store), { name: "KeyFileError" });
    const purposes = await loadPurposes(store);
    const value = JSON.parse(store);
    assert.equal(purposes.root?.keys.length, value.root?.keys.length);
    assert.equal(purposes.heads?.maxAge, value.heads?.max_age_s);
    assert.equal(purposes.epoch, value.epoch ?? 1);
    assert.deepEqual(purposes.restart, value.restart);
    assert.equal((await loadTrust(store)).keys.size, value.keys.length);
  });
}
