/** A server for tests: modules of the package as they are, and answers that a test makes. */

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";

const ROOT = new URL("../../", import.meta.url);
const TYPES = { js: "text/javascript", html: "text/html", wasm: "application/wasm" };

/** @typedef {import("node:http").RequestListener} Answer */

/**
 * Serve the package's files, and what `answers` has for a path, on a port of its own.
 * @param {Record<string, Answer>} [answers]
 * @returns {Promise<{ url: string, close: () => Promise<void> }>}
 */
export async function serve(answers = {}) {
  const server = createServer(async (request, response) => {
    const path = new URL(request.url ?? "/", "http://localhost").pathname;
    if (answers[path]) return answers[path](request, response);
    if (path === "/") return response.setHeader("content-type", TYPES.html).end("<!doctype html><title>test</title>");
    if (!/^\/(?:src|test|bench)\/[a-z./-]+\.(?:js|wasm)$/.test(path) || path.includes(".."))
      return response.writeHead(404).end();
    try {
      const body = await readFile(new URL(`.${path}`, ROOT));
      response.setHeader("content-type", path.endsWith(".js") ? TYPES.js : TYPES.wasm).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(undefined)));
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  const close = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return { url: `http://127.0.0.1:${port}`, close };
}
