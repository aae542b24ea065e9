/** Where the vectors are, for Node. */

import { readFileSync, readdirSync } from "node:fs";

const VECTORS = new URL("../../../tests/vectors/", import.meta.url);

/** Return the text of every vector of a seal by its name. */
export const vectorTexts = () => textsIn("", ".txt");

/** Return the text of every vector of a head, a recall or the shares of a rollout by its name. */
export const headTexts = () => textsIn("heads/", ".txt");

/** Return the text of every vector of a recipe by its name. */
export const recipeTexts = () => textsIn("recipes/", ".txt");

/** Return the text of every vector of a trust store or an update of one by its name; release logs are not read here. */
export const trustTexts = () =>
  new Map([...textsIn("trust/", ".json")].filter(([, text]) => JSON.parse(text).kind !== "log"));

/**
 * @param {string} folder
 * @param {string} ending
 */
function textsIn(folder, ending) {
  const url = new URL(folder, VECTORS);
  const names = readdirSync(url).filter((name) => name.endsWith(ending));
  return new Map(names.map((name) => [name.slice(0, -ending.length), readFileSync(new URL(name, url), "ascii")]));
}

/** Return the text of every key's file by its name. */
export function keyTexts() {
  const folder = new URL("keys/", VECTORS);
  return new Map(readdirSync(folder).map((name) => [name, readFileSync(new URL(name, folder), "ascii")]));
}

/** Return what unpacks zstd: Node's fetch() reads no files. */
export const zstdBytes = () => readFileSync(new URL("../../src/zstd.wasm", import.meta.url));
