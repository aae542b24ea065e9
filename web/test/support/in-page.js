/** What tests run inside a page. */

import { judgeVector, parseVector } from "./vectors.js";

/** Judge every vector; return how many, and what is wrong with which. */
export async function judgeVectors() {
  const { vectors, keys } = await (await fetch("/vectors.json")).json();
  const wrong = [];
  for (const text of Object.values(vectors))
    wrong.push(...(await judgeVector(parseVector(text), (name) => keys[name])));
  return { count: Object.keys(vectors).length, wrong };
}
