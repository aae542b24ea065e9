/** Rebuilding a release from the files of another one and a recipe (docs/delta.md). */

import { concat, toHex } from "./bytes.js";
import { Base } from "./base.js";
import { FormatError, NotForUsError, TamperedError, UsageError } from "./errors.js";
import { placesIn } from "./instructions.js";
import { RecipeReader } from "./recipereader.js";
import { sha256 } from "./webcrypto.js";
import { DirectoryMaker } from "./zipheaders.js";

/** @import { BaseFiles } from "./base.js" */
/** @import { Bytes } from "./bytes.js" */
/** @import { Head, Instructions, Range } from "./instructions.js" */
/** @import { Block } from "./recipereader.js" */

/**
 * @typedef {object} RebuildOptions
 * @property {BaseFiles} base the files that are here
 * @property {number} [memoryBytes] what there is memory for: a recipe takes 64 MiB, its reference, and twice its frame
 * @property {BufferSource} [zstd] the bytes of zstd.wasm, where they do not lie beside this module
 */

const MIB = 1024 * 1024;
const LEAST_MEMORY_BYTES = 64 * MIB;
const MAX_MEMORY_BYTES = LEAST_MEMORY_BYTES + 48 * MIB;
const COPY_BYTES = MIB;

/**
 * Yield what a recipe of a sealed payload rebuilds: the payload's 40-byte header, and then its content.
 *
 * What comes out is checked by nobody here: whoever takes it encrypts each segment again, and compares with the signed
 * index. Returns the recipe's head. Throws FormatError, TruncatedError, NotForUsError where it was made for another base
 * or takes too much memory, SourceChangedError, TransferError, and what the pieces throw.
 * @param {AsyncIterable<Uint8Array>} recipe its bytes, as unsealCompanion() gives them
 * @param {RebuildOptions} options
 * @returns {AsyncGenerator<Bytes, Head>}
 */
export async function* rebuild(recipe, options) {
  const reader = new RecipeReader(recipe, options.zstd);
  const head = await reader.head();
  if (head.payloadHeaderBytes === 0) throw new UsageError("recipe: rebuilds plain content, which only its own digest checks");
  yield* new Rebuilding(reader, head, options).pieces();
  return head;
}

/**
 * Return the content that a recipe of plain files rebuilds, once it has the digest that the recipe says.
 *
 * All of it is in memory, at most `mostBytes`. Throws what rebuild() throws, and TamperedError.
 * @param {AsyncIterable<Uint8Array>} recipe
 * @param {RebuildOptions & { mostBytes: number }} options
 * @returns {Promise<Bytes>}
 */
export async function rebuildWhole(recipe, options) {
  const reader = new RecipeReader(recipe, options.zstd);
  const head = await reader.head();
  if (head.payloadHeaderBytes > 0) throw new UsageError("recipe: rebuilds a sealed payload, whose index checks it");
  const pieces = [];
  let bytes = 0;
  for await (const piece of new Rebuilding(reader, head, options).pieces()) {
    bytes += piece.length;
    if (bytes > options.mostBytes) throw new NotForUsError(`recipe: rebuilds more than ${options.mostBytes} bytes`);
    pieces.push(piece);
  }
  const content = concat(pieces);
  const found = toHex(await sha256(content));
  if (found !== head.newDigest) {
    throw new TamperedError(
      `recipe: what it rebuilt has the digest ${found.slice(0, 16)}, expected ${head.newDigest.slice(0, 16)}; ` +
        "the base or the recipe is damaged",
    );
  }
  return content;
}

/** One rebuilding. */
class Rebuilding {
  /** @type {Bytes[]} the last frames, as far back as a block may refer to them */
  #history = [];
  #historyBytes = 0;

  /**
   * @param {RecipeReader} reader
   * @param {Head} head
   * @param {RebuildOptions} options
   */
  constructor(reader, head, { base, memoryBytes = MAX_MEMORY_BYTES }) {
    this.reader = reader;
    this.head = head;
    this.files = base;
    this.memoryBytes = memoryBytes;
  }

  /** @returns {AsyncGenerator<Bytes, void>} */
  async *pieces() {
    try {
      const base = await Base.of(this.files);
      this.#checkHead(base);
      const { directoryBytes } = this.head;
      const directory = directoryBytes > 0 ? new DirectoryMaker(directoryBytes) : null;
      let header = this.head.payloadHeaderBytes;
      for await (const block of this.reader.blocks(this.head)) {
        for await (const piece of this.#rebuilt(block, base)) {
          directory?.feed(piece.subarray(header)); // the first piece holds all of it
          header = 0;
          yield piece;
        }
      }
      if (!directory) return;
      const end = directory.finish();
      if (end.length !== directoryBytes) {
        throw new FormatError(`recipe: directory of ${end.length} bytes, ${directoryBytes} are declared`);
      }
      yield end;
    } finally {
      await this.reader.close();
    }
  }

  /** @param {Base} base */
  #checkHead({ digest, layout }) {
    const { referenceBytes, frameBytes, baseDigest, baseEntries, baseBytes } = this.head;
    const needed = LEAST_MEMORY_BYTES + referenceBytes + 2 * frameBytes;
    if (needed > this.memoryBytes) {
      throw new NotForUsError(`recipe: takes ${needed} bytes of memory, ${this.memoryBytes} are taken here`);
    }
    if (baseDigest !== digest || baseEntries !== layout.starts.length || baseBytes !== layout.size) {
      throw new NotForUsError(
        `recipe: made for the base ${baseDigest.slice(0, 16)} of ${baseEntries} entries and ${baseBytes} bytes, ` +
          `this is ${digest.slice(0, 16)} of ${layout.starts.length} and ${layout.size}`,
      );
    }
  }

  /**
   * @param {Block} block
   * @param {Base} base
   */
  async *#rebuilt({ where, stored, packed, instructions }, base) {
    const { ranges, copies } = placesIn(instructions, base.layout, where);
    const frame = stored
      ? packed
      : await this.reader.unpacked(packed, instructions.frameBytes, await this.#reference(ranges, instructions, base), where);
    this.#remember(frame);
    let at = 0;
    for (const [i, insert] of instructions.inserts.entries()) {
      if (insert > 0) yield frame.slice(at, at + insert);
      at += insert;
      const copy = copies[i] ?? { at: 0, size: 0 };
      for (let done = 0; done < copy.size;) {
        const piece = new Uint8Array(Math.min(COPY_BYTES, copy.size - done));
        await base.readInto(copy.at + done, piece);
        done += piece.length;
        yield piece;
      }
    }
  }

  /**
   * @param {Range[]} ranges
   * @param {Instructions} instructions
   * @param {Base} base
   */
  async #reference(ranges, { referenceBytes, historyBytes }, base) {
    const reference = new Uint8Array(referenceBytes);
    let end = 0;
    for (const { at, size } of ranges) {
      await base.readInto(at, reference.subarray(end, end + size));
      end += size;
    }
    let skipped = this.#historyBytes - historyBytes;
    for (const frame of historyBytes > 0 ? this.#history : []) {
      const piece = frame.subarray(Math.max(0, skipped));
      skipped -= frame.length;
      reference.set(piece, end);
      end += piece.length;
    }
    return reference;
  }

  /**
   * Keep a frame, and forget those that no block may refer to any more.
   * @param {Bytes} frame
   */
  #remember(frame) {
    const most = this.head.historyBytes;
    if (most === 0) return;
    this.#history.push(frame);
    this.#historyBytes += frame.length;
    for (let first = this.#history[0]; first && this.#historyBytes - first.length >= most; first = this.#history[0]) {
      this.#historyBytes -= first.length;
      this.#history.shift();
    }
  }
}
