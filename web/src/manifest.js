/** The manifest of a bundle's unpacked content: what its files are compared with.
 *
 * It is made from authenticated bytes while they are written. The state holds its SHA-256.
 */

import { concat, toHex, utf8 } from "./bytes.js";
import { FormatError, TamperedError } from "./errors.js";
import { Members, exactly } from "./members.js";
import { free } from "./memory.js";
import { parse } from "./strictjson.js";
import { sha256 } from "./webcrypto.js";

/** @import { Bytes } from "./bytes.js" */
/** @import { Storage } from "./storage.js" */

const MANIFEST_TYPE = "capseal-web-manifest-v1";
const PIECE_BYTES = 1024 * 1024;

/** What is in the folder of a bundle: its content, the manifest of that, and the seal that vouched for it. */
export const CONTENT = "content";
export const MANIFEST = "manifest.json";
export const SEAL = "seal";

/**
 * One file; digest: SHA-256 of the SHA-256 of each MiB, hex, since WebCrypto digests no stream; crc: its CRC-32, null
 * where no archive said it.
 * @typedef {{ size: number, digest: string, crc: number | null }} ContentFile
 */

/** @typedef {{ folders: readonly string[], files: ReadonlyMap<string, ContentFile> }} ContentManifest by path */

/** Digests a file as it passes by, in pieces of any size. */
export class FileDigest {
  size = 0;
  #piece = new Uint8Array(0);
  #filled = 0;
  /** @type {Promise<Bytes>[]} */
  #digests = [];

  /** @param {Bytes} data good until this resolves */
  async add(data) {
    this.size += data.length;
    for (let at = 0; at < data.length;) {
      const count = Math.min(PIECE_BYTES - this.#filled, data.length - at);
      if (this.#piece.length < this.#filled + count) this.#grow(this.#filled + count);
      this.#piece.set(data.subarray(at, at + count), this.#filled);
      at += count;
      this.#filled += count;
      if (this.#filled === PIECE_BYTES) await this.#end();
    }
  }

  /** @param {number} bytes so that a small file takes no MiB */
  #grow(bytes) {
    const larger = new Uint8Array(Math.min(PIECE_BYTES, Math.max(bytes, 2 * this.#piece.length)));
    larger.set(this.#piece.subarray(0, this.#filled));
    free(this.#piece);
    this.#piece = larger;
  }

  async #end() {
    const before = this.#digests.at(-1);
    this.#digests.push(sha256(this.#piece.subarray(0, this.#filled))); // which takes a copy before it returns
    this.#filled = 0;
    await before; // two copies at most
  }

  /** Return the digest, hex; nothing can be added any more. */
  async hex() {
    if (this.#filled > 0) await this.#end();
    free(this.#piece);
    return toHex(await sha256(concat(await Promise.all(this.#digests))));
  }
}

/**
 * Return the manifest's bytes.
 * @param {ContentManifest} manifest
 */
export function encodeManifest({ folders, files }) {
  const listed = [...files].map(([path, { size, digest, crc }]) => [path, size, digest, ...(crc === null ? [] : [crc])]);
  return utf8(JSON.stringify({ type: MANIFEST_TYPE, folders, files: listed }));
}

/**
 * Parse a manifest of that SHA-256 (hex). Throws TamperedError, FormatError.
 * @param {Bytes} data
 * @param {string} digest
 * @returns {Promise<ContentManifest>}
 */
async function parseManifest(data, digest) {
  const found = toHex(await sha256(data));
  if (found !== digest) {
    throw new TamperedError(`manifest: digest ${found.slice(0, 16)} differs from ${digest.slice(0, 16)} in the state`);
  }
  const members = new Members(parse(data, "manifest"), "manifest", ["type", "folders", "files"]);
  members.text("type", exactly(MANIFEST_TYPE));
  const folders = members.array("folders", 0, Infinity).map(([path]) => String(path));
  const files = members.array("files", 0, Infinity).map(parseFile);
  return { folders, files: new Map(files) };
}

/**
 * @param {[unknown, string]} item
 * @returns {[string, ContentFile]}
 */
function parseFile([value, place]) {
  const [path, size, digest, crc = null, ...others] = Array.isArray(value) ? value : [];
  const right = typeof path === "string" && Number.isSafeInteger(size) && typeof digest === "string";
  if (!right || !(crc === null || Number.isSafeInteger(crc)) || others.length > 0) {
    throw new FormatError(`${place}: expected a path, a size, a digest and a CRC-32`);
  }
  return [path, { size, digest, crc }];
}

/**
 * Return the manifest of a bundle's folder. Throws TamperedError, FormatError, and what the storage throws.
 * @param {Storage} storage
 * @param {{ folder: string, manifest: string }} bundle
 */
export async function readManifest(storage, { folder, manifest }) {
  const blob = await storage.read(folder, MANIFEST);
  if (!blob) throw new TamperedError(`${folder}: its manifest is missing`);
  return parseManifest(new Uint8Array(await blob.arrayBuffer()), manifest);
}

/**
 * Compare a bundle's content with its manifest, byte by byte. Throws TamperedError, and what the storage throws.
 * @param {Storage} storage
 * @param {{ folder: string, manifest: string }} bundle
 * @param {(bytes: number) => void} [progress] told of the bytes of each file that is done
 */
export async function checkContent(storage, bundle, progress) {
  const { files } = await readManifest(storage, bundle);
  const wanted = new Set([...[...files.keys()].map((path) => `${CONTENT}/${path}`), MANIFEST, SEAL]);
  const added = (await storage.paths(bundle.folder)).find((path) => !wanted.has(path));
  if (added !== undefined) throw new TamperedError(`${added}: not in the manifest, it was added`);
  for (const [path, expected] of files) {
    const blob = await storage.read(bundle.folder, `${CONTENT}/${path}`);
    if (!blob) throw new TamperedError(`${path}: missing`);
    if (blob.size !== expected.size) {
      throw new TamperedError(`${path}: ${blob.size} bytes, the manifest says ${expected.size}`);
    }
    const digest = new FileDigest();
    for (let at = 0; at < blob.size; at += PIECE_BYTES) {
      await digest.add(new Uint8Array(await blob.slice(at, at + PIECE_BYTES).arrayBuffer()));
    }
    const found = await digest.hex();
    if (found !== expected.digest) {
      const [is, was] = [found.slice(0, 16), expected.digest.slice(0, 16)];
      throw new TamperedError(`${path}: digest ${is} differs from ${was} in the manifest`);
    }
    progress?.(expected.size);
  }
}
