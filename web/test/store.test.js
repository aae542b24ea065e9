/** The device store: what it takes in, what it runs, and that a kill or a full disk anywhere leaves the old or the new. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { FormatError, NotForUsError, RejectedError, RollbackError, SignatureError, TamperedError, UsageError } from "../src/errors.js";
import { confirmRunning } from "../src/confirm.js";
import { DeviceStore } from "../src/store.js";
import { Disk, Killed, MemoryStorage } from "./support/memory-storage.js";
import { APP, IDENTITY, TRUST, seal, zipOf } from "./support/sealing.js";

const BUILTIN = "builtin/";
const big = crypto.getRandomValues(new Uint8Array(40_000));
const releases = new Map();

/** @param {number} sequence */
async function release(sequence) {
  if (!releases.has(sequence)) {
    const files = { "index.html": `version ${sequence}`, "assets/app.js": `run(${sequence})`, "assets/big.bin": big };
    releases.set(sequence, await seal(zipOf(files), { sequence }));
  }
  return releases.get(sequence);
}

/**
 * @param {Disk} disk
 * @param {object} [options]
 * @param {MemoryStorage} [storage]
 */
function storeOn(disk, options = {}, storage = new MemoryStorage(disk)) {
  const shell = { address: async (/** @type {string} */ folder) => `run/${folder}/`, show: async () => {}, alive: async () => false };
  return new DeviceStore({ storage, shell, trust: TRUST, identity: IDENTITY, app: APP, builtin: BUILTIN, ...options });
}

/**
 * @param {DeviceStore} store
 * @param {number} sequence
 */
async function update(store, sequence) {
  const { seal: sealed, payload } = await release(sequence);
  await store.install(payload, { seal: sealed });
  await store.activate();
}

/** @param {DeviceStore} store @param {number} sequence */
async function run(store, sequence) {
  await update(store, sequence);
  const running = await store.boot();
  assert.equal(running.bundle?.sequence, sequence, String(running.problem));
  await store.confirm();
}

/** @param {Disk} disk @param {{ folder: string } | null} bundle */
function textOf(disk, bundle) {
  return bundle && new TextDecoder().decode(disk.folders.get(bundle.folder)?.get("content/index.html"));
}

test("a device without updates runs its built-in bundle", async () => {
  const running = await storeOn(new Disk()).boot();
  assert.deepEqual(running, { address: BUILTIN, bundle: null, problem: null });
});

test("an update is staged, pending, confirmed, and its files are those that were sealed", async () => {
  const disk = new Disk();
  const store = storeOn(disk);
  const { seal: sealed, payload } = await release(1);
  let told = 0;
  await store.install(payload, { seal: sealed, progress: (bytes) => (told += bytes) });
  assert.equal((await store.status()).staged?.sequence, 1);
  assert(told > big.length);
  assert.equal((await store.boot()).bundle, null);
  await store.activate();
  const running = await storeOn(disk).boot();
  assert.equal(textOf(disk, running.bundle), "version 1");
  assert.equal(running.address, `run/${running.bundle?.folder}/`);
  await store.confirm();
  const { floor, confirmed, pending } = await store.status();
  assert.deepEqual([floor, confirmed.length, pending], [1, 1, null]);
  assert.deepEqual((await store.verify()).map(({ problem }) => problem), [null]);
});

test("a bundle that does not confirm itself has failed at the next start, for good", async () => {
  const disk = new Disk();
  const store = storeOn(disk);
  await run(store, 1);
  await update(store, 2);
  assert.equal((await store.boot()).bundle?.sequence, 2);
  const next = await storeOn(disk).boot();
  assert.equal(next.bundle?.sequence, 1);
  assert.match(String(next.problem), /not confirmed in 1 of 1/);
  await assert.rejects(update(store, 2), /failed on this device before: not confirmed/);
});

test("a confirmation that comes too late fails the bundle, one by a clock that was set back does not", async () => {
  for (const [now, late] of [[10_001, true], [10_000, false], [-5_000, false]]) {
    const disk = new Disk();
    let clock = 1_000_000;
    const store = storeOn(disk, { clock: () => clock });
    await update(store, 1);
    await store.boot();
    clock += Number(now);
    if (late) await assert.rejects(store.confirm(), RejectedError);
    else await store.confirm();
    assert.equal((await store.status()).confirmed.length, late ? 0 : 1);
  }
});

test("a page confirms only the bundle that it runs from, and needs no keys for that", async () => {
  const disk = new Disk();
  const store = storeOn(disk);
  await run(store, 1);
  const old = (await store.status()).current;
  await update(store, 2);
  const { bundle } = await store.boot();
  const storage = new MemoryStorage(disk);
  assert.equal((await confirmRunning({ storage, app: APP, folder: old?.folder ?? "" }))?.sequence, 2);
  assert.equal((await store.status()).pending?.sequence, 2);
  await confirmRunning({ storage, app: APP, folder: bundle?.folder ?? "" });
  assert.equal((await store.status()).floor, 2);
});

test("another page that starts during a trial neither ends nor repeats it", async () => {
  const disk = new Disk();
  await run(storeOn(disk), 1);
  const store = storeOn(disk);
  await update(store, 2);
  await store.boot();
  const shell = { address: async (/** @type {string} */ folder) => folder, show: async () => {}, alive: async () => true };
  const other = await storeOn(disk, { shell }).boot();
  assert.equal(other.bundle?.sequence, 1);
  await store.confirm();
  assert.equal((await storeOn(disk).boot()).bundle?.sequence, 2);
});

test("a replayed, altered, foreign or strange bundle is refused, and nothing is remembered", async () => {
  const disk = new Disk();
  const store = storeOn(disk);
  await run(store, 5);
  const before = disk.record;
  const good = await release(6);
  const altered = good.payload.slice();
  altered[altered.length - 20] ^= 1;
  const zip = zipOf({ "index.html": "x" });
  const cases = /** @type {const} */ ([
    [await release(4), RollbackError],
    [await release(5), RollbackError],
    [{ ...good, payload: altered }, TamperedError],
    [await seal(zip, { sequence: 9, app: "com.example.other" }), NotForUsError],
    [await seal(zip, { sequence: 9, signer: "other" }), SignatureError],
  ]);
  for (const [{ seal: sealed, payload }, error] of cases) {
    await assert.rejects(store.install(payload, { seal: sealed }), error);
    assert.deepEqual(disk.record, before);
    assert.equal(disk.folders.size, 1, "what was unpacked is gone");
  }
});

test("an archive that must not be unpacked is remembered, and not tried again", async () => {
  const disk = new Disk();
  const bad = await seal(zipOf({ "index.html": "x", "../up.js": "y" }), { sequence: 1 });
  await assert.rejects(storeOn(disk).install(bad.payload, { seal: bad.seal }), FormatError);
  const [failure] = (await storeOn(disk).status()).failed;
  assert.match(failure?.by ?? "", /^web archive check/);
  await assert.rejects(storeOn(disk).install(bad.payload, { seal: bad.seal }), /failed on this device before/);
  const other = storeOn(disk, { limits: { contentBytes: 1e9, entries: 10, ratio: 100 } });
  await assert.rejects(other.install(bad.payload, { seal: bad.seal }), FormatError, "another check tries once more");
});

test("a permit leads below the floor, once, and not to what it withdrew", async () => {
  const disk = new Disk();
  const store = storeOn(disk);
  for (const sequence of [3, 8]) await run(store, sequence);
  const permitted = await seal(zipOf({ "index.html": "back" }), { sequence: 4, permit: 3, created: "2026-03-01T00:00:00Z" });
  await store.install(permitted.payload, { seal: permitted.seal });
  await store.activate();
  await store.boot();
  await store.confirm();
  assert.deepEqual((await store.status()).confirmed.map(({ sequence }) => sequence), [4, 3]);
  await assert.rejects(update(store, 8), RollbackError);
  await run(store, 9);
  await assert.rejects(store.install(permitted.payload, { seal: permitted.seal }), RollbackError);
});

test("a newer built-in bundle takes the place of what is older, and no permit goes below it", async () => {
  const disk = new Disk();
  await run(storeOn(disk), 3);
  const store = storeOn(disk, { builtinSequence: 3 });
  assert.equal((await store.boot()).bundle, null);
  const permitted = await seal(zipOf({ "index.html": "back" }), { sequence: 3, permit: 0, created: "2026-03-01T00:00:00Z" });
  await assert.rejects(store.install(permitted.payload, { seal: permitted.seal }), RollbackError);
});

test("a trial's first start checks every byte, and a damaged copy fails without its bundle", async () => {
  const disk = new Disk();
  const store = storeOn(disk);
  await update(store, 1);
  const folder = /** @type {string} */ ((await store.status()).pending?.folder);
  const data = /** @type {Uint8Array} */ (disk.folders.get(folder)?.get("content/assets/big.bin"));
  data[7] = /** @type {number} */ (data[7]) ^ 1;
  const running = await store.boot();
  assert.equal(running.bundle, null);
  assert(running.problem instanceof TamperedError);
  await run(store, 1);
});

test("boot with verify passes over what was added, removed or altered, and what is not trusted any more", async () => {
  /** @type {((files: Map<string, Uint8Array<ArrayBuffer>>) => void)[]} */
  const damages = [
    (files) => files.set("content/new.js", new Uint8Array(1)),
    (files) => files.delete("content/index.html"),
    (files) => files.set("content/index.html", new Uint8Array(9)),
    (files) => files.delete("seal"),
    (files) => files.delete("manifest.json"),
  ];
  for (const damage of damages) {
    const disk = new Disk();
    await run(storeOn(disk), 1);
    await run(storeOn(disk), 2);
    const folder = /** @type {string} */ ((await storeOn(disk).status()).current?.folder);
    damage(/** @type {Map<string, Uint8Array<ArrayBuffer>>} */ (disk.folders.get(folder)));
    const running = await storeOn(disk).boot({ verify: true });
    assert.equal(running.bundle?.sequence, 1);
    assert(running.problem instanceof TamperedError);
  }
  const disk = new Disk();
  await run(storeOn(disk), 1);
  const running = await storeOn(disk, { trust: (await import("./support/bundles.js")).pem("signer2.pub.pem") }).boot({ verify: true });
  assert.equal(running.bundle, null);
  assert(running.problem instanceof SignatureError);
});

test("what the trust store in force does not accept is not activated, run, confirmed or rolled back to", async () => {
  const trust = (await import("./support/bundles.js")).pem("signer2.pub.pem");
  const disk = new Disk();
  for (const sequence of [1, 2]) await run(storeOn(disk), sequence);
  const { seal: sealed, payload } = await release(3);
  await storeOn(disk).install(payload, { seal: sealed });
  await assert.rejects(storeOn(disk, { trust }).activate(), SignatureError);
  await storeOn(disk).activate();
  await storeOn(disk).boot();
  await assert.rejects(storeOn(disk, { trust }).confirm(), /no trusted key matches; it has failed/);
  assert.equal((await storeOn(disk, { trust }).rollback()).bundle, null);
  const { confirmed, failed, floor } = await storeOn(disk).status();
  assert.deepEqual([confirmed, failed.map(({ by }) => by), floor], [[], ["copy", "trial", "copy"], 2]);
});

test("a manifest that was replaced along with the content is noticed", async () => {
  const disk = new Disk();
  for (const sequence of [1, 2]) await run(storeOn(disk), sequence);
  const [two, one] = (await storeOn(disk).status()).confirmed.map(({ folder }) => disk.folders.get(folder));
  for (const path of ["content/index.html", "content/assets/app.js", "manifest.json"]) {
    two?.set(path, /** @type {Uint8Array<ArrayBuffer>} */ (one?.get(path)));
  }
  assert.equal((await storeOn(disk).boot()).bundle?.sequence, 1);
});

test("a copy whose seal is another bundle's is noticed", async () => {
  const disk = new Disk();
  for (const sequence of [1, 2]) await run(storeOn(disk), sequence);
  const [two, one] = (await storeOn(disk).status()).confirmed.map(({ folder }) => disk.folders.get(folder));
  two?.set("seal", /** @type {Uint8Array<ArrayBuffer>} */ (one?.get("seal")));
  const running = await storeOn(disk).boot({ verify: true });
  assert.equal(running.bundle?.sequence, 1);
  assert.match(String(running.problem), /seal is of payload/);
});

test("a record that cannot be read is never written over: the built-in bundle runs", async () => {
  const disk = new Disk();
  await run(storeOn(disk), 1);
  disk.record = new TextEncoder().encode('{"type":"capseal-device-v1"}');
  const before = disk.record;
  const running = await storeOn(disk).boot();
  assert.equal(running.bundle, null);
  assert(running.problem instanceof FormatError);
  await assert.rejects(update(storeOn(disk), 2), FormatError);
  assert.deepEqual(disk.record, before);
  assert.throws(() => storeOn(new Disk(), { boots: 0 }), UsageError);
});

/**
 * @param {(store: DeviceStore) => Promise<unknown>} work
 * @param {Disk} start
 * @param {(step: number, call: string) => void} [before]
 */
async function attempt(work, start, before) {
  const disk = new Disk();
  disk.record = start.record?.slice() ?? null;
  disk.folders = new Map(Array.from(start.folders, ([name, files]) => [name, new Map(files)]));
  const storage = new MemoryStorage(disk, before);
  const error = await work(storeOn(disk, {}, storage)).then(
    () => null,
    (/** @type {unknown} */ failure) => failure,
  );
  return { disk, error, steps: storage.steps };
}

const whole = async (/** @type {DeviceStore} */ store) => {
  await update(store, 2);
  const { problem } = await store.boot();
  if (problem) throw problem;
  await store.confirm();
};

test("killed at any storage call, the old or the new bundle runs, whole, and the update can be repeated", async () => {
  const start = new Disk();
  await run(storeOn(start), 1);
  const { steps } = await attempt(whole, start);
  assert(steps > 30, `${steps} steps`);
  const seen = new Set();
  for (let at = 1; at <= steps; at++) {
    const { disk } = await attempt(whole, start, (step) => {
      if (step >= at) throw new Killed();
    });
    const { bundle } = await storeOn(disk).boot({ verify: true });
    assert.equal(textOf(disk, bundle), `version ${bundle?.sequence}`, `step ${at}`);
    seen.add(bundle?.sequence);
    await storeOn(disk).confirm();
    const { failed, floor } = await storeOn(disk).status();
    assert(failed.every(({ by, digest }) => by === "trial" && digest === releases.get(2).digest), `step ${at}`);
    if (failed.length === 0 && floor < 2) await run(storeOn(disk), 2);
    await storeOn(disk).prune({ older: 0 });
    assert.equal(disk.folders.size, 1, `step ${at}: nothing is left behind`);
  }
  assert.deepEqual([...seen].sort(), [1, 2]);
});

test("where any storage call fails once, as on a full disk, nothing is condemned and the old or the new runs", async () => {
  const start = new Disk();
  await run(storeOn(start), 1);
  const { steps } = await attempt(whole, start);
  for (let at = 1; at <= steps; at++) {
    const full = new DOMException("no room", "QuotaExceededError");
    const { disk, error } = await attempt(whole, start, (step) => {
      if (step === at) throw full;
    });
    const again = storeOn(disk);
    assert(error === null || error === full || error instanceof UsageError, String(error));
    const { bundle } = await again.boot({ verify: true });
    assert.equal(textOf(disk, bundle), `version ${bundle?.sequence}`, `step ${at}`);
    assert((await again.status()).failed.every(({ by }) => by === "trial"), `step ${at}`);
  }
});
