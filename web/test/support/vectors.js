/** Judges test vectors (tests/vectors/README.md) in every way that the reader has, in Node and in browsers alike. */

import { open, unseal, unsealCompanion, verify, verifyCompanion } from "../../src/index.js";

/** @typedef {{ header: Record<string, string>, data: Uint8Array }} Vector */

const KNOWN = new Set(
  (
    "name about expect trust threshold app channel floor role native platform identity stage seal-bytes content " +
    "companion beside companion-content"
  ).split(" "),
);
const LARGE_BYTES = 20_000; // of a vector that is read in large pieces only
// Of some only, since it takes long.
const BYTE_BY_BYTE = /^(?:valid-(?:hello|detached|two-blocks)|truncated-|trailing-|padding-|index-|payload-)/;

/**
 * Take a vector's file apart; its header may hold only what judgeVector() knows.
 * @param {string} text
 * @returns {Vector}
 */
export function parseVector(text) {
  const vector = takenApart(text);
  const unknown = Object.keys(vector.header).filter((name) => !KNOWN.has(name));
  if (unknown.length > 0) throw new Error(`vector is newer than its reader: ${unknown}`);
  return vector;
}

/**
 * Take a file of any vector apart.
 * @param {string} text
 * @returns {Vector}
 */
export function takenApart(text) {
  const [head, body] = text.split(/\n\n(.*)/s);
  const header = Object.fromEntries(head.split("\n").map((line) => line.split(/: (.*)/s).slice(0, 2)));
  const pieces = body
    .split("\n")
    .filter(Boolean)
    .map((line) => {
      const [kind, value] = line.split(/ (.*)/s);
      if (kind === "text") return new TextEncoder().encode(value);
      if (kind === "hex") return Uint8Array.from(value.match(/../g) ?? [], (byte) => parseInt(byte, 16));
      const [times, byte] = value.split(" ");
      return new Uint8Array(Number(times)).fill(parseInt(byte, 16));
    });
  return { header, data: joined(pieces) };
}

/**
 * Return what is wrong with how the reader judges a vector: nothing, if all is well.
 * @param {Vector} vector
 * @param {(name: string) => string} pem of a key's file
 * @returns {Promise<string[]>}
 */
export async function judgeVector({ header, data }, pem) {
  const [indexBytes, storedBytes] = (header["beside"] ?? "0 0").split(" ").map(Number);
  const end = data.length - indexBytes - storedBytes;
  const sealBytes = Number(header["seal-bytes"] ?? 0);
  const bundle = {
    name: header["name"],
    source: data.subarray(sealBytes, end),
    options: { ...optionsOf(header, pem), ...(sealBytes && { seal: data.subarray(0, sealBytes) }) },
    identity: pem(`${header["identity"]}.pem`),
  };
  const wrong = [];
  const say = (way, found, expected) =>
    found !== expected && wrong.push(`${header["name"]} ${way}: ${found}, not ${expected}`);
  const companion = header["companion"];
  const { expect, stage, content } = companion
    ? { ...header, expect: "ok", stage: undefined, content: undefined }
    : header;
  const unsealed = expect === "ok" ? content : expect;
  const verified = expect === "ok" || stage === "unseal" ? "ok" : expect;
  for (const [way, judge] of Object.entries(waysOf(bundle))) {
    const found = await outcome(judge);
    const wanted = way.startsWith("verify") ? verified : unsealed;
    say(way, wanted === undefined ? found.replace(/^\d+ [0-9a-f]{64}$/, "ok") : found, wanted ?? "ok");
  }
  if (companion) {
    const verdict = await verify(bundle.source, bundle.options);
    const beside = {
      verified: verdict,
      name: companion,
      index: data.subarray(end, end + indexBytes),
    };
    const stored = data.subarray(end + indexBytes);
    const payloadHeader = bundle.source.subarray(bundle.source.length - verdict.statement.payload.size).subarray(0, 40);
    const opened = { ...beside, identity: bundle.identity, payloadHeader };
    const checked = await outcome(() => verifyCompanion(stored, beside).then(() => "ok"));
    say(
      "verifyCompanion",
      checked,
      header["expect"] === "ok" || header["stage"] === "unseal" ? "ok" : header["expect"],
    );
    const read = await outcome(() => digested(unsealCompanion(stored, opened)));
    say("unsealCompanion", read, header["expect"] === "ok" ? header["companion-content"] : header["expect"]);
  }
  return wrong;
}

/**
 * Return the options that a vector's header stands for.
 * @param {Record<string, string>} header
 * @param {(name: string) => string} pem
 */
export function optionsOf(header, pem) {
  const keys = header["trust"].split(" ").map((entry) => {
    const [name, role = "production"] = entry.split("/").reverse();
    return { role, public_key: pem(`${name}.pub.pem`) };
  });
  const { app, channel, role, native, platform } = header;
  const floor = header["floor"] === undefined ? undefined : Number(header["floor"]);
  return {
    trust: { type: "capseal-trust-v1", threshold: Number(header["threshold"] ?? 1), keys },
    expect: { app, channel, floor, role, native, platform },
  };
}

/**
 * @param {{ name: string, source: Uint8Array, options: any, identity: string }} bundle
 * @returns {Record<string, () => Promise<string>>}
 */
function waysOf({ name, source, options, identity }) {
  const [small, large] = source.length > LARGE_BYTES ? [4097, 600_000] : [BYTE_BY_BYTE.test(name) ? 1 : 61, 1000];
  const readable = { size: source.length, read: async (offset, length) => source.subarray(offset, offset + length) };
  const opening = { ...options, identity };
  const verified = (given, more = {}) => verify(given, { ...options, ...more }).then(() => "ok");
  return {
    "verify whole": () => verified(new Blob([source])),
    "verify by read()": () => verified(readable),
    "unseal whole": () => digested(unseal(new Blob([source]), opening)),
    [`verify in pieces of ${small}`]: () => verified(inPieces(source, small)),
    [`unseal in pieces of ${large}`]: () => digested(unseal(inPieces(source, large), opening)),
    "open by ranges": async () => digested(ranges(await open(readable, opening))),
  };
}

/** @param {import("../../src/index.js").SealedFile} file */
async function* ranges(file) {
  // The last ones first, then in order: each must be checked by itself.
  const step = Math.max(1, Math.ceil(file.size / 7));
  for (let at = step * 6; at >= 0; at -= step) await file.read(at, step);
  for (let at = 0; at < file.size; at += step) yield await file.read(at, step);
}

/**
 * Return a stream of pieces of a size.
 * @param {Uint8Array} data
 * @param {number} size
 */
export function inPieces(data, size) {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at >= data.length) return controller.close();
      controller.enqueue(data.slice(at, at + size));
      at += size;
    },
  });
}

/** @param {AsyncIterable<Uint8Array>} pieces */
export async function digested(pieces) {
  const all = [];
  for await (const piece of pieces) all.push(piece);
  const content = joined(all);
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
  return `${content.length} ${Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** @param {() => Promise<string>} judge */
async function outcome(judge) {
  try {
    return await judge();
  } catch (error) {
    return error.name;
  }
}

/** @param {Uint8Array[]} pieces */
export function joined(pieces) {
  const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
