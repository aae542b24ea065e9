/** A recipe read in order, block by block: each is checked as far as it can be without a base, before it is used. */

import { concat } from "./bytes.js";
import { FormatError, TruncatedError } from "./errors.js";
import { HEAD_BYTES, MAX_REFERENCE_BYTES, parseHead, parseInstructions } from "./instructions.js";
import { Zstd } from "./zstd.js";

/** @import { Bytes } from "./bytes.js" */
/** @import { Head, Instructions } from "./instructions.js" */

/** @typedef {{ where: string, stored: boolean, packed: Bytes, instructions: Instructions }} Block */

const MAX_INSTRUCTION_BYTES = 1024 * 1024;
const WORK_FACTOR = 8;
const BLOCK_HEAD_BYTES = 13;
const STORED = 0;
const ZSTD = 1;

/** Takes a recipe's bytes one after the other; memory follows what arrives, never what is declared. */
export class RecipeReader {
  #pieces;
  #left = new Uint8Array();
  #at = 0;
  /** @type {Zstd | null} */
  #zstd = null;
  #wasm;

  /**
   * @param {AsyncIterable<Uint8Array>} recipe
   * @param {BufferSource} [wasm] the bytes of zstd.wasm, where they do not lie beside its module
   */
  constructor(recipe, wasm) {
    this.#pieces = recipe[Symbol.asyncIterator]();
    this.#wasm = wasm;
  }

  /** Return what it says first. Throws FormatError, TruncatedError. */
  async head() {
    return parseHead(await this.#take(HEAD_BYTES, "head"));
  }

  /**
   * Yield the blocks, all of them, each checked as far as it can be without a base. Throws FormatError, TruncatedError.
   * @param {Head} head
   * @returns {AsyncGenerator<Block, void>}
   */
  async *blocks(head) {
    const { newBytes, directoryBytes, payloadHeaderBytes, historyBytes } = head;
    const whole = newBytes - directoryBytes;
    let [frames, references] = [0, 0];
    for (let at = 0, number = 0; at < whole; number++) {
      const block = await this.#block(number, head);
      const { where, instructions } = block;
      if (number === 0 && (instructions.inserts[0] ?? 0) < payloadHeaderBytes) {
        throw new FormatError(
          `${where}: begins with ${instructions.inserts[0]} bytes of its frame, the payload's header has ${payloadHeaderBytes}`,
        );
      }
      if (instructions.historyBytes > Math.min(historyBytes, frames)) {
        throw new FormatError(
          `${where}: refers to the last ${instructions.historyBytes} bytes of ${frames}, at most ${historyBytes} are kept`,
        );
      }
      if (instructions.newBytes > whole - at) {
        throw new FormatError(`${where}: rebuilds ${instructions.newBytes} bytes, ${whole - at} are left of ${whole}`);
      }
      at += instructions.newBytes;
      frames += instructions.frameBytes;
      references += instructions.referenceBytes;
      if (references > MAX_REFERENCE_BYTES + WORK_FACTOR * at) {
        throw new FormatError(`${where}: references of ${references} bytes together, for ${at} that are rebuilt`);
      }
      yield block;
    }
    await this.#end();
  }

  /**
   * @param {number} number
   * @param {Head} head
   * @returns {Promise<Block>}
   */
  async #block(number, { frameBytes, referenceBytes }) {
    const where = `recipe: block ${number}`;
    const fixed = await this.#take(BLOCK_HEAD_BYTES, where);
    const view = new DataView(fixed.buffer);
    const [codec, packed, plain, frame] = [view.getUint8(0), view.getUint32(1), view.getUint32(5), view.getUint32(9)];
    if (codec !== STORED && codec !== ZSTD) throw new FormatError(`${where}: codec ${codec} is unknown`);
    if (plain > MAX_INSTRUCTION_BYTES || packed === 0 || packed > plain) {
      throw new FormatError(
        `${where}: instructions of ${plain} bytes in ${packed}, at most ${MAX_INSTRUCTION_BYTES} allowed`,
      );
    }
    if (frame > frameBytes) throw new FormatError(`${where}: frame of ${frame} bytes, at most ${frameBytes} are declared`);
    const data = await this.#take(packed, where);
    const instructions = parseInstructions(
      packed < plain ? await this.unpacked(data, plain, new Uint8Array(), `${where}: instructions`) : data,
      where,
    );
    if (instructions.frameBytes > frameBytes || instructions.referenceBytes > referenceBytes) {
      throw new FormatError(
        `${where}: frame of ${instructions.frameBytes} bytes, reference of ${instructions.referenceBytes}; at most ` +
          `${frameBytes} and ${referenceBytes} are declared`,
      );
    }
    if (codec === STORED && (frame !== instructions.frameBytes || instructions.referenceBytes > 0)) {
      throw new FormatError(
        `${where}: ${frame} stored bytes for ${instructions.frameBytes}, reference of ${instructions.referenceBytes}`,
      );
    }
    if (codec === ZSTD && frame >= instructions.frameBytes) {
      throw new FormatError(`${where}: ${instructions.frameBytes} bytes packed into ${frame}`);
    }
    return { where, stored: codec === STORED, packed: await this.#take(frame, where), instructions };
  }

  /**
   * Return what a frame holds. Throws FormatError, TransferError.
   * @param {Bytes} data
   * @param {number} size
   * @param {Bytes} reference
   * @param {string} where
   */
  async unpacked(data, size, reference, where) {
    this.#zstd ??= await Zstd.open(this.#wasm);
    return this.#zstd.unpacked(data, size, reference, where);
  }

  /**
   * @param {number} size
   * @param {string} where
   */
  async #take(size, where) {
    const taken = [];
    let count = 0;
    while (count < size) {
      if (this.#left.length === 0 && !(await this.#more())) break;
      const piece = this.#left.subarray(0, size - count);
      taken.push(piece);
      count += piece.length;
      this.#left = this.#left.subarray(piece.length);
    }
    if (count < size) {
      const [expected, actual] = [this.#at + size, this.#at + count];
      throw new TruncatedError(`${where}: ends at byte ${actual}, expected ${expected}`, expected, actual);
    }
    this.#at += size;
    return concat(taken);
  }

  /** Throw TruncatedError unless this is the end. */
  async #end() {
    if (this.#left.length > 0 || (await this.#more())) {
      throw new TruncatedError(`recipe: goes on behind its end at byte ${this.#at}`, this.#at, this.#at + 1);
    }
  }

  /** Stop who gives the pieces. */
  async close() {
    await this.#pieces.return?.();
  }

  async #more() {
    for (;;) {
      const { done, value } = await this.#pieces.next();
      if (done) return false;
      if (value.length === 0) continue;
      this.#left = new Uint8Array(value); // whoever gave it may use its buffer again
      return true;
    }
  }
}
