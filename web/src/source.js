/** Where bytes come from: Blob, bytes, stream, URL, or whatever has a size and can read. */

import { concat } from "./bytes.js";
import { chunksOf } from "./chunks.js";
import { SourceChangedError, UsageError } from "./errors.js";
import { HttpRanges, HttpStream } from "./http.js";
import { turns } from "./turns.js";

/** @import { Bytes } from "./bytes.js" */
/** @import { Chunks } from "./chunks.js" */

/**
 * What a caller has: a URL is fetched, and a string is one; `read` returns fewer bytes only at the end.
 * @typedef {{ size: number, read: (offset: number, length: number) => Promise<Uint8Array> }} Readable
 * @typedef {Blob | Uint8Array | ArrayBuffer | ReadableStream<Uint8Array> | URL | string | Readable} SourceInput
 */

/**
 * What the reader works with; what it returns from read() is nobody else's to change.
 * @typedef {object} Source
 * @property {number | null} size in bytes, where it is known
 * @property {boolean} seekable otherwise it is read in order, once
 * @property {(offset: number, length: number) => Promise<Bytes>} read at most 1 MiB; fewer bytes only at the end
 * @property {() => Promise<void>} close
 */

/**
 * Return what is given as a source. Throws UsageError.
 * @param {SourceInput} input
 * @param {{ seeking: boolean, signal: AbortSignal | undefined }} how seeking: it is read here and there, not in order
 * @returns {Source}
 */
export function openSource(input, { seeking, signal }) {
  if (typeof input === "string" || input instanceof URL) {
    const url = asUrl(input);
    return seeking ? new HttpRanges(url, signal) : new StreamSource(new HttpStream(url, signal));
  }
  if (input instanceof Blob) return ofBlob(input);
  if (input instanceof Uint8Array || input instanceof ArrayBuffer)
    return ofBlob(new Blob([/** @type {any} */ (input)]));
  if (input instanceof ReadableStream) return new StreamSource(chunksOf(input));
  if (typeof input?.read === "function" && Number.isSafeInteger(input.size) && input.size >= 0)
    return ofReadable(input);
  throw new UsageError("source is no Blob, Uint8Array, ReadableStream, URL, nor an object with size and read()");
}

/**
 * Return a source without its first bytes.
 * @param {Source} source
 * @param {number} start
 * @returns {Source}
 */
export function rebased(source, start) {
  return {
    get size() {
      return source.size === null ? null : Math.max(0, source.size - start);
    },
    seekable: source.seekable,
    read: (offset, length) => source.read(start + offset, length),
    close: () => source.close(),
  };
}

/** @param {string | URL} input */
function asUrl(input) {
  try {
    return new URL(input, globalThis.location?.href).href;
  } catch {
    throw new UsageError(`source ${JSON.stringify(String(input).slice(0, 200))} is no URL`);
  }
}

/**
 * @param {Blob} blob
 * @returns {Source}
 */
function ofBlob(blob) {
  return {
    size: blob.size,
    seekable: true,
    async read(offset, length) {
      try {
        return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
      } catch (error) {
        // A Blob that stands for a file can be read only as long as the file stays what it was.
        throw new SourceChangedError(`bytes ${offset} to ${offset + length} cannot be read: ${error}`);
      }
    },
    close: async () => {},
  };
}

/**
 * @param {Readable} input
 * @returns {Source}
 */
function ofReadable(input) {
  const { size } = input;
  const inTurn = turns(); // it may give the same buffer again and again
  const copied = async (/** @type {number} */ offset, /** @type {number} */ wanted) => {
    const data = wanted > 0 ? await input.read(offset, wanted) : new Uint8Array();
    if (!(data instanceof Uint8Array) || data.length > wanted) {
      throw new UsageError(`read(${offset}, ${wanted}) returned no Uint8Array of at most that length`);
    }
    return concat([data]); // what was checked must be what is used
  };
  return {
    size,
    seekable: true,
    read: (offset, length) => inTurn(() => copied(offset, Math.max(0, Math.min(length, size - offset)))),
    close: async () => {},
  };
}

/** Bytes that come in order, once: each read() goes on where the one before ended. */
class StreamSource {
  size = null;
  seekable = false;
  /** @type {Uint8Array} */
  #left = new Uint8Array();
  #inTurn = turns();

  /** @param {Chunks} chunks */
  constructor(chunks) {
    this.chunks = chunks;
  }

  /**
   * @param {number} _offset where the read before ended
   * @param {number} length
   * @returns {Promise<Bytes>}
   */
  read(_offset, length) {
    return this.#inTurn(() => this.#take(length));
  }

  /** @param {number} length */
  async #take(length) {
    const data = new Uint8Array(length);
    let filled = 0;
    while (filled < length) {
      if (this.#left.length === 0) {
        const { done, value } = await this.chunks.next();
        if (done) break;
        this.#left = value;
      }
      const piece = this.#left.subarray(0, length - filled);
      data.set(piece, filled);
      filled += piece.length;
      this.#left = this.#left.subarray(piece.length);
    }
    return data.subarray(0, filled);
  }

  async close() {
    this.chunks.cancel();
  }
}
