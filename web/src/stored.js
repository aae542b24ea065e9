/** Stored bytes whose index is signed, a bundle's own payload or a companion, and their source. */

import { SEGMENT_BYTES, segmentCount } from "./layout.js";
import { free } from "./memory.js";
import { checkSegment, payloadEnded } from "./tree.js";

/** @import { Bytes } from "./bytes.js" */
/** @import { SegmentCipher } from "./payload.js" */
/** @import { Source } from "./source.js" */
/** @import { SignedIndex } from "./tree.js" */

/** Segments that are read, checked and decrypted at once: 2 MiB, enough to keep WebCrypto's threads busy. */
const WIDTH = 4;

/** Nothing of it comes out unchecked. */
export class Stored {
  /**
   * @param {Source} source of the stored bytes
   * @param {SignedIndex} index
   * @param {AbortSignal} [signal]
   */
  constructor(source, index, signal) {
    this.source = source;
    this.index = index;
    this.signal = signal;
    this.count = segmentCount(index.size);
  }

  /** Throw TruncatedError where the source is known to have another size than the signed one. */
  checkSize() {
    const { size } = this.source;
    if (size !== null && size !== this.index.size) throw payloadEnded(this.index.size, size);
  }

  /**
   * Return a segment that was checked. Throws TamperedError, TruncatedError.
   * @param {number} segment
   */
  async segment(segment) {
    this.signal?.throwIfAborted();
    const start = SEGMENT_BYTES * segment;
    const wanted = Math.min(SEGMENT_BYTES, this.index.size - start);
    const data = await this.source.read(start, wanted);
    if (data.length < wanted) throw payloadEnded(this.index.size, start + data.length);
    await checkSegment(this.index, segment, data);
    return data;
  }

  /**
   * Yield what is made of each segment, in order; the first bad one ends it, and so does a byte after the signed end.
   * @template T
   * @param {(segment: number, data: Bytes) => Promise<T>} transform of a segment that was checked
   * @param {Promise<Bytes>} [first] the first segment, where it was read before
   * @returns {AsyncGenerator<T, void>}
   */
  async *segments(transform, first) {
    /** @type {Promise<T>[]} */
    const pending = [];
    for (let next = 0; next < this.count || pending.length > 0;) {
      for (; next < this.count && pending.length < WIDTH; next++) {
        const segment = next;
        const read = segment === 0 && first ? first : this.segment(segment);
        const made = read.then(async (data) => {
          const result = await transform(segment, data);
          free(data);
          return result;
        });
        made.catch(() => {}); // it is told when its turn comes, or not at all after another one failed
        pending.push(made);
      }
      yield await /** @type {Promise<T>} */ (pending.shift());
    }
    const { size } = this.index;
    if (this.source.size === null && (await this.source.read(size, 1)).length > 0) throw payloadEnded(size, size + 1);
  }

  /** Check every byte. Throws TamperedError, TruncatedError. */
  async check() {
    this.checkSize();
    for await (const _ of this.segments(async () => {}));
  }

  /**
   * Yield the plaintext, segment by segment. Throws RejectedError.
   * @param {(firstSegment: Bytes) => Promise<SegmentCipher>} open
   */
  async *plaintext(open) {
    this.checkSize();
    const first = await this.segment(0);
    const cipher = await open(first);
    const transform = (/** @type {number} */ segment, /** @type {Bytes} */ data) => cipher.decrypt(segment, data);
    for await (const piece of this.segments(transform, Promise.resolve(first))) if (piece.length > 0) yield piece;
  }
}
