/** Trust stores with root and heads, and updates of them: the vectors that capseal judges, judged here alike. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { utf8 } from "../src/bytes.js";
import { NO_HEADS } from "../src/headmemory.js";
import { loadTrust } from "../src/index.js";
import { freshState } from "../src/state.js";
import { parse } from "../src/strictjson.js";
import { parseStore } from "../src/trust.js";
import { followUpdates } from "../src/following.js";
import { Kept } from "../src/kept.js";
import { Replay, byTrust } from "../src/trustmemory.js";
import { acceptUpdate, textOf } from "../src/updates.js";
import { pem } from "./support/bundles.js";
import { Disk, MemoryStorage } from "./support/memory-storage.js";
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

test("an update is taken under the text of a store as under the loaded one, and what is no store is told as such", async () => {
  const { present, update } = ofKind("update").find(({ expect }) => expect === "ok");
  assert.equal(textOf(await acceptUpdate(present, update)), textOf(await acceptUpdate(await loadTrust(present), update)));
  await assert.rejects(acceptUpdate("{}", update), { name: "KeyFileError" });
});

test("updates that fit the built-in store are kept, and heads where their keys and the epoch are the same", async () => {
  const heads = { ...NO_HEADS, problem: "expired", since: "2026-11-22T12:00:00Z" };
  let rotations = 0;
  for (const { present, update, expect } of ofKind("update")) {
    const builtin = await loadTrust(present);
    if (expect !== "ok" || !builtin.purposes.heads) continue;
    const kept = utf8(update);
    const state = { ...freshState("app", "production"), heads, trust: { updates: [kept, kept], restarted: null } };
    const { state: after, trust } = await byTrust(state, new Replay(builtin));
    assert.deepEqual(after.trust?.updates, [kept]); // the second one is none of the store that the first brings
    assert.equal(trust.version, builtin.version + 1);
    assert.equal(after.heads, heads);
    const value = JSON.parse(textOf(trust));
    if (value.root.keys.length === 1) continue; // no other root can be made of it
    rotations += 1;
    const root = { ...value.root, keys: value.root.keys.slice(0, 1), threshold: 1 };
    const rotated = { ...value, version: value.version + 1, root };
    for (const epoch of [trust.purposes.epoch, trust.purposes.epoch + 1]) {
      const told = { ...rotated, epoch };
      const rebuilt = await byTrust(state, new Replay(await loadTrust(JSON.stringify(told))));
      assert.deepEqual(rebuilt.state.trust?.updates, []);
      assert.equal(rebuilt.state.heads, epoch === trust.purposes.epoch ? heads : null);
    }
  }
  assert(rotations > 0);
});

test("updates that were replayed once are not checked again, and other ones are", async () => {
  const { present, update } = ofKind("update").find(({ expect }) => expect === "ok");
  const replay = new Replay(await loadTrust(present));
  const kept = utf8(update);
  const { store, fitting } = await replay.of([kept]);
  assert.equal(fitting, 1);
  assert.equal((await replay.of([kept.slice()])).store, store);
  const altered = kept.map((byte, at) => (at === kept.length >> 1 ? byte ^ 1 : byte));
  assert.deepEqual([(await replay.of([altered])).fitting, (await replay.of([])).fitting], [0, 0]);
});

test("an update that is refused makes it uncertain what is current, and is not kept", async () => {
  const refused = ofKind("update").filter(({ present, expect }) => expect === "SignatureError" && JSON.parse(present).heads);
  assert(refused.length > 0);
  for (const { present, update } of refused) {
    const told = { app: "app", channel: "production", role: "production" };
    const rules = { head: "required", builtinSequence: 0, check: "", wallClock: () => new Date("2026-11-28T09:00:00Z") };
    const kept = new Kept(new MemoryStorage(new Disk()), {}, { trust: present, identity: pem("recipient.pem") }, told, rules);
    const before = (await kept.keys()).trust.version;
    await assert.rejects(followUpdates(kept, { update: async () => utf8(update) }), { name: "SignatureError" });
    const { heads, trust } = await kept.load();
    assert(heads?.since.endsWith("Z"));
    assert.deepEqual(trust?.updates ?? [], []);
    assert.equal((await kept.keys()).trust.version, before);
  }
});

test("a kept update that brings a key which cannot be used is dropped, as in Python, and the built-in store counts", async () => {
  const { present, update } = ofKind("update").find(({ expect }) => expect === "ok");
  const envelope = JSON.parse(update);
  const content = JSON.parse(atob(envelope.payload));
  content.store.keys[0].public_key = "no PEM";
  const kept = utf8(JSON.stringify({ ...envelope, payload: btoa(JSON.stringify(content)) }));
  const state = { ...freshState("app", "production"), trust: { updates: [kept], restarted: null } };
  const builtin = await loadTrust(present);
  const { state: after, trust } = await byTrust(state, new Replay(builtin));
  assert.deepEqual(after.trust?.updates, []);
  assert.equal(trust, builtin);
});
