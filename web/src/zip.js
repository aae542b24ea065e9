/**
 * A zip as it arrives, in order: each file as its bytes come, and at the end a directory that must say the same.
 *
 * Entries lie one after the other from byte 0 to the directory, which the end records follow, and they end the archive.
 * Nothing may be used before the last entry was taken and the directory agreed: whoever reads it stops the writer then.
 * Sizes must stand before the data (no data descriptors), as capseal writes them. Throws FormatError.
 */

import { concat, shown } from "./bytes.js";
import { crc32 } from "./crc.js";
import { FormatError } from "./errors.js";
import { UTF8_NAME, checkDirectory, decoded, localSizes } from "./zipdirectory.js";
import { Names } from "./zipnames.js";

export { checkPath } from "./zipnames.js";

/** @import { Bytes } from "./bytes.js" */

/**
 * What an archive may unpack to; ratio: content bytes per byte of the archive.
 * @typedef {{ contentBytes: number, entries: number, ratio: number }} ArchiveLimits
 */

/** @typedef {{ name: string, size: number, crc32: number, pieces: AsyncIterable<Bytes> }} ZipEntry a folder's name ends with `/` */

/** @typedef {{ name: string, isRoot: boolean, raw: string, method: number, flags: number, crc: number, stored: number, size: number, offset: number }} Local */

/** @type {ArchiveLimits} */
export const DEFAULT_LIMITS = { contentBytes: 64 * 1024 ** 3, entries: 100_000, ratio: 100 };

const LOCAL = 0x04034b50;
const STORED = 0;
const DEFLATED = 8;
const ROOT = "./"; // an entry of bsdtar's, which writes names as find does
const LEVEL_BITS = 0x6;

/**
 * Yield the entries of an archive; each one's pieces are to be taken before the next entry. Throws FormatError, and what
 * the pieces throw.
 * @param {AsyncIterable<Bytes>} pieces
 * @param {ArchiveLimits} [limits]
 * @returns {AsyncGenerator<ZipEntry, void>}
 */
export async function* entries(pieces, limits = DEFAULT_LIMITS) {
  const input = new Input(pieces);
  const names = new Names(limits.entries);
  /** @type {Map<number, Local>} */
  const locals = new Map();
  let content = 0;
  let rooted = false;
  try {
    for (;;) {
      const offset = input.position;
      const signature = (await input.view(4)).getUint32(0, true);
      if (signature !== LOCAL) {
        await checkDirectory(input, signature, locals, offset);
        break;
      }
      const local = await readLocal(input, offset);
      locals.set(offset, local);
      if (!local.isRoot) names.add(local.name);
      else if (rooted) throw new FormatError(`entry ${shown(ROOT)}: appears twice`, offset);
      else rooted = true;
      content += local.size;
      if (content > limits.contentBytes) {
        throw new FormatError(`archive: unpacks to more than ${limits.contentBytes} bytes`);
      }
      const data = new Data(input, local, limits.ratio);
      if (!local.isRoot) yield { name: local.name, size: local.size, crc32: local.crc, pieces: data.pieces() };
      await data.finish();
    }
    if (content > limits.ratio * input.position) {
      throw new FormatError(`archive: ${input.position} bytes unpack to ${content}, more than ${limits.ratio} times as many`);
    }
  } finally {
    await input.close();
  }
}

/**
 * @param {Input} input
 * @param {number} offset
 * @returns {Promise<Local>}
 */
async function readLocal(input, offset) {
  const view = await input.view(26);
  const [flags, method] = [view.getUint16(2, true), view.getUint16(4, true)];
  const raw = await input.take(view.getUint16(22, true));
  const extra = await input.take(view.getUint16(24, true));
  const stated = decoded(raw, offset);
  const [name, isRoot] = [stated.replace(/^\.\//, ""), stated === ROOT];
  const crc = view.getUint32(10, true);
  const [size, stored] = localSizes(extra, view.getUint32(18, true), view.getUint32(14, true), name);
  if ((flags & ~(UTF8_NAME | LEVEL_BITS)) !== 0) {
    throw new FormatError(`entry ${shown(name)}: flags ${flags.toString(16)}: encrypted, or sizes behind the data`, offset);
  }
  if (method !== STORED && method !== DEFLATED) throw new FormatError(`entry ${shown(name)}: method ${method}`, offset);
  if (method === STORED && stored !== size) {
    throw new FormatError(`entry ${shown(name)}: ${stored} stored bytes for ${size}`, offset);
  }
  if (stated.endsWith("/") && size > 0) throw new FormatError(`entry ${shown(name)}: a folder with content`, offset);
  return { name, isRoot, raw: String(raw), method, flags, crc, stored, size, offset };
}

/** The data of one entry. */
class Data {
  #done = false;
  #begun = false;

  /**
   * @param {Input} input
   * @param {Local} local
   * @param {number} ratio
   */
  constructor(input, local, ratio) {
    this.input = input;
    this.local = local;
    this.ratio = ratio;
  }

  async *pieces() {
    const { name, method, size, crc } = this.local;
    if (this.#begun) return;
    this.#begun = true;
    const raw = this.input.upTo(this.local.stored);
    let [found, sum] = [0, 0];
    for await (const piece of method === STORED ? raw : inflated(raw, name)) {
      found += piece.length;
      if (found > size) throw new FormatError(`entry ${shown(name)}: more than the ${size} bytes that it declares`);
      sum = crc32(piece, sum);
      yield piece;
    }
    if (found < size) throw new FormatError(`entry ${shown(name)}: ${found} of ${size} bytes`);
    if (sum !== crc) throw new FormatError(`entry ${shown(name)}: its CRC-32 differs`);
    this.#done = true;
  }

  /** Take what nobody took: a folder's, which is nothing, or a file's that was passed over. */
  async finish() {
    for await (const _ of this.pieces());
    if (!this.#done) throw new FormatError(`entry ${shown(this.local.name)}: was not read to its end`);
  }
}

/**
 * @param {AsyncIterable<Bytes>} raw
 * @param {string} name
 * @returns {AsyncGenerator<Bytes, void>}
 */
async function* inflated(raw, name) {
  const inflating = new DecompressionStream("deflate-raw");
  const writer = inflating.writable.getWriter();
  /** @type {unknown} */
  let failure = null; // of what brings the bytes, which is none of the archive's
  const brought = async function* () {
    try {
      yield* raw;
    } catch (error) {
      failure = error;
      throw error;
    }
  };
  const feeding = (async () => {
    try {
      for await (const piece of brought()) await writer.write(piece.slice());
      await writer.close();
    } catch (error) {
      await writer.abort(error).catch(() => {});
    }
  })();
  const reader = inflating.readable.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      yield /** @type {Bytes} */ (value);
    }
  } catch (error) {
    await feeding;
    if (failure !== null) throw failure;
    throw new FormatError(`entry ${shown(name)}: damaged deflate data: ${/** @type {Error} */ (error).message}`);
  } finally {
    await reader.cancel().catch(() => {});
    await feeding;
  }
}

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

  async ended() {
    return !(await this.#fill());
  }

  async close() {
    await this.iterator.return?.();
  }
}
