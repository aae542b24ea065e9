/**
 * How fast reader and store are, in Node and in Chromium, and what they take of the renderer's memory.
 *
 * `node bench/speed.js FOLDER [ROUNDS]`, after `python bench/make_bundle.py FOLDER MIB`. One line of JSON each: seconds
 * as [least, median, most], and growth in MiB of a new page's process, most resident bytes less those before, by round.
 */

import { createReadStream, openAsBlob, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { withPage } from "../test/support/chromium.js";
import { serve } from "../test/support/serving.js";
import { measure } from "./measure.js";

const MIB = 1024 * 1024;
const [, , folder = "", rounds = "5"] = process.argv;
const text = readFileSync(join(folder, "bench.json"), "utf8");
const told = JSON.parse(text);

/** @param {number[]} values */
function spread(values) {
  const sorted = [...values].sort((one, other) => one - other);
  const at = (/** @type {number} */ share) => sorted[Math.round(share * (sorted.length - 1))] ?? NaN;
  return [at(0), at(0.5), at(1)].map((value) => Number(value.toFixed(2)));
}

/** @param {string} where @param {Record<string, number[]>} seconds */
function report(where, seconds) {
  const per = (/** @type {string} */ whole, /** @type {string[]} */ parts) =>
    (seconds[whole] ?? []).map((time, round) => time / parts.reduce((sum, part) => sum + (seconds[part]?.[round] ?? 0), 0));
  const ratios = { unseal: per("unseal", ["decrypt", "digest"]), install: per("install", ["decrypt", "digest", "write"]) };
  const shown = (/** @type {Record<string, number[]>} */ all) =>
    Object.fromEntries(Object.entries(all).filter(([, values]) => values.length > 0).map(([name, values]) => [name, spread(values)]));
  console.log(JSON.stringify({ where, mib: Math.round(told.content / MIB), seconds: shown(seconds), ratio: shown(ratios) }));
}

/** @param {number} pid @param {string} name of a line of its status */
function residentBytes(pid, name) {
  return Number(new RegExp(`${name}:\\s+([0-9]+)`).exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1]) * 1024;
}

/**
 * Return by how much a new page's process grows while it does something.
 * @param {string} url
 * @param {string} work
 */
async function growth(url, work) {
  return withPage(url, async (page) => {
    await page.evaluate('import("/bench/measure.js").then((measure) => void Object.assign(globalThis, measure))');
    const before = new Map();
    for (const pid of await page.rendererPids()) {
      before.set(pid, residentBytes(pid, "VmRSS"));
      writeFileSync(`/proc/${pid}/clear_refs`, "5"); // the most so far is what there is
    }
    await page.evaluate(work);
    const grown = [...before].map(([pid, bytes]) => residentBytes(pid, "VmHWM") - bytes);
    return Math.max(...grown) / MIB;
  });
}

const [seal, payload] = [await openAsBlob(join(folder, "seal")), await openAsBlob(join(folder, "payload"))];
report("node", await measure({ seal, payload }, told, Number(rounds), false));

/** @type {Record<string, import("../test/support/serving.js").Answer>} */
const answers = {};
for (const name of ["seal", "payload"]) {
  answers[`/${name}`] = (_, response) => void createReadStream(join(folder, name)).pipe(response);
}
const server = await serve(answers);
const bundle = '{ seal: new URL("/seal", location.href), payload: new URL("/payload", location.href) }';
const works = {
  fetch: `(async () => { for await (const _ of (await fetch("/payload")).body); })()`,
  unseal: `(async () => {
    const { free, unseal } = await import("/src/index.js");
    const { trust, identity } = ${text};
    for await (const piece of unseal("/payload", { seal: "/seal", trust, identity })) free(piece);
  })()`,
  install: `installed(${bundle}, ${text})`,
};
try {
  await withPage(server.url, async (page) => {
    const seconds = await page.evaluate(`import("/bench/measure.js").then(async ({ measure }) => {
      const [seal, payload] = await Promise.all(["/seal", "/payload"].map(async (url) => (await fetch(url)).blob()));
      return measure({ seal, payload }, ${text}, ${rounds}, true);
    })`);
    report("chromium", seconds);
  });
  for (const [name, work] of Object.entries(works)) {
    const grown = [];
    for (let round = 0; round < Number(rounds); round++) grown.push(await growth(server.url, work));
    console.log(JSON.stringify({ where: "renderer", while: name, growthMib: spread(grown) }));
  }
} finally {
  await server.close();
}
