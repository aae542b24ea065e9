/** Archives as they arrive: what is in them, and what is refused. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateRawSync } from "node:zlib";
import { concat } from "../src/bytes.js";
import { crc32 } from "../src/crc.js";
import { readManifest } from "../src/manifest.js";
import { fill } from "../src/unpack.js";
import { DEFAULT_LIMITS, entries } from "../src/zip.js";
import { Disk, MemoryStorage } from "./support/memory-storage.js";
import { zipOf } from "./support/sealing.js";
import { inPieces } from "./support/vectors.js";

const FILES = { "index.html": "hello", "a/b.bin": new Uint8Array(70_000).fill(7), "a/empty": "" };

/**
 * @param {Uint8Array} data
 * @param {number} [piece] bytes
 * @param {import("../src/zip.js").ArchiveLimits} [limits]
 * @param {number} [archiveBytes]
 */
async function read(data, piece = data.length, limits = DEFAULT_LIMITS, archiveBytes = Infinity) {
  const pieces = async function* () {
    for (let at = 0; at < data.length; at += piece) yield data.slice(at, at + piece);
  };
  /** @type {Record<string, Uint8Array>} */
  const found = {};
  for await (const entry of entries(pieces(), limits, archiveBytes)) {
    const taken = [];
    for await (const part of entry.pieces) taken.push(part.slice());
    found[entry.name] = concat(taken);
    assert.equal(entry.crc32(), crc32(concat(taken)));
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

/**
 * Return a zip with sizes behind the data; deflated: what stands for the content, if it is.
 * @param {Record<string, { data: Uint8Array, deflated?: Uint8Array }>} files
 * @param {{ wide?: boolean, field?: boolean, signed?: boolean }} [form] sizes of 8 bytes, a zip64 field, a signature
 */
function behind(files, { wide = false, field = wide, signed = true } = {}) {
  const pack = (/** @type {string} */ form, /** @type {number[]} */ ...values) =>
    concat(values.map((value, i) => bytesOf(value, Number(form[i]))));
  const [parts, directory] = [/** @type {Uint8Array[]} */ ([]), /** @type {Uint8Array[]} */ ([])];
  for (const [name, { data, deflated }] of Object.entries(files)) {
    const [path, raw] = [new TextEncoder().encode(name), deflated ?? data];
    const fixed = pack("22222", 45, 8, deflated ? 8 : 0, 0, 33);
    const told = [crc32(data), raw.length, data.length];
    const start = concat(parts).length;
    directory.push(pack("42", 0x02014b50, 0x32d), fixed, pack("4442222244", ...told, path.length, 0, 0, 0, 0, 0, start), path);
    const unknown = field ? 0xffffffff : 0;
    parts.push(pack("4", 0x04034b50), fixed, pack("44422", 0, unknown, unknown, path.length, field ? 20 : 0), path);
    if (field) parts.push(pack("2288", 1, 16, 0, 0));
    parts.push(raw, pack(signed ? "4" : "", ...(signed ? [0x08074b50] : [])), pack(wide ? "488" : "444", ...told));
  }
  const [count, start, size] = [Object.keys(files).length, concat(parts).length, concat(directory).length];
  return concat([...parts, ...directory, pack("42222442", 0x06054b50, 0, 0, count, count, size, start, 0)]);
}

/** @param {number} value @param {number} count */
function bytesOf(value, count) {
  return Uint8Array.from({ length: count }, (_, i) => Math.floor(value / 256 ** i) % 256);
}

/** @param {Uint8Array} data one block of deflate, as it is */
function inABlock(data) {
  return concat([Uint8Array.of(1), bytesOf(data.length, 2), bytesOf(data.length ^ 0xffff, 2), data]);
}

const TEXT = new TextEncoder().encode("text ".repeat(50));
const HEADER = bytesOf(0x04034b50, 4);

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

test("sizes behind the data are read in every form, in any pieces", async () => {
  const data = concat([TEXT, HEADER, TEXT, bytesOf(0x02014b50, 4), zipOf(FILES).subarray(0, 2000)]);
  const files = { a: { data, deflated: inABlock(data) }, "b/c": { data: TEXT }, empty: { data: new Uint8Array() } };
  for (const form of [{}, { wide: true }, { wide: true, field: false }]) {
    for (const piece of [1, 7, 24, 27, 28, 29, 5000]) {
      const found = await read(behind(files, form), piece);
      assert.deepEqual(found, Object.fromEntries(Object.entries(files).map(([name, file]) => [name, file.data])));
    }
  }
  for (const form of [{ signed: false }, { signed: false, wide: true }]) {
    for (const piece of [1, 24, 5000]) {
      assert.deepEqual(await read(behind({ a: files.a, empty: files.empty }, form), piece), { a: data, empty: new Uint8Array() });
    }
  }
});

test("data goes on behind a descriptor of other sizes", async () => {
  const inner = behind({ one: { data: TEXT }, two: { data: TEXT, deflated: new Uint8Array(deflateRawSync(TEXT)) } });
  for (const piece of [1, 40, 5000]) {
    assert.deepEqual(await read(behind({ a: { data: inner, deflated: inABlock(inner) } }), piece), { a: inner });
  }
});

test("a descriptor in deflated data that fits what came is not passed over in silence", async () => {
  for (const signature of [bytesOf(0x08074b50, 4), new Uint8Array()]) {
    const fitting = concat([bytesOf(crc32(TEXT), 4), bytesOf(5 + TEXT.length, 4), bytesOf(TEXT.length, 4)]);
    const data = concat([TEXT, signature, fitting, zipOf({ hidden: "x" })]);
    for (const piece of [1, 5000]) {
      await assert.rejects(read(behind({ a: { data, deflated: inABlock(data) } }), piece), { name: "FormatError" });
    }
  }
});

test("stored data with sizes behind it may hold nothing that others take for its end", async () => {
  const refused = { message: /stored without its size in front/ };
  for (const sign of [HEADER, bytesOf(0x02014b50, 4), bytesOf(0x08074b50, 4)]) {
    for (const data of [concat([sign, TEXT]), concat([TEXT, sign]), concat([TEXT, sign, TEXT])]) {
      for (const piece of [1, 5000]) await assert.rejects(read(behind({ a: { data } }), piece), refused);
    }
  }
  await assert.rejects(read(behind({ a: { data: TEXT } }, { signed: false })), refused);
});

test("sizes of four bytes behind a header with a zip64 field are none", async () => {
  await assert.rejects(read(behind({ a: { data: TEXT }, b: { data: TEXT } }, { field: true })), { name: "FormatError" });
});

test("what a header says in front of data must be what stands behind it", async () => {
  const zip = behind({ a: { data: TEXT } });
  for (const [at, value] of [[14, crc32(TEXT)], [18, TEXT.length], [22, TEXT.length]]) {
    const said = (/** @type {number} */ number) => changed((data) => data.set(bytesOf(number, 4), at), zip);
    assert.deepEqual(await read(said(Number(value))), { a: TEXT });
    await assert.rejects(read(said(Number(value) + 1)), { message: /in front of the data/ });
  }
});

test("what is encrypted or patched, or needs a newer reader, or another disk, is refused", async () => {
  const zip = zipOf({ "a.txt": "x" });
  const directory = zip.length - 22 - 46 - 5;
  for (const flag of [1, 0x20, 0x40, 0x2000]) {
    const flagged = changed((data) => [6, directory + 8].forEach((at) => data.set(bytesOf(flag | 0x800, 2), at)), zip);
    await assert.rejects(read(flagged), { message: /encrypted/ }, String(flag));
  }
  for (const at of [4, directory + 6]) await assert.rejects(read(changed((data) => void (data[at] = 47), zip)), { message: /version 47/ });
  await assert.rejects(read(changed((data) => void (data[directory + 34] = 1), zip)), { message: /another disk/ });
});

test("limits hold while an archive arrives, wherever its sizes stand", async () => {
  const data = new Uint8Array(3_000_000);
  const rest = { b: { data: new Uint8Array(50_000) } };
  const late = behind({ a: { data, deflated: new Uint8Array(deflateRawSync(data)) }, ...rest });
  await read(late);
  const given = async (/** @type {Uint8Array} */ zip, /** @type {number} */ contentBytes, /** @type {number} */ archiveBytes) => {
    let bytes = 0;
    const reading = async () => {
      for await (const { pieces } of entries(inPieces(zip, 100), { ...DEFAULT_LIMITS, contentBytes }, archiveBytes)) {
        for await (const piece of pieces) bytes += piece.length;
      }
    };
    await assert.rejects(reading, { name: "FormatError", message: contentBytes < 1e9 ? /more than 100000 bytes/ : /more than 100 times/ });
    return bytes;
  };
  assert.ok((await given(late, 100_000, Infinity)) <= 100_000);
  assert.ok((await given(late, 1e9, 5000)) <= 500_000);
  assert.ok((await given(zipOf(FILES), 1e9, 500)) <= 50_000);
});

test("what is unpacked has the CRC-32 that stands behind its data in its manifest, so that recipes find it", async () => {
  const plaintext = behind({ a: { data: TEXT }, "b/c": { data: TEXT, deflated: new Uint8Array(deflateRawSync(TEXT)) } });
  const disk = new Disk();
  const content = { name: "game.zip", mediaType: "application/zip", size: plaintext.length };
  const statement = /** @type {import("../src/statement.js").Statement} */ (/** @type {unknown} */ ({ content }));
  const digest = await fill(new MemoryStorage(disk), "new", inPieces(plaintext, 50), { statement, seal: TEXT, limits: DEFAULT_LIMITS });
  const { files } = await readManifest(new MemoryStorage(disk), { folder: "new", manifest: digest });
  assert.deepEqual([...files].map(([name, { size, crc }]) => [name, size, crc]), [["a", 250, crc32(TEXT)], ["b/c", 250, crc32(TEXT)]]);
});
