/** The headers of capseal's own zips, and the directory that follows from them (docs/delta.md, Base and Directory). */

import { concat, viewOf } from "./bytes.js";
import { FormatError } from "./errors.js";

/** @import { Bytes } from "./bytes.js" */

/** @typedef {{ path: Bytes, method: number, crc32: number, packed: number, size: number }} Found of a local header */

const LOCAL_BYTES = 30;
const LONG_BYTES = 20;
const LOCAL = 0x04034b50;
const VERSION = 45;
const UTF8_NAME = 0x0800;
const DATE = 33; // 1980-01-01, the first day that a zip can name
const UNIX = 3 << 8;
const MAX16 = 0xffff;
const MAX32 = 0xffffffff;
const FILE = (0o100644 << 16) >>> 0;
const FOLDER = ((0o040755 << 16) | 0x10) >>> 0;

/**
 * Return the header in front of content that is stored.
 * @param {Bytes} path
 * @param {number} crc32
 * @param {number} size
 */
export function localHeader(path, crc32, size) {
  const long = size >= MAX32;
  const fields = [
    u32(LOCAL), u16(VERSION), u16(UTF8_NAME), u16(0), u16(0), u16(DATE), u32(crc32), u32(Math.min(size, MAX32)),
    u32(Math.min(size, MAX32)), u16(path.length), u16(long ? LONG_BYTES : 0), path,
  ]; // prettier-ignore
  return concat(long ? [...fields, u16(1), u16(16), u64(size), u64(size)] : fields);
}

/** Is fed a zip of capseal's making, without its directory, and gives that. */
export class DirectoryMaker {
  /** @type {Bytes[]} */
  #entries = [];
  #bytes = 0;
  #at = 0; // of what comes next
  #next = 0; // where the next header starts
  /** @type {Bytes} of a header that has come in part */
  #head = new Uint8Array();

  /** @param {number} mostBytes how large it may become */
  constructor(mostBytes) {
    this.mostBytes = mostBytes;
  }

  /**
   * Take what comes next. Throws FormatError where it is no zip of capseal's own making.
   * @param {Bytes} piece
   */
  feed(piece) {
    const start = this.#at;
    this.#at += piece.length;
    while (this.#next + this.#head.length < this.#at) {
      const done = this.#next + this.#head.length - start;
      const needed = this.#head.length < LOCAL_BYTES ? LOCAL_BYTES : headerBytes(this.#head);
      this.#head = concat([this.#head, piece.subarray(done, done + needed - this.#head.length)]);
      if (this.#head.length < needed) return;
      if (needed === LOCAL_BYTES && headerBytes(this.#head) > needed) continue; // the name comes now
      this.#take(this.#head);
    }
  }

  /** Return the directory and the end records. Throws FormatError unless the last entry has just ended. */
  finish() {
    if (this.#at !== this.#next || this.#head.length > 0) {
      throw new FormatError(`recipe: its zip ends at byte ${this.#at}, in the middle of entry ${this.#entries.length}`);
    }
    return concat([...this.#entries, ...endRecords(this.#entries.length, this.#bytes, this.#at)]);
  }

  /** @param {Bytes} head */
  #take(head) {
    const found = readLocalHeader(head);
    if (!found) throw new FormatError(`recipe: no header of capseal's own at byte ${this.#next} of the zip that it rebuilds`);
    const entry = directoryEntry(found, this.#next);
    this.#entries.push(entry);
    this.#bytes += entry.length;
    if (this.#bytes > this.mostBytes) {
      throw new FormatError(`recipe: its zip's directory has more than the ${this.mostBytes} bytes declared`);
    }
    this.#next += head.length + found.packed;
    this.#head = new Uint8Array();
  }
}

/** @param {Bytes} head */
function headerBytes(head) {
  const view = viewOf(head);
  return view.getUint32(0, true) === LOCAL ? LOCAL_BYTES + view.getUint16(26, true) + view.getUint16(28, true) : 0;
}

/**
 * @param {Bytes} head
 * @returns {Found | null}
 */
function readLocalHeader(head) {
  const view = viewOf(head);
  const pathBytes = view.getUint16(26, true);
  const extraBytes = view.getUint16(28, true);
  const ours = [LOCAL, VERSION, UTF8_NAME, 0, DATE];
  const found = [view.getUint32(0, true), ...[4, 6, 10, 12].map((at) => view.getUint16(at, true))];
  if (found.some((value, i) => value !== ours[i]) || head.length !== headerBytes(head) || pathBytes === 0) return null;
  const path = head.slice(LOCAL_BYTES, LOCAL_BYTES + pathBytes);
  const [method, crc32] = [view.getUint16(8, true), view.getUint32(14, true)];
  let [packed, size] = [view.getUint32(18, true), view.getUint32(22, true)];
  if (extraBytes > 0) {
    const at = LOCAL_BYTES + pathBytes;
    if (extraBytes !== LONG_BYTES || view.getUint16(at, true) !== 1 || view.getUint16(at + 2, true) !== 16) return null;
    [size, packed] = [Number(view.getBigUint64(at + 4, true)), Number(view.getBigUint64(at + 12, true))];
    if (Math.max(size, packed) < MAX32) return null;
  }
  return { path, method, crc32, packed, size };
}

/**
 * @param {Found} found
 * @param {number} offset
 */
function directoryEntry({ path, method, crc32, packed, size }, offset) {
  const large = [size, packed, offset].filter((value) => value >= MAX32);
  const extra = large.length > 0 ? [u16(1), u16(8 * large.length), ...large.map(u64)] : [];
  const attributes = path.at(-1) === 0x2f ? FOLDER : FILE;
  return concat([
    u32(0x02014b50), u16(UNIX | VERSION), u16(VERSION), u16(UTF8_NAME), u16(method), u16(0), u16(DATE), u32(crc32),
    u32(Math.min(packed, MAX32)), u32(Math.min(size, MAX32)), u16(path.length),
    u16(large.length > 0 ? 4 + 8 * large.length : 0), u16(0), u16(0), u16(0), u32(attributes),
    u32(Math.min(offset, MAX32)), path, ...extra,
  ]); // prettier-ignore
}

/**
 * @param {number} count
 * @param {number} size
 * @param {number} start
 */
function endRecords(count, size, start) {
  const long = count >= MAX16 || start >= MAX32 || size >= MAX32;
  const far = [
    u32(0x06064b50), u64(44), u16(UNIX | VERSION), u16(VERSION), u32(0), u32(0), u64(count), u64(count), u64(size),
    u64(start), u32(0x07064b50), u32(0), u64(start + size), u32(1),
  ]; // prettier-ignore
  const short = Math.min(count, MAX16);
  const end = [u32(0x06054b50), u16(0), u16(0), u16(short), u16(short), u32(Math.min(size, MAX32))];
  return [...(long ? far : []), ...end, u32(Math.min(start, MAX32)), u16(0)];
}

/** @param {number} value */
function u16(value) {
  return Uint8Array.of(value & 0xff, value >>> 8);
}

/** @param {number} value */
function u32(value) {
  const view = new DataView(new ArrayBuffer(4));
  view.setUint32(0, value, true);
  return new Uint8Array(view.buffer);
}

/** @param {number} value */
function u64(value) {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigUint64(0, BigInt(value), true);
  return new Uint8Array(view.buffer);
}
