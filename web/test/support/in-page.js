/** What tests run inside a page. */

import { open, unseal } from "../../src/index.js";
import { vector } from "./bundles.js";
import { runTests } from "./page-test.js";
import { keyTexts, vectorTexts } from "./places.js";
import { digested, judgeVector, parseVector } from "./vectors.js";

/** Judge every vector; return how many, and what is wrong with which. */
export async function judgeVectors() {
  const [keys, wrong] = [keyTexts(), []];
  for (const text of vectorTexts().values()) {
    wrong.push(...(await judgeVector(parseVector(text), (name) => keys.get(name))));
  }
  return { count: vectorTexts().size, wrong };
}

/**
 * Run files of tests that are written for Node.
 * @param {string[]} names
 */
export async function runFiles(names) {
  for (const name of names) await import(`../${name}.test.js`);
  return runTests();
}

/**
 * Read a bundle from URLs, in order and here and there; return what came of each.
 * @param {string[]} urls
 * @param {string} name of the vector that is there
 */
export async function readUrls(urls, name) {
  const { options, identity } = vector(name);
  const opening = { ...options, identity };
  const found = [];
  for (const url of urls) {
    found.push(await digested(unseal(url, opening)));
    const file = await open(url, opening);
    await file.read(file.size - 3, 3);
    found.push(await digested([await file.read(0, file.size)]));
    await file.close();
  }
  return found;
}
