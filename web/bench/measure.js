/** What bench/speed.js measures, in Node and in a page: the reader, and WebCrypto alone with the same bytes. */

import { unseal, verify } from "../src/index.js";

const SEGMENT_BYTES = 512 * 1024;
const BLOCK_BYTES = 4096;
const WIDTH = 8; // segments at once, as in the reader

/**
 * Return seconds, the best of all rounds: of decrypting so many bytes, of digesting them, of verify() and unseal().
 * @param {() => import("../src/index.js").SourceInput} source
 * @param {{ trust: object, identity: string }} keys
 * @param {number} bytes
 * @param {number} rounds
 */
export async function measure(source, { trust, identity }, bytes, rounds) {
  const segments = Math.ceil(bytes / SEGMENT_BYTES);
  const ways = {
    decrypt: await decrypting(segments),
    digest: () => digesting(segments),
    verify: () => verify(source(), { trust }),
    unseal: async () => {
      let count = 0;
      for await (const piece of unseal(source(), { trust, identity })) count += piece.length;
      if (count !== bytes) throw new Error(`${count} bytes came out, not ${bytes}`);
    },
  };
  /** @type {Record<string, number>} */
  const best = {};
  for (let round = 0; round < rounds; round++) {
    for (const [name, run] of Object.entries(ways)) {
      const start = performance.now();
      await run();
      best[name] = Math.min(best[name] ?? Infinity, (performance.now() - start) / 1000);
    }
  }
  return best;
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
