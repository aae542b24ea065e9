/** What bench/speed.js measures, in Node and in a page: reader and store, and the parts of their work alone. */

import { unseal, verify } from "../src/index.js";

const SEGMENT_BYTES = 512 * 1024;
const BLOCK_BYTES = 4096;
const WIDTH = 8; // segments at once, as in the reader

/** @typedef {{ trust: object, identity: string, app: string, content: number, file: number }} Told content, file: bytes */
/** @typedef {{ seal: import("../src/index.js").SourceInput, payload: import("../src/index.js").SourceInput }} Bundle */

/**
 * Return seconds of each round: of the parts of the work alone, one after the other, and of all of it, in turns.
 * @param {Bundle} bundle
 * @param {Told} told
 * @param {number} rounds
 * @param {boolean} stores whether there is a browser's storage
 */
export async function measure({ seal, payload }, told, rounds, stores) {
  const { trust, identity, content, file } = told;
  const segments = Math.ceil(content / SEGMENT_BYTES);
  /** @type {Record<string, () => Promise<unknown>>} */
  const ways = {
    decrypt: await decrypting(segments),
    digest: () => digesting(segments),
    ...(stores && { write: () => writing(content, file) }),
    verify: () => verify(payload, { trust, seal }),
    unseal: async () => {
      let count = 0;
      for await (const piece of unseal(payload, { trust, seal, identity })) count += piece.length;
      if (count !== content) throw new Error(`${count} bytes came out, not ${content}`);
    },
    ...(stores && { install: () => installed({ seal, payload }, told) }),
  };
  /** @type {Record<string, number[]>} */
  const seconds = Object.fromEntries(Object.keys(ways).map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, run] of Object.entries(ways)) {
      const start = performance.now();
      await run();
      seconds[name]?.push((performance.now() - start) / 1000);
      if (stores) await emptied();
    }
  }
  return seconds;
}

/**
 * Unseal and install into an empty storage.
 * @param {Bundle} bundle
 * @param {Told} told
 */
export async function installed({ seal, payload }, { trust, identity, app }) {
  const [{ DeviceStore }, { BrowserStorage }] = await Promise.all([
    import("../src/store.js"),
    import("../src/shells/browser/storage.js"),
  ]);
  const storage = new BrowserStorage({ name: `bench-${crypto.randomUUID()}` });
  const shell = { address: async (/** @type {string} */ folder) => folder, show: async () => {}, alive: async () => false };
  const store = new DeviceStore({ storage, shell, trust, identity, app, builtin: "builtin" });
  await store.install(payload, { seal });
}

/** Remove what was written. */
async function emptied() {
  const root = await navigator.storage.getDirectory();
  for await (const [name] of root) await root.removeEntry(name, { recursive: true });
}

/** @param {number} segments */
async function decrypting(segments) {
  const key = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
  const algorithm = { name: "AES-GCM", iv: new Uint8Array(12) };
  const stored = await crypto.subtle.encrypt(algorithm, key, new Uint8Array(SEGMENT_BYTES - 16));
  return () => widely(segments, () => crypto.subtle.decrypt(algorithm, key, stored));
}

/** @param {number} segments */
function digesting(segments) {
  const data = new Uint8Array(SEGMENT_BYTES);
  return widely(segments, () => {
    const digests = [];
    for (let at = 0; at < SEGMENT_BYTES; at += BLOCK_BYTES) {
      digests.push(crypto.subtle.digest("SHA-256", data.subarray(at, at + BLOCK_BYTES)));
    }
    return Promise.all(digests);
  });
}

/**
 * Write files of that size, as the platform writes them, in pieces of one segment.
 * @param {number} content
 * @param {number} file
 */
async function writing(content, file) {
  const root = await navigator.storage.getDirectory();
  const data = crypto.getRandomValues(new Uint8Array(65536));
  const piece = new Uint8Array(SEGMENT_BYTES);
  for (let at = 0; at < piece.length; at += data.length) piece.set(data, at);
  for (let at = 0, number = 0; at < content; at += file, number++) {
    const writable = await (await root.getFileHandle(`${number}.bin`, { create: true })).createWritable();
    for (let left = Math.min(file, content - at); left > 0; left -= piece.length) {
      await writable.write(piece.subarray(0, left));
    }
    await writable.close();
  }
}

/**
 * Do something so many times, always some of them at once.
 * @param {number} times
 * @param {() => Promise<unknown>} work
 */
async function widely(times, work) {
  const pending = [];
  for (let i = 0; i < times; i++) {
    pending.push(work());
    if (pending.length === WIDTH) await pending.shift();
  }
  await Promise.all(pending);
}
