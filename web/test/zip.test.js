/** Archives as they arrive: what is in them, and what is refused. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateRawSync } from "node:zlib";
import { concat } from "../src/bytes.js";
import { crc32 } from "../src/crc.js";
import { DEFAULT_LIMITS, entries } from "../src/zip.js";
import { zipOf } from "./support/sealing.js";

const FILES = { "index.html": "hello", "a/b.bin": new Uint8Array(70_000).fill(7), "a/empty": "" };

/**
 * @param {Uint8Array} data
 * @param {number} [piece] bytes
 * @param {import("../src/zip.js").ArchiveLimits} [limits]
 */
async function read(data, piece = data.length, limits = DEFAULT_LIMITS) {
  const pieces = async function* () {
    for (let at = 0; at < data.length; at += piece) yield data.slice(at, at + piece);
  };
  /** @type {Record<string, Uint8Array>} */
  const found = {};
  for await (const entry of entries(pieces(), limits)) {
    const taken = [];
    for await (const part of entry.pieces) taken.push(part.slice());
    found[entry.name] = concat(taken);
  }
  return found;
}

/** @param {(data: Uint8Array) => void} change @param {Uint8Array} [zip] */
function changed(change, zip = zipOf(FILES)) {
  const data = zip.slice();
  change(data);
  return data;
}

/** @param {Uint8Array} data @param {Uint8Array} raw deflated content of its only entry, of 4096 bytes */
function deflated(data, raw) {
  const whole = zipOf({ "a.txt": data });
  const local = whole.slice(0, 30 + 5);
  const directory = whole.slice(30 + 5 + data.length, whole.length - 22);
  const end = whole.slice(-22);
  for (const [part, at] of /** @type {[Uint8Array, number][]} */ ([[local, 4], [directory, 6]])) {
    const view = new DataView(part.buffer);
    view.setUint16(at + 4, 8, true);
    view.setUint32(at + 14, raw.length, true);
  }
  new DataView(end.buffer).setUint32(16, local.length + raw.length, true);
  return concat([local, raw, directory, end]);
}

test("files come out in any pieces, with their names", async () => {
  for (const piece of [1_000_000, 1000, 7]) {
    const found = await read(zipOf(FILES), piece);
    assert.deepEqual(Object.keys(found), Object.keys(FILES));
    assert.equal(new TextDecoder().decode(found["index.html"]), "hello");
    assert.deepEqual(found["a/b.bin"], FILES["a/b.bin"]);
  }
  assert.equal(crc32(new TextEncoder().encode("123456789")), 0xcbf43926);
});

test("deflated files come out, and damaged or endless ones do not", async () => {
  const data = new Uint8Array(4096).fill(5);
  const raw = new Uint8Array(deflateRawSync(data));
  assert.deepEqual((await read(deflated(data, raw)))["a.txt"], data);
  await assert.rejects(read(deflated(data, raw.slice(0, -3))), { name: "FormatError" });
  // Node 20 passes over what follows the end of deflated data, as no browser may (Compression Standard, 5).
  if (!globalThis.process) await assert.rejects(read(deflated(data, concat([raw, Uint8Array.of(0)]))), { name: "FormatError" });
  const more = new Uint8Array(deflateRawSync(new Uint8Array(1_000_000)));
  await assert.rejects(read(deflated(data, more)), { name: "FormatError", message: /more than the 4096 bytes/ });
});

test("a content that is not that of its CRC is refused", async () => {
  await assert.rejects(read(changed((data) => void (data[40] = 0x41))), { name: "FormatError", message: /CRC/ });
});

test("a directory that says something else than the headers is refused", async () => {
  const zip = zipOf(FILES);
  const start = zip.length - 22 - (46 * 3 + "index.htmla/b.bina/empty".length);
  for (const at of [8, 10, 16, 20, 24, 42, 46]) {
    await assert.rejects(read(changed((data) => void (data[start + at] ^= 1), zip)), { name: "FormatError" }, `at ${at}`);
  }
});

test("a name that is not marked as UTF-8 is taken where it was made on Unix", async () => {
  const zip = zipOf({ "\u00fc.txt": "x" });
  const directory = zip.length - 22 - 46 - 6;
  const unmarked = changed((data) => void ((data[7] = 0), (data[directory + 9] = 0)), zip);
  assert.deepEqual(Object.keys(await read(unmarked)), ["\u00fc.txt"]);
  await assert.rejects(read(changed((data) => void (data[directory + 5] = 0), unmarked)), { message: /neither ASCII nor marked/ });
});

test("names as find writes them are those behind ./, and the root is no file", async () => {
  assert.deepEqual(await read(zipOf({ "./": "", "./a": "x" })), { a: Uint8Array.of(0x78) });
  for (const name of ["././a", ".//a", ".//", "././"]) await assert.rejects(read(zipOf({ [name]: "" })), { name: "FormatError" }, name);
  await assert.rejects(read(zipOf({ a: "x", "./a": "x" })), { name: "FormatError" });
});

test("a dotless i is no i, and a capital sharp s is a sharp s", async () => {
  await read(zipOf({ "k\u0131sa.png": "x", "kisa.png": "x" }));
  await assert.rejects(read(zipOf({ "\u00df": "x", "\u1e9e": "x" })), { name: "FormatError" });
});

test("bytes behind the end, between, or in front are refused", async () => {
  const zip = zipOf(FILES);
  await assert.rejects(read(concat([zip, Uint8Array.of(0)])), { name: "FormatError" });
  await assert.rejects(read(concat([Uint8Array.of(0), zip])), { name: "FormatError" });
  await assert.rejects(read(zip.slice(0, -1)), { name: "FormatError" });
  await assert.rejects(read(new Uint8Array()), { name: "FormatError" });
});

test("names that some system cannot hold, or takes for one another, are refused", async () => {
  const bad = ["../a", "/a", "a//b", "a\\b", "con", "aux.js", "a.", "a ", "a:b", "a\u202eb", "x".repeat(256), "a\u0001"];
  for (const name of bad) await assert.rejects(read(zipOf({ [name]: "x" })), { name: "FormatError" }, name);
  for (const pair of [["a", "A"], ["\u00e9", "e\u0301"], ["a", "a/b"], ["a/b", "A/c"]]) {
    await assert.rejects(read(zipOf(Object.fromEntries(pair.map((name) => [name, "x"])))), { name: "FormatError" }, String(pair));
  }
  await read(zipOf({ "\u{1f600} na\u00efve/\u65e5\u672c.txt": "x", "com10.txt": "x", ".hidden": "x" }));
});

test("limits hold before anything is unpacked beyond them", async () => {
  const told = { ...DEFAULT_LIMITS, contentBytes: 1000 };
  await assert.rejects(read(zipOf(FILES), 100, told), { message: /more than 1000 bytes/ });
  await assert.rejects(read(zipOf(FILES), 100, { ...DEFAULT_LIMITS, entries: 3 }), { message: /more than 3 entries/ });
});
