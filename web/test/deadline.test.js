/** An end for small documents: a server that sends a byte now and then keeps nobody waiting. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { openIncoming } from "../src/incoming.js";
import { TransferError, TruncatedError, verify } from "../src/index.js";
import { accepted } from "../src/reader.js";
import { Releases } from "../src/releases.js";
import { deadline } from "../src/request.js";
import { vector } from "./support/bundles.js";
import { serve } from "./support/serving.js";

const MOST_MS = 300;
const good = vector("valid-three-segments");

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

test("so is a detached seal that is read beside its payload", () =>
  serving(
    "/seal",
    () => {},
    async (url) => {
      const options = /** @type {any} */ ({ seal: `${url}/seal` });
      const [payload, trust, expect] = /** @type {any[]} */ ([]);
      await assert.rejects(accepted(options, payload, trust, expect, MOST_MS), late);
    },
  ));

test("of a file that never ends no more is read than its seal", () => {
  let closed = () => {};
  const left = new Promise((resolve) => (closed = () => resolve(undefined)));
  const endless = (/** @type {any} */ _, /** @type {import("node:http").ServerResponse} */ response) => {
    response.on("close", closed);
    response.write(good.data);
    response.on("drain", () => response.write(new Uint8Array(65536)));
  };
  return serving("/seal", endless, async (url) => {
    await assert.rejects(verify(new Uint8Array(), { ...good.options, seal: `${url}/seal` }), TruncatedError);
    await left;
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
