/** Good bundles for tests of everything but the format: vectors, taken as they are. */

import assert from "node:assert/strict";
import { keyTexts, vectorTexts } from "./places.js";
import { optionsOf, parseVector } from "./vectors.js";

const keys = keyTexts();
const vectors = vectorTexts();

/** @param {string} name */
export const pem = (name) => keys.get(name) ?? assert.fail(name);

/**
 * Return a vector's bytes and what its reader is told.
 * @param {string} name
 */
export function vector(name) {
  const { header, data } = parseVector(vectors.get(name) ?? assert.fail(name));
  const identity = pem(`${header["identity"]}.pem`);
  return { data, options: optionsOf(header, pem), identity, content: header["content"] };
}

/** @param {AsyncIterable<Uint8Array>} pieces */
export async function taken(pieces) {
  const all = [];
  for await (const piece of pieces) all.push(piece);
  return all;
}
