/** The base of the vectors of recipes (tests/vectors/making_recipes.py), and recipes that come in pieces. */

import { concat, utf8 } from "../../src/bytes.js";

const FILES = new Map([
  ["a.bin", Uint8Array.from({ length: 512 }, (_, i) => i % 256)],
  ["b/", new Uint8Array()],
  ["b/c.txt", utf8("0123456789".repeat(40))],
]);
const CRC32 = new Map([
  ["a.bin", 0x1c613576],
  ["b/", 0],
  ["b/c.txt", 0x7aa0ecb4],
]);

export const NOTHING = { entries: [], read: async () => new Uint8Array() };

/** The files of the vectors. */
export const BASE = {
  entries: Array.from(FILES, ([name, { length }]) => ({ name, size: length, crc32: CRC32.get(name) ?? 0 })),
  read: async (/** @type {string} */ name, /** @type {number} */ offset, /** @type {number} */ length) =>
    /** @type {Uint8Array} */ (FILES.get(name)).slice(offset, offset + length),
};

/**
 * @param {Uint8Array} data
 * @param {number} size of a piece
 */
export async function* inTurn(data, size) {
  for (let at = 0; at < data.length; at += size) yield data.slice(at, at + size);
}

/** @param {AsyncIterable<Uint8Array>} pieces */
export async function joinedOf(pieces) {
  const all = [];
  for await (const piece of pieces) all.push(piece);
  return concat(all);
}
