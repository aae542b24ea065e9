/** Trust stores with root and heads, and updates of them: the vectors that capseal judges, judged here alike. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8 } from "../src/bytes.js";
import { loadTrust } from "../src/index.js";
import { parse } from "../src/strictjson.js";
import { parseStore } from "../src/trust.js";
import { acceptUpdate, textOf } from "../src/updates.js";
import { trustTexts } from "./support/places.js";

const vectors = [...trustTexts().values()].map((text) => JSON.parse(text));
const ofKind = (/** @type {string} */ wanted) => vectors.filter(({ kind }) => kind === wanted);

test("there are vectors of stores and updates", () => {
  assert(ofKind("store").length > 20, `${ofKind("store").length} stores`);
  assert(ofKind("update").length > 15, `${ofKind("update").length} updates`);
});

for (const { name, expect, store } of ofKind("store")) {
  test(`store vector ${name} is ${expect === "ok" ? "taken" : "refused"}`, async () => {
    if (expect !== "ok") {
      await assert.rejects(async () => parseStore(parse(utf8(store), "trust store")), { name: expect });
      return assert.rejects(loadTrust(store), { name: "KeyFileError" });
    }
    const trust = await loadTrust(store);
    const { purposes } = trust;
    const value = JSON.parse(store);
    assert.equal(purposes.root?.keys.length, value.root?.keys.length);
    assert.equal(purposes.heads?.maxAge, value.heads?.max_age_s);
    assert.equal(purposes.epoch, value.epoch ?? 1);
    assert.equal(JSON.stringify(purposes.restart), JSON.stringify(value.restart));
    assert.equal(trust.keys.size, value.keys.length);
    assert.equal(textOf(trust), textOf(await loadTrust(textOf(trust))));
  });
}

for (const { name, expect, present, update } of ofKind("update")) {
  test(`update vector ${name} is ${expect === "ok" ? "taken" : "refused"}`, async () => {
    const trust = await loadTrust(present);
    if (expect !== "ok") return assert.rejects(acceptUpdate(trust, update), { name: expect });
    const next = await acceptUpdate(trust, update);
    assert.equal(next.version, trust.version + 1);
    assert.equal((await loadTrust(textOf(next))).purposes.digest, next.purposes.digest);
  });
}
