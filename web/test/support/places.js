/** Where the vectors are, for Node. */

import { readFileSync, readdirSync } from "node:fs";

const VECTORS = new URL("../../../tests/vectors/", import.meta.url);

/** Return the text of every vector by its name. */
export function vectorTexts() {
  const names = readdirSync(VECTORS).filter((name) => name.endsWith(".txt"));
  return new Map(names.map((name) => [name.slice(0, -4), readFileSync(new URL(name, VECTORS), "ascii")]));
}

/** Return the text of every key's file by its name. */
export function keyTexts() {
  const folder = new URL("keys/", VECTORS);
  return new Map(readdirSync(folder).map((name) => [name, readFileSync(new URL(name, folder), "ascii")]));
}
