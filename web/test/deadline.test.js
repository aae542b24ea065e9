/** An end for small documents: a server that sends a byte now and then keeps nobody waiting. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { openIncoming } from "../src/incoming.js";
import { TransferError } from "../src/index.js";
import { Releases } from "../src/releases.js";
import { deadline } from "../src/request.js";
import { serve } from "./support/serving.js";

const MOST_MS = 300;

/** @type {import("node:http").RequestListener} */
function trickling(_, response) {
  response.writeHead(200);
  const timer = setInterval(() => response.write(" "), MOST_MS / 20);
  response.on("close", () => clearInterval(timer));
}

/**
 * @param {string} path
 * @param {import("node:http").RequestListener} answer
 * @param {(url: string) => Promise<void>} use
 */
async function serving(path, answer, use) {
  const server = await serve({ [path]: answer });
  try {
    await use(server.url);
  } finally {
    await server.close();
  }
}

/** @param {AbortSignal} [signal] */
const told = (signal) => ({ app: "a", channel: "c", signal, documentMs: MOST_MS });
const late = (/** @type {unknown} */ error) =>
  error instanceof TransferError && error.message.endsWith("did not come in 0.3 s");

test("a head that trickles is given up", () =>
  serving("/v1/apps/a/channels/c/head", trickling, (url) => assert.rejects(new Releases(url, told()).head(), late)));

test("so is an answer that never begins", () =>
  serving(
    "/v1/apps/a/channels/c/latest",
    () => {},
    (url) => assert.rejects(new Releases(url, told()).release(null), late),
  ));

test("so is a seal, once and for all", () => {
  let asked = 0;
  return serving("/seal", () => void asked++, async (url) => {
    const options = /** @type {any} */ ({ seal: `${url}/seal`, signal: undefined, sealMs: MOST_MS });
    await assert.rejects(openIncoming(`${url}/payload`, options), late);
    assert.equal(asked, 1);
  });
});

test("who leaves before is told the reason that was given", () =>
  serving("/v1/apps/a/channels/c/head", trickling, async (url) => {
    const signal = AbortSignal.abort(new Error("left the page"));
    await assert.rejects(new Releases(url, told(signal)).head(), { message: "left the page" });
  }));

test("what was read in time is not ended afterwards", async () => {
  const { signal, end } = deadline("head", undefined, 1);
  end();
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(signal.aborted, false);
});
