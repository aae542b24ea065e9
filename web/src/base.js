/** What a recipe is applied to: files as one string, each behind the header of a stored zip (docs/delta.md, Base). */

import { concat, toHex, utf8 } from "./bytes.js";
import { FormatError, SourceChangedError } from "./errors.js";
import { localHeader } from "./zipheaders.js";
import { sha256 } from "./webcrypto.js";

/** @import { Bytes } from "./bytes.js" */

/**
 * The files that are here: names with `/` between their parts, a folder's with a final one, and no content.
 * @typedef {object} BaseFiles
 * @property {{ name: string, size: number, crc32: number }[]} entries in any order
 * @property {(name: string, offset: number, length: number) => Promise<Uint8Array>} read of a file, as many bytes as asked for
 * @property {string} [digest] hex: what the recipe knows it by, where that is not the digest of its listing
 */

/** @typedef {{ name: string, path: Bytes, size: number, crc32: number, start: number, data: number }} Entry */

/** Where the entries of a base lie in its string. */
export class Layout {
  /**
   * @param {number[]} starts rising from 0
   * @param {number} size of the whole string
   */
  constructor(starts, size) {
    this.starts = starts;
    this.size = size;
  }

  /**
   * Return where a stretch starts that is so many entries behind the end of the one before. Throws FormatError.
   *
   * offset: in that entry, or, where it is the same entry, from that end on.
   * @param {number} end
   * @param {number} entries
   * @param {number} offset
   * @param {number} size
   * @param {string} where
   */
  go(end, entries, offset, size, where) {
    const last = this.find(end);
    const number = last + entries;
    const start = this.starts[number];
    if (start === undefined) throw new FormatError(`${where}: entry ${number} of a base of ${this.starts.length}`);
    const stop = this.starts[number + 1] ?? this.size;
    const at = (entries === 0 ? end : start) + offset;
    if (at < start || at >= stop || at + size > this.size) {
      throw new FormatError(
        `${where}: ${size} bytes at byte ${at - start} of entry ${number}, which has ${stop - start}; the base ` +
          `ends ${this.size - start} bytes from there`,
      );
    }
    return at;
  }

  /**
   * Return the number of the entry that an offset lies in; the end lies in the last one.
   * @param {number} at
   */
  find(at) {
    let [low, high] = [0, this.starts.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((this.starts[middle] ?? 0) <= at) low = middle;
      else high = middle;
    }
    return low;
  }
}

/** The base string, read anywhere. */
export class Base {
  /**
   * @param {Entry[]} entries
   * @param {Layout} layout
   * @param {string} digest what it is known by, hex
   * @param {BaseFiles["read"]} read
   */
  constructor(entries, layout, digest, read) {
    this.entries = entries;
    this.layout = layout;
    this.digest = digest;
    this.files = read;
  }

  /**
   * Return files as a base.
   * @param {BaseFiles} files
   */
  static async of({ entries, read, digest }) {
    const sorted = entries.map((entry) => ({ ...entry, path: utf8(entry.name), start: 0, data: 0 }));
    sorted.sort((one, other) => compared(one.path, other.path));
    let at = 0;
    const listing = [];
    for (const entry of sorted) {
      entry.start = at;
      entry.data = at + localHeader(entry.path, entry.crc32, entry.size).length;
      at = entry.data + entry.size;
      const end = new DataView(new ArrayBuffer(9));
      end.setBigUint64(1, BigInt(entry.size));
      listing.push(entry.path, new Uint8Array(end.buffer));
    }
    const layout = new Layout(
      sorted.map(({ start }) => start),
      at,
    );
    return new Base(sorted, layout, digest ?? toHex(await sha256(concat(listing))), read);
  }

  /**
   * Fill a buffer from an offset of the string on, within which it lies. Throws SourceChangedError.
   * @param {number} at
   * @param {Bytes} buffer
   */
  async readInto(at, buffer) {
    const stop = at + buffer.length;
    for (let number = this.layout.find(at), done = at; done < stop; number++) {
      const entry = /** @type {Entry} */ (this.entries[number]);
      if (done < entry.data) {
        const header = localHeader(entry.path, entry.crc32, entry.size);
        const piece = header.subarray(done - entry.start, stop - entry.start);
        buffer.set(piece, done - at);
        done += piece.length;
      }
      const wanted = Math.min(stop, entry.data + entry.size) - done;
      if (wanted <= 0) continue;
      const piece = await this.files(entry.name, done - entry.data, wanted);
      if (piece.length !== wanted) {
        throw new SourceChangedError(`base: ${entry.name} gave ${piece.length} bytes of ${wanted} at ${done - entry.data}`);
      }
      buffer.set(piece, done - at);
      done += wanted;
    }
  }
}

/**
 * @param {Bytes} one
 * @param {Bytes} other
 */
function compared(one, other) {
  const differs = one.findIndex((byte, i) => byte !== other[i]);
  return differs < 0 ? one.length - other.length : (one[differs] ?? 0) - (other[differs] ?? -1);
}
