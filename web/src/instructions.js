/** What a recipe says: its head, and the instructions of a block (docs/delta.md, Head and Blocks). */

import { toHex, viewOf } from "./bytes.js";
import { FormatError } from "./errors.js";
import { HEADER_BYTES } from "./layout.js";

/** @import { Bytes } from "./bytes.js" */
/** @import { Layout } from "./base.js" */

const MIB = 1024 * 1024;
const MAGIC = "8952454349504501";
const MAX_FRAME_BYTES = 8 * MIB;
export const MAX_REFERENCE_BYTES = 32 * MIB;
const MAX_HISTORY_BYTES = 8 * MIB;
const MAX_DIRECTORY_BYTES = 16 * MIB;
const MAX_NEW_BYTES = 2 ** 51;
const LEAST_BYTES = 64; // of a range or a copy
const MAX_NUMBER_BYTES = 8;
export const HEAD_BYTES = 109;

/**
 * What a recipe says first; the sizes of frame, reference and history are the largest of any block.
 * @typedef {object} Head
 * @property {number} payloadHeaderBytes 40 where what is rebuilt is a payload's header and its content, 0: content alone
 * @property {number} frameBytes
 * @property {number} referenceBytes
 * @property {number} historyBytes
 * @property {number} baseEntries
 * @property {number} baseBytes
 * @property {number} newBytes of all that is rebuilt
 * @property {number} directoryBytes of the zip directory at its end that follows from the rest
 * @property {string} baseDigest hex
 * @property {string} newDigest hex
 */

/** @typedef {{ at: number, size: number }} Range of the base string */

/**
 * What a block is made of: ranges and the last bytes of earlier frames are its frame's reference.
 * @typedef {object} Instructions
 * @property {[number, number][]} rangeSteps entries and offsets, each a step from where the range before ended
 * @property {number[]} rangeSizes
 * @property {number} historyBytes
 * @property {number[]} inserts bytes of the frame, one after the other
 * @property {number[]} copies bytes of the base that follow each
 * @property {[number, number][]} copySteps
 * @property {number} frameBytes
 * @property {number} referenceBytes
 * @property {number} newBytes
 */

/**
 * Parse the first 109 bytes. Throws FormatError.
 * @param {Bytes} data
 * @returns {Head}
 */
export function parseHead(data) {
  const view = viewOf(data);
  const magic = toHex(data.subarray(0, 8));
  if (magic !== MAGIC) throw new FormatError(`recipe: begins with ${magic}, expected ${MAGIC}`, 0);
  const head = {
    payloadHeaderBytes: view.getUint8(8),
    frameBytes: view.getUint32(9),
    referenceBytes: view.getUint32(13),
    historyBytes: view.getUint32(17),
    baseEntries: view.getUint32(21),
    baseBytes: Number(view.getBigUint64(25)),
    newBytes: Number(view.getBigUint64(33)),
    directoryBytes: view.getUint32(41),
    baseDigest: toHex(data.subarray(45, 77)),
    newDigest: toHex(data.subarray(77, 109)),
  };
  const { payloadHeaderBytes: header, newBytes, directoryBytes, baseEntries, baseBytes } = head;
  if (header !== 0 && header !== HEADER_BYTES) {
    throw new FormatError(`recipe: payload header of ${header} bytes, expected 0 or ${HEADER_BYTES}`, 8);
  }
  for (const [what, value, most] of /** @type {[string, number, number][]} */ ([
    ["frames", head.frameBytes, MAX_FRAME_BYTES],
    ["references", head.referenceBytes, MAX_REFERENCE_BYTES],
    ["history", head.historyBytes, Math.min(MAX_HISTORY_BYTES, head.referenceBytes)],
    ["base", baseBytes, MAX_NEW_BYTES],
    ["new content", newBytes, MAX_NEW_BYTES],
    ["directory", directoryBytes, Math.min(MAX_DIRECTORY_BYTES, newBytes)],
  ])) {
    if (value > most) throw new FormatError(`recipe: ${what} of ${value} bytes, at most ${most} are allowed`, 9);
  }
  if (newBytes - directoryBytes < header) {
    throw new FormatError(`recipe: ${newBytes} bytes do not hold a payload header of ${header}`, 33);
  }
  if ((baseEntries === 0) !== (baseBytes === 0)) {
    throw new FormatError(`recipe: base of ${baseEntries} entries and ${baseBytes} bytes`, 21);
  }
  return head;
}

/**
 * Parse all of a block's instructions. Throws FormatError.
 * @param {Bytes} data
 * @param {string} where which block, for messages
 * @returns {Instructions}
 */
export function parseInstructions(data, where) {
  const numbers = new Numbers(data, where);
  const ranges = numbers.count("ranges");
  const [entries, offsets] = [numbers.signed(ranges), numbers.signed(ranges)];
  const rangeSizes = numbers.many(ranges);
  const short = rangeSizes.find((size) => size < LEAST_BYTES);
  if (short !== undefined) throw new FormatError(`${where}: a range of ${short} bytes, at least ${LEAST_BYTES} are expected`);
  const [historyBytes = 0] = numbers.many(1);
  const operations = numbers.count("operations");
  const [inserts, copies] = [numbers.many(operations), numbers.many(operations)];
  copies.forEach((copy, i) => {
    if (copy < LEAST_BYTES && (copy !== 0 || inserts[i] === 0 || i !== operations - 1)) {
      throw new FormatError(
        `${where}: operation ${i} of ${operations} takes ${inserts[i]} bytes and copies ${copy}, at least ` +
          `${LEAST_BYTES} are expected`,
      );
    }
  });
  if (operations === 0) throw new FormatError(`${where}: no operations`);
  const copied = operations - (copies.at(-1) === 0 ? 1 : 0);
  const [copyEntries, copyOffsets] = [numbers.signed(copied), numbers.signed(copied)];
  numbers.finish();
  const frameBytes = sum(inserts);
  return {
    rangeSteps: paired(entries, offsets),
    rangeSizes,
    historyBytes,
    inserts,
    copies,
    copySteps: paired(copyEntries, copyOffsets),
    frameBytes,
    referenceBytes: sum(rangeSizes) + historyBytes,
    newBytes: frameBytes + sum(copies),
  };
}

/**
 * Return where ranges and copies lie in a base. Throws FormatError where there is no such place.
 * @param {Instructions} instructions
 * @param {Layout} layout
 * @param {string} where
 * @returns {{ ranges: Range[], copies: Range[] }}
 */
export function placesIn({ rangeSteps, rangeSizes, copySteps, copies }, layout, where) {
  const ranges = placed(rangeSteps, rangeSizes, layout, where);
  ranges.forEach(({ at }, i) => {
    const before = ranges[i - 1];
    if (before && at <= before.at + before.size) {
      throw new FormatError(`${where}: a range at byte ${at} of the base, the one before ends at ${before.at + before.size}`);
    }
  });
  return { ranges, copies: placed(copySteps, copies, layout, where) };
}

/**
 * @param {[number, number][]} steps
 * @param {number[]} sizes
 * @param {Layout} layout
 * @param {string} where
 */
function placed(steps, sizes, layout, where) {
  let end = 0;
  return steps.map(([entries, offset], i) => {
    const size = sizes[i] ?? 0;
    const at = layout.go(end, entries, offset, size, where);
    end = at + size;
    return { at, size };
  });
}

/** @param {number[]} numbers */
function sum(numbers) {
  return numbers.reduce((all, one) => all + one, 0);
}

/**
 * @param {number[]} ones
 * @param {number[]} others
 * @returns {[number, number][]}
 */
function paired(ones, others) {
  return ones.map((one, i) => [one, others[i] ?? 0]);
}

/**
 * Whole numbers of 7 bits a byte, the low ones first, in their shortest form.
 *
 * Those above 2^53 lose their last digits here, and no bound lets them pass.
 */
class Numbers {
  #at = 0;

  /**
   * @param {Bytes} data
   * @param {string} where
   */
  constructor(data, where) {
    this.data = data;
    this.where = where;
  }

  /**
   * Take a count of things of at least a byte each, which must be there.
   * @param {string} what
   */
  count(what) {
    const [number = 0] = this.many(1);
    if (number > this.data.length - this.#at) {
      throw new FormatError(`${this.where}: ${number} ${what} in ${this.data.length} bytes`, this.#at);
    }
    return number;
  }

  /** @param {number} count */
  many(count) {
    return Array.from({ length: count }, () => this.#one());
  }

  /** @param {number} count */
  signed(count) {
    return this.many(count).map((number) => (number % 2 === 1 ? -(number + 1) / 2 : number / 2));
  }

  #one() {
    const start = this.#at;
    let number = 0;
    for (let place = 0; place < MAX_NUMBER_BYTES; place++) {
      const byte = this.data[this.#at++];
      if (byte === undefined) {
        throw new FormatError(`${this.where}: ${this.data.length} bytes end in the middle of a number`, this.data.length);
      }
      number += (byte & 0x7f) * 2 ** (7 * place);
      if (byte === 0 && place > 0) break;
      if (byte < 0x80) return number;
    }
    throw new FormatError(`${this.where}: the number at byte ${start} is not in its shortest form`, start);
  }

  finish() {
    if (this.#at !== this.data.length) {
      throw new FormatError(`${this.where}: ${this.data.length} bytes, instructions end at ${this.#at}`, this.#at);
    }
  }
}
