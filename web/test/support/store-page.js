/** What tests of the device store run inside a page: a store on the browser's own storage, and pages that end half-way. */

import { DeviceStore } from "../../src/store.js";
import { BrowserStorage } from "../../src/shells/browser/storage.js";

const CALLS = ["load", "save", "folders", "write", "read", "paths", "remove"];

/**
 * Return a storage that says when a call is reached, and never goes on from there.
 * @param {string} name
 * @param {number} last
 */
function storageUntil(name, last) {
  const storage = new BrowserStorage({ name });
  let steps = 0;
  const step = () => {
    globalThis.steps = ++steps;
    if (steps < last) return null;
    globalThis.reached = true;
    return new Promise(() => {});
  };
  for (const call of CALLS) {
    const real = storage[call].bind(storage);
    storage[call] = async (...told) => {
      await step();
      if (call === "write") told[2] = stepping(told[2], step);
      const result = await real(...told);
      await step(); // it happened, and nobody learns of it
      return result;
    };
  }
  return storage;
}

async function* stepping(pieces, step) {
  for await (const piece of pieces) {
    yield piece;
    await step();
  }
}

/** @param {string} name @param {number} [last] */
async function storeOf(name, last = Infinity) {
  const { trust, identity, app } = await (await fetch("/told.json")).json();
  const shell = { address: async (folder) => folder, show: async () => {}, alive: async () => false };
  return new DeviceStore({ storage: storageUntil(name, last), shell, trust, identity, app, builtin: "builtin" });
}

/**
 * Install a release, start it and confirm it.
 * @param {string} name of the storage
 * @param {number} sequence
 * @param {number} [last] step at which everything stops
 */
export async function update(name, sequence, last) {
  const store = await storeOf(name, last);
  await store.install(new URL(`/${sequence}.payload`, location.href), { seal: new URL(`/${sequence}.seal`, location.href) });
  await store.activate();
  const { problem } = await store.boot();
  if (problem) throw problem;
  await store.confirm();
  return globalThis.steps;
}

/** @param {string} name @param {number} sequence */
export async function refused(name, sequence) {
  return update(name, sequence).then(
    () => "installed",
    (error) => error.name,
  );
}

/** Start as a new page does, and tell what runs, and what its page says. */
export async function started(name) {
  const store = await storeOf(name);
  const { bundle, problem } = await store.boot({ verify: true });
  const file = bundle && (await new BrowserStorage({ name }).read(bundle.folder, "content/index.html"));
  const { failed } = await store.status();
  return { sequence: bundle?.sequence ?? 0, text: file && (await file.text()), by: failed.map(({ by }) => by), problem: String(problem) };
}
