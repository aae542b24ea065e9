/** URLs as sources: resume, ranges, servers that have none, and what is no bundle's fault. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { SourceChangedError, TransferError, TruncatedError, open, unseal, verify } from "../src/index.js";
import { vector } from "./support/bundles.js";
import { serve } from "./support/serving.js";
import { digested } from "./support/vectors.js";

const { data, options, identity, content } = vector("valid-three-segments");
const opening = { ...options, identity };

/**
 * Serve the bundle at /bundle by what `answer` says of each request, and note the ranges that were asked for.
 * @param {(response: import("node:http").ServerResponse, range: [number, number] | null, turn: number) => void} answer
 * @param {(url: string, asked: (string | undefined)[]) => Promise<void>} use
 */
async function serving(answer, use) {
  const asked = [];
  const server = await serve({
    "/bundle": (request, response) => {
      const [, first, last] = /bytes=([0-9]+)-([0-9]*)/.exec(request.headers.range ?? "") ?? [];
      const range =
        first === undefined ? null : [Number(first), last ? Math.min(Number(last), data.length - 1) : data.length - 1];
      answer(response, /** @type {[number, number] | null} */ (range), asked.push(request.headers.range) - 1);
    },
  });
  try {
    await use(`${server.url}/bundle`, asked);
  } finally {
    await server.close();
  }
}

/** @type {Parameters<typeof serving>[0]} */
function byRanges(response, range) {
  if (!range) return response.end(data);
  if (range[0] >= data.length) return response.writeHead(416).end();
  response.writeHead(206, { "content-range": `bytes ${range[0]}-${range[1]}/${data.length}`, etag: '"one"' });
  response.end(data.subarray(range[0], range[1] + 1));
}

/**
 * Send what comes from `start` on, and break off after so many bytes.
 * @param {import("node:http").ServerResponse} response
 * @param {number} start
 * @param {number} count
 */
function breakOff(response, start, count) {
  response.write(data.subarray(start, start + count), () => setTimeout(() => response.destroy(), 20));
}

test("a URL is read in one request", () =>
  serving(byRanges, async (url, asked) => {
    assert.equal(await digested(unseal(url, opening)), content);
    assert.deepEqual(asked, [undefined]);
  }));

test("what broke off is resumed where it was", () =>
  serving(
    (response, range, turn) => {
      if (turn === 0) return breakOff(response.writeHead(200, { "content-length": data.length }), 0, 700_001);
      byRanges(response, range, turn);
    },
    async (url, asked) => {
      assert.equal(await digested(unseal(new URL(url), opening)), content);
      assert.equal(asked.length, 2);
      assert.match(asked[1], /^bytes=[1-9][0-9]*-$/);
    },
  ));

test("a server that answers a resume with the whole is read on from where it was", () =>
  serving(
    (response, _, turn) => {
      response.writeHead(200, { "content-length": data.length });
      if (turn === 0) breakOff(response, 0, 700_001);
      else response.end(data);
    },
    async (url) => assert.equal(await digested(unseal(url, opening)), content),
  ));

test("a whole that breaks off at the same byte each time is given up", (t) => {
  const { setTimeout } = globalThis;
  const sooner = (/** @type {() => void} */ call, /** @type {number} */ ms) => setTimeout(call, ms > 10_000 ? ms : ms / 50);
  t.mock.method(globalThis, "setTimeout", /** @type {any} */ (sooner)); // waits between attempts, not for a byte
  return serving(
    (response) => breakOff(response, 0, 300_000),
    async (url, asked) => {
      await assert.rejects(digested(unseal(url, opening)), TransferError);
      assert.equal(asked.length, 6);
    },
  );
});

test("an answer that neither goes on nor ends by being aborted is given up", async (t) => {
  const { setTimeout } = globalThis;
  t.mock.method(globalThis, "setTimeout", /** @type {any} */ ((call, ms) => setTimeout(call, ms / 1000)));
  t.mock.method(globalThis, "fetch", async () => new Response(new ReadableStream({ pull: () => new Promise(() => {}) })));
  await assert.rejects(verify("http://127.0.0.1/bundle", options), { name: "TransferError", message: /no byte for 30 s/ });
});

test("open() asks for the segments that it needs only", () =>
  serving(byRanges, async (url, asked) => {
    const file = await open(url, opening);
    const end = await file.read(file.size - 3, 100);
    assert.equal(end.length, 3);
    assert(asked.length <= 3 && asked.every((range) => range), `${asked}`);
    assert.equal(await digested([await file.read(0, file.size)]), content);
  }));

test("open() reads here and there from a server that has no ranges, and asks twice", () =>
  serving(
    (response) => response.end(data),
    async (url, asked) => {
      const file = await open(url, opening);
      await file.read(file.size - 3, 3);
      assert.equal(await digested([await file.read(0, file.size)]), content);
      assert.equal(asked.length, 2);
      await file.close();
    },
  ));

test("a read that failed says so, and not that the bundle ends there; asked again it begins again", () =>
  serving(
    (response, _, turn) => {
      if (turn === 2) return response.writeHead(404).end();
      if (turn === 1) return breakOff(response.writeHead(200, { "content-length": data.length }), 0, 700_001);
      response.end(data);
    },
    async (url) => {
      const file = await open(url, opening);
      await assert.rejects(file.read(file.size - 3, 3), TransferError);
      assert.equal(await digested([await file.read(0, file.size)]), content);
    },
  ));

test("a server that is busy is asked again", () =>
  serving(
    (response, range, turn) => (turn === 0 ? response.writeHead(503).end() : byRanges(response, range, turn)),
    async (url, asked) => {
      await verify(url, options);
      assert.equal(asked.length, 2);
    },
  ));

test("what is not there is a TransferError at once, and no verdict on the bundle", () =>
  serving(
    (response) => response.writeHead(404).end(),
    async (url, asked) => {
      await assert.rejects(verify(url, options), TransferError);
      await assert.rejects(open(url, opening), TransferError);
      assert.equal(asked.length, 2);
    },
  ));

test("another file in the place of the first is a SourceChangedError", () =>
  serving(
    (response, range, turn) => {
      if (turn === 0)
        return breakOff(response.writeHead(200, { "content-length": data.length, etag: '"zero"' }), 0, 700_001);
      byRanges(response, range, turn);
    },
    async (url) => assert.rejects(digested(unseal(url, opening)), SourceChangedError),
  ));

test("a range that was not asked for is a TransferError", () =>
  serving(
    (response) => response.writeHead(206, { "content-range": `bytes 1-9/${data.length}` }).end(data.subarray(1, 10)),
    async (url) => assert.rejects(open(url, opening), TransferError),
  ));

test("a server that sends more than it was asked for is a TransferError", () =>
  serving(
    (response) => response.writeHead(206).end(data),
    async (url) => assert.rejects(open(url, opening), TransferError),
  ));

test("what ends early is truncated, whatever the server says of its length", () =>
  serving(
    (response) => response.end(data.subarray(0, 600_000)),
    async (url) => assert.rejects(verify(url, options), TruncatedError),
  ));

test("an aborted download ends with the reason that was given, and ends its request", () =>
  serving(
    (response) => response.write(data.subarray(0, 600_000)),
    async (url) => {
      const controller = new AbortController();
      setTimeout(() => controller.abort(new Error("left the page")), 100);
      await assert.rejects(verify(url, { ...options, signal: controller.signal }), { message: "left the page" });
      await assert.rejects(verify(url, { ...options, signal: controller.signal }), { message: "left the page" });
    },
  ));
