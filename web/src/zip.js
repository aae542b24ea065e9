/**
 * A zip as it arrives, in order: each file as its bytes come, and at the end a directory that must say the same.
 *
 * Entries lie one after the other from byte 0 to the directory, which the end records follow, and they end the archive.
 * Nothing may be used before the last entry was taken and the directory agreed: whoever reads it stops the writer then.
 * Sizes may stand in front of the data, as capseal writes them, or behind it. Throws FormatError.
 */

import { shown } from "./bytes.js";
import { crc32 } from "./crc.js";
import { FormatError } from "./errors.js";
import { DESCRIPTOR, endFinder } from "./zipdescriptor.js";
import { SHAPING_FLAGS, checkDirectory, checkVersion, decoded, localSizes } from "./zipdirectory.js";
import { Input } from "./zipinput.js";
import { Names } from "./zipnames.js";

export { checkPath } from "./zipnames.js";

/** @import { Bytes } from "./bytes.js" */

/**
 * What an archive may unpack to; ratio: content bytes per byte of the archive.
 * @typedef {{ contentBytes: number, entries: number, ratio: number }} ArchiveLimits
 */

/**
 * A folder's name ends with `/`; crc32: to be asked for once all pieces were taken, since it may stand behind them.
 * @typedef {{ name: string, pieces: AsyncIterable<Bytes>, crc32: () => number }} ZipEntry
 */

/**
 * A header in front of data. crc, stored, size: 0 or right until the end of data whose sizes stand behind it, which isLater
 * says; isWide: whether it has a zip64 field; isRoot: whether it is of the folder that everything is in.
 * @typedef {object} Local
 * @property {string} name
 * @property {string} raw
 * @property {boolean} isRoot
 * @property {boolean} isFolder
 * @property {boolean} isLater
 * @property {boolean} isWide
 * @property {number} method
 * @property {number} flags
 * @property {number} crc
 * @property {number} stored
 * @property {number} size
 * @property {number} offset
 */

/** @type {ArchiveLimits} */
export const DEFAULT_LIMITS = { contentBytes: 64 * 1024 ** 3, entries: 100_000, ratio: 100 };

const LOCAL = 0x04034b50;
const STORED = 0;
const DEFLATED = 8;
const ROOT = "./"; // an entry of bsdtar's, which writes names as find does

/**
 * Yield the entries of an archive; each one's pieces are to be taken before the next entry. Throws FormatError, and what
 * the pieces throw.
 * @param {AsyncIterable<Bytes>} pieces
 * @param {ArchiveLimits} [limits]
 * @param {number} [archiveBytes] where that is known: the ratio holds while data arrives then, and else at the end
 * @returns {AsyncGenerator<ZipEntry, void>}
 */
export async function* entries(pieces, limits = DEFAULT_LIMITS, archiveBytes = Infinity) {
  const input = new Input(pieces);
  const unpacked = new Unpacked(limits);
  const names = new Names(limits.entries);
  /** @type {Map<number, Local>} */
  const locals = new Map();
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
      if (!local.isLater) {
        checkSizes(local);
        unpacked.add(local.size, archiveBytes);
      }
      const data = new Data(input, local, (bytes) => unpacked.add(bytes, archiveBytes));
      if (!local.isRoot) yield { name: local.name, pieces: data.pieces(), crc32: () => local.crc };
      await data.finish();
    }
    unpacked.add(0, input.position);
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
  const { size, stored, isWide } = localSizes(extra, view.getUint32(18, true), view.getUint32(14, true), name);
  checkVersion(name, view.getUint16(0, true));
  if ((flags & SHAPING_FLAGS & ~DESCRIPTOR) !== 0) {
    throw new FormatError(`entry ${shown(name)}: flags ${flags.toString(16)}: encrypted, or a patch`, offset);
  }
  if (method !== STORED && method !== DEFLATED) throw new FormatError(`entry ${shown(name)}: method ${method}`, offset);
  const [isFolder, isLater] = [stated.endsWith("/"), (flags & DESCRIPTOR) !== 0];
  return { name, raw: String(raw), isRoot, isFolder, isLater, isWide, method, flags, crc, stored, size, offset };
}

/**
 * Check the sizes of an entry, once they are known. Throws FormatError.
 * @param {Local} local
 */
function checkSizes({ name, isFolder, method, stored, size, offset }) {
  if (method === STORED && stored !== size) {
    throw new FormatError(`entry ${shown(name)}: ${stored} stored bytes for ${size}`, offset);
  }
  if (isFolder && size > 0) throw new FormatError(`entry ${shown(name)}: a folder with content`, offset);
}

/** What came out of an archive, or is to come as it declares. */
class Unpacked {
  bytes = 0;

  /** @param {ArchiveLimits} limits */
  constructor(limits) {
    this.limits = limits;
  }

  /**
   * Throws FormatError where that is more than an archive of so many bytes may give.
   * @param {number} bytes
   * @param {number} archiveBytes
   */
  add(bytes, archiveBytes) {
    const { contentBytes, ratio } = this.limits;
    this.bytes += bytes;
    if (this.bytes > contentBytes) throw new FormatError(`archive: unpacks to more than ${contentBytes} bytes`);
    if (this.bytes > ratio * archiveBytes) {
      throw new FormatError(`archive: ${archiveBytes} bytes unpack to ${this.bytes}, more than ${ratio} times as many`);
    }
  }
}

/** The data of one entry. */
class Data {
  #done = false;
  #begun = false;

  /**
   * @param {Input} input
   * @param {Local} local
   * @param {(bytes: number) => void} add is told of content, before it is given, where its size was not
   */
  constructor(input, local, add) {
    this.input = input;
    this.local = local;
    this.add = add;
  }

  async *pieces() {
    const { local, input } = this;
    const { name, method, isLater } = local;
    if (this.#begun) return;
    this.#begun = true;
    const raw = isLater ? input.upToEnd(endFinder(local, method === STORED)) : input.upTo(local.stored);
    let [found, sum] = [0, 0];
    for await (const piece of method === STORED ? raw : inflated(raw, name)) {
      found += piece.length;
      if (isLater) this.add(piece.length);
      else if (found > local.size) {
        throw new FormatError(`entry ${shown(name)}: more than the ${local.size} bytes that it declares`);
      }
      sum = crc32(piece, sum);
      yield piece;
    }
    if (isLater) checkSizes(local);
    if (found !== local.size) throw new FormatError(`entry ${shown(name)}: ${found} of ${local.size} bytes`);
    if (sum !== local.crc) throw new FormatError(`entry ${shown(name)}: its CRC-32 differs`);
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
