/** Sources that are no server's, and what callers do wrong. */

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  NotForUsError,
  TamperedError,
  TruncatedError,
  UsageError,
  free,
  open,
  unseal,
  verify,
  verifyCompanion,
} from "../src/index.js";
import { taken, vector } from "./support/bundles.js";
import { vectorTexts } from "./support/places.js";
import { digested, inPieces, parseVector } from "./support/vectors.js";

const good = vector("valid-three-segments");
const opening = { ...good.options, identity: good.identity };
const { data } = good;

test("only what was checked comes out before the first bad segment", async () => {
  const bad = vector("segment-second-altered");
  const pieces = [];
  const reading = async () => {
    for await (const piece of unseal(bad.data, { ...bad.options, identity: bad.identity })) pieces.push(piece);
  };
  await assert.rejects(
    reading,
    (error) => error instanceof TamperedError && error.segment === 1 && error.offset === 524288,
  );
  assert(pieces.length <= 1);
});

test("a piece that was given back is empty, and those after it are whole", async () => {
  const kept = [];
  for await (const piece of unseal(data, opening)) {
    kept.push(piece.slice());
    free(piece);
    assert.equal(piece.length, 0);
  }
  assert.equal(await digested(kept), good.content);
});

test("what read() gives and changes afterwards is read as it was checked", async () => {
  const given = [];
  const read = async (offset, length) => {
    for (const old of given) old.fill(0); // what was given before
    given.push(data.slice(offset, offset + length));
    return given.at(-1);
  };
  assert.equal(await digested(unseal({ size: data.length, read }, opening)), good.content);
});

test("what read() gives is nobody else's while it is being checked", async () => {
  const shared = new Uint8Array(1024 * 1024);
  const read = async (offset, length) => {
    shared.set(data.subarray(offset, offset + length));
    return shared.subarray(0, length);
  };
  assert.equal(await digested(unseal({ size: data.length, read }, opening)), good.content);
});

test("a stream that is refused is cancelled, and not read on", async () => {
  const bad = vector("signature-altered");
  let cancelled = 0;
  const stream = new ReadableStream({
    pull: (controller) => controller.enqueue(bad.data.slice(0)),
    cancel: () => void cancelled++,
  });
  await assert.rejects(verify(stream, bad.options), { name: "SignatureError" });
  assert.equal(cancelled, 1);
});

test("a bad segment is told at once, though the stream goes on for ever", async () => {
  const bad = vector("segment-first-altered");
  let sent = false;
  const stream = new ReadableStream({
    pull(controller) {
      if (sent) return new Promise(() => {}); // nothing more comes, and no end
      sent = true;
      controller.enqueue(bad.data.slice(0, 600_000));
    },
  });
  await assert.rejects(verify(stream, bad.options), { name: "TamperedError", segment: 0 });
});

test("who stops taking pieces ends the source", async () => {
  let cancelled = false;
  const stream = new ReadableStream({
    start: (controller) => controller.enqueue(data),
    cancel: () => void (cancelled = true),
  });
  for await (const _ of unseal(stream, opening)) break;
  assert(cancelled);
});

test("a stream that goes on after the signed end is refused", async () => {
  await assert.rejects(verify(inPieces(new Uint8Array([...data, 0]), 400_000), good.options), TruncatedError);
  await assert.rejects(verify(new Blob([data, "x"]), good.options), TruncatedError);
});

test("an aborted read ends with the reason that was given", async () => {
  const signal = AbortSignal.abort(new Error("enough"));
  await assert.rejects(taken(unseal(data, { ...opening, signal })), { message: "enough" });
});

test("the verdict is returned when the last piece was taken, and cannot be changed", async () => {
  const pieces = unseal(data, opening);
  let step = await pieces.next();
  while (!step.done) step = await pieces.next();
  const { statement, signers } = step.value;
  assert.equal(statement.app, "com.example.game");
  assert.equal(signers[0].role, "production");
  assert.throws(() => void (statement.content.size = 1), TypeError);
  assert.throws(() => void (statement.encryption.recipients[0].kid = ""), TypeError);
});

test("an index that goes on after its end is none", async () => {
  const [index, stored] = parseVector(vectorTexts().get("valid-companion-sealed"))
    .header["beside"].split(" ")
    .map(Number);
  const { data: all, options } = vector("valid-companion-sealed");
  const verified = await verify(all.subarray(0, -index - stored), options);
  const [{ name }] = verified.statement.attachments.filter(({ encryption }) => encryption);
  const entries = all.slice(-index - stored, -stored);
  assert.equal((await verifyCompanion(all.slice(-stored), { verified, name, index: entries })).name, name);
  const longer = new Uint8Array([...entries, 0]);
  await assert.rejects(verifyCompanion(all.slice(-stored), { verified, name, index: longer }), TruncatedError);
  await assert.rejects(verifyCompanion(all.slice(-stored), { verified, name: "other", index: entries }), NotForUsError);
});

test("open() reads like a file: short at its end, empty behind it", async () => {
  const file = await open(new Blob([data]), opening);
  assert.equal((await file.read(file.size, 10)).length, 0);
  assert.equal((await file.read(file.size + 10, 10)).length, 0);
  assert.equal((await file.read(0, 0)).length, 0);
  for (const [offset, length] of [
    [-1, 1],
    [0.5, 1],
    [0, -1],
    [0, NaN],
  ])
    await assert.rejects(file.read(offset, length), UsageError);
});

test("many reads at once get each their own bytes", async () => {
  const file = await open(new Blob([data]), opening);
  const whole = await file.read(0, file.size);
  const places = Array.from({ length: 40 }, (_, i) => Math.floor((i * 7919 * 104729) % (file.size - 1000)));
  const pieces = await Promise.all(places.map((place) => file.read(place, 1000)));
  pieces.forEach((piece, i) => assert.deepEqual(piece, whole.slice(places[i], places[i] + 1000)));
});

for (const [what, call] of Object.entries({
  "a misspelled option": () => verify(data, /** @type {any} */ ({ ...good.options, exepct: {} })),
  "a misspelled expectation": () => verify(data, { ...good.options, expect: /** @type {any} */ ({ flor: 7 }) }),
  "a floor that is no integer": () => verify(data, { ...good.options, expect: { floor: NaN } }),
  "a role that is none": () => verify(data, { ...good.options, expect: /** @type {any} */ ({ role: "beta" }) }),
  "a native version that is none": () => verify(data, { ...good.options, expect: { native: "1.x" } }),
  "no trust": () => verify(data, /** @type {any} */ ({})),
  "no identity": () => taken(unseal(data, /** @type {any} */ (good.options))),
  "no source": () => verify(/** @type {any} */ (undefined), good.options),
  "a source without read()": () => verify(/** @type {any} */ ({ size: 1 }), good.options),
  "a read() that gives too much": () => verify({ size: data.length, read: async () => data }, good.options),
  "a URL that is none": () => verify("http://", good.options),
  "a stream to read here and there": () => open(inPieces(data, 1000), opening),
})) {
  test(`${what} is a UsageError, and no verdict`, () => assert.rejects(async () => call(), UsageError));
}
