/** How large the reader is: its modules as they are shipped, and bundled and minified as an app's build loads them. */

import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const SRC = new URL("../src/", import.meta.url);

/** @param {Uint8Array} data */
const gzipped = (data) => gzipSync(data, { level: 9 }).length;

/** Return sizes in bytes: of the modules, each gzipped by itself, and of one bundle; both as plain and gzipped. */
export async function sizes() {
  const modules = readdirSync(SRC).map((name) => readFileSync(new URL(name, SRC)));
  const options = { bundle: true, minify: true, format: "esm", target: "es2022", write: false, legalComments: "none" };
  const entry = fileURLToPath(new URL("index.js", SRC));
  const { outputFiles } = await build({ ...options, entryPoints: [entry] });
  const bundle = outputFiles[0].contents;
  const sum = (numbers) => numbers.reduce((all, one) => all + one, 0);
  return {
    modules: {
      count: modules.length,
      plain: sum(modules.map(({ length }) => length)),
      gzipped: sum(modules.map(gzipped)),
    },
    bundle: { plain: bundle.length, gzipped: gzipped(bundle) },
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(JSON.stringify(await sizes(), null, 2));
