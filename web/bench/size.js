/** How large the package is: its modules as they are shipped, and each entry bundled and minified as an app's build does. */

import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const SRC = new URL("../src/", import.meta.url);

/** What is imported only when it is needed stays outside: a page does not load it with the rest. */
const LATER = {
  name: "later",
  setup: (/** @type {import("esbuild").PluginBuild} */ { onResolve }) =>
    onResolve({ filter: /./ }, ({ kind, path }) => (kind === "dynamic-import" ? { path, external: true } : null)),
};

/** @param {Uint8Array} data */
const gzipped = (data) => gzipSync(data, { level: 9 }).length;

/**
 * Return what a page loads for an entry, in bytes.
 * @param {string} entry a module in src
 */
async function sizeOf(entry) {
  const options = { bundle: true, minify: true, format: "esm", target: "es2022", write: false, legalComments: "none" };
  const entryPoints = [fileURLToPath(new URL(entry, SRC))];
  const { outputFiles } = await build({ ...options, plugins: [LATER], entryPoints });
  const { contents } = outputFiles[0];
  return { plain: contents.length, gzipped: gzipped(contents) };
}

/** Return sizes in bytes: of the modules, each gzipped by itself, and of each entry of the package by its name. */
export async function sizes() {
  const names = readdirSync(SRC, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".js"));
  const modules = names.map((name) => readFileSync(new URL(name, SRC)));
  const { exports } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
  const sum = (/** @type {number[]} */ numbers) => numbers.reduce((all, one) => all + one, 0);
  const entries = Object.entries(exports).map(async ([name, { default: path }]) => [name, await sizeOf(path.slice(6))]);
  return {
    modules: {
      count: modules.length,
      plain: sum(modules.map(({ length }) => length)),
      gzipped: sum(modules.map(gzipped)),
    },
    entries: Object.fromEntries(await Promise.all(entries)),
    purposes: await sizeOf("purposes.js"),
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(JSON.stringify(await sizes(), null, 2));
