/**
 * How fast the reader is, in Node and in Chromium, and what it takes of the renderer's memory.
 *
 * `node bench/speed.js FOLDER [ROUNDS]`, after `python bench/make_bundle.py FOLDER MIB`. One line of JSON each; MiB/s.
 */

import { createReadStream, openAsBlob, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { withPage } from "../test/support/chromium.js";
import { serve } from "../test/support/serving.js";
import { measure } from "./measure.js";

const MIB = 1024 * 1024;
const [, , folder = "", rounds = "3"] = process.argv;
const path = join(folder, "bundle");
const keys = readFileSync(join(folder, "keys.json"), "utf8");
const content = Math.floor(statSync(path).size / MIB) * MIB;

/** @param {string} where @param {Record<string, number>} seconds @param {object} [more] */
function report(where, seconds, more) {
  const rates = Object.fromEntries(
    Object.entries(seconds).map(([name, time]) => [name, Math.round(content / MIB / time)]),
  );
  const ratio = seconds["unseal"] / (seconds["decrypt"] + seconds["digest"]);
  console.log(JSON.stringify({ where, mib: content / MIB, ...rates, ratio: Number(ratio.toFixed(2)), ...more }));
}

/** Return the resident bytes of the renderer with the most. */
function rendererBytes() {
  const sizes = readdirSync("/proc")
    .filter((name) => /^[0-9]+$/.test(name))
    .map((pid) => {
      try {
        if (!readFileSync(`/proc/${pid}/cmdline`, "latin1").includes("--type=renderer")) return 0;
        return Number(/VmRSS:\s+([0-9]+)/.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? 0) * 1024;
      } catch {
        return 0; // it has ended
      }
    });
  return Math.max(...sizes);
}

const blob = await openAsBlob(path);
report("node", await measure(() => blob, JSON.parse(keys), content, Number(rounds)));

const server = await serve({ "/bundle": (_, response) => void createReadStream(path).pipe(response) });
try {
  await withPage(server.url, async (page) => {
    const before = rendererBytes();
    let most = before;
    const watch = setInterval(() => (most = Math.max(most, rendererBytes())), 50);
    await page.evaluate(`import("/bench/measure.js").then(async ({ measure }) => {
      globalThis.measure = measure;
      const { unseal } = await import("/src/index.js");
      for await (const piece of unseal("/bundle", ${keys}));
    })`);
    clearInterval(watch);
    const seconds = await page.evaluate(`(async () => {
      const blob = await (await fetch("/bundle")).blob();
      return measure(() => blob, ${keys}, ${content}, ${rounds});
    })()`);
    report("chromium", seconds, { rendererGrowthMib: Math.round((most - before) / MIB) });
  });
} finally {
  await server.close();
}
