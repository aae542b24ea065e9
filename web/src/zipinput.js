/** An archive's bytes as they arrive, taken in any sizes. */

import { concat } from "./bytes.js";
import { FormatError } from "./errors.js";
import { HELD_BYTES } from "./zipdescriptor.js";

/** @import { Bytes } from "./bytes.js" */

/** Pieces, taken in any sizes. */
export class Input {
  position = 0;
  /** @type {Bytes} */
  #left = new Uint8Array();

  /** @param {AsyncIterable<Bytes>} pieces */
  constructor(pieces) {
    this.iterator = pieces[Symbol.asyncIterator]();
  }

  async #fill() {
    while (this.#left.length === 0) {
      const { done, value } = await this.iterator.next();
      if (done) return false;
      this.#left = value;
    }
    return true;
  }

  /** @param {number} count */
  async take(count) {
    const pieces = [];
    for await (const piece of this.upTo(count)) pieces.push(piece.slice());
    return concat(pieces);
  }

  /** @param {number} count */
  async view(count) {
    return new DataView((await this.take(count)).buffer);
  }

  /**
   * Yield so many bytes. Throws FormatError where the archive ends before.
   * @param {number} count
   * @returns {AsyncGenerator<Bytes, void>}
   */
  async *upTo(count) {
    for (let missing = count; missing > 0;) {
      if (!(await this.#fill())) throw new FormatError(`archive: ends early, at byte ${this.position}`, this.position);
      const piece = this.#left.subarray(0, missing);
      this.#left = this.#left.subarray(piece.length);
      this.position += piece.length;
      missing -= piece.length;
      yield piece;
    }
  }

  /**
   * Yield the bytes in front of an end, and pass over what stands there. Throws FormatError, as upTo() and what finds it do.
   * @param {(window: Bytes, before: number) => { end: number, next: number } | null} find as endFinder() returns it
   * @returns {AsyncGenerator<Bytes, void>}
   */
  async *upToEnd(find) {
    let held = new Uint8Array();
    for (let given = 0, found = null; found === null;) {
      if (!(await this.#fill())) throw new FormatError(`archive: ends early, at byte ${this.position}`, this.position);
      const window = held.length > 0 ? concat([held, this.#left]) : this.#left;
      this.position += this.#left.length;
      found = find(window, given);
      const [end, next] = found ? [found.end, found.next] : [Math.max(0, window.length - HELD_BYTES), window.length];
      held = window.slice(end, next);
      this.#left = window.subarray(next);
      this.position -= this.#left.length;
      given += end;
      if (end > 0) yield window.subarray(0, end);
    }
  }

  async ended() {
    return !(await this.#fill());
  }

  async close() {
    await this.iterator.return?.();
  }
}
