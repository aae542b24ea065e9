/**
 * Where data ends whose sizes stand behind it, in a data descriptor (APPNOTE.TXT 4.3.9), read in order.
 *
 * That is at a header behind a descriptor whose packed size is that of all that came. What is sealed was read so as well
 * (engine/capseal/archive/local_headers.py). A false end is harmless: CRC-32, sizes or the directory differ then.
 */

import { shown, viewOf } from "./bytes.js";
import { FormatError } from "./errors.js";

/** @import { Bytes } from "./bytes.js" */
/** @import { Local } from "./zip.js" */

export const DESCRIPTOR = 0x8; // the flag
const P = 0x50;
const K = 0x4b;
const SIGNATURE_BYTES = 4;
const CRC_BYTES = 4;
const SIGNATURE = 0x08074b50;
const LONGEST = SIGNATURE_BYTES + CRC_BYTES + 2 * 8;

/** What may turn out to be no data: the longest descriptor, and a signature behind it that has come in part. */
export const HELD_BYTES = LONGEST + SIGNATURE_BYTES - 1;

/**
 * Return what finds the end of an entry's data. It is given bytes, with the last HELD_BYTES that it was given before in
 * front, and how many came before those; it returns where in them data ends and the next header starts, once that came,
 * and has put into the local header what was not known. It throws FormatError.
 * @param {Local} local
 * @param {boolean} isStored such data does not end by itself: it may hold nothing that other readers take for its end
 * @returns {(window: Bytes, before: number) => { end: number, next: number } | null}
 */
export function endFinder(local, isStored) {
  let first = -1; // offset of the first signature
  return (window, before) => {
    for (let at = window.indexOf(P); at >= 0 && at + SIGNATURE_BYTES <= window.length; at = window.indexOf(P, at + 1)) {
      const kind = kindAt(window, at);
      if (kind === null) continue;
      if (first < 0) first = before + at;
      const bytes = kind === "header" ? descriptorBytes(window.subarray(0, at), before + at, local.isWide) : 0;
      if (bytes === 0) continue;
      const end = at - bytes;
      take(local, window.subarray(end, at));
      if (isStored && local.stored > 0 && first !== before + end) {
        throw new FormatError(
          `entry ${shown(local.name)}: stored without its size in front, with what looks like a header in its data, or no signature behind it`,
          local.offset,
        );
      }
      return { end, next: at };
    }
    return null;
  };
}

/**
 * Say what begins here, in four bytes.
 * @param {Bytes} window
 * @param {number} at
 * @returns {"header" | "descriptor" | null}
 */
function kindAt(window, at) {
  if (window[at + 1] !== K) return null;
  const [third, fourth] = [window[at + 2], window[at + 3]];
  if ((third === 1 && fourth === 2) || (third === 3 && fourth === 4)) return "header";
  return third === 7 && fourth === 8 ? "descriptor" : null;
}

/**
 * Return how many of the last bytes are a descriptor of all in front of it; 0 for none.
 * @param {Bytes} window the last of them
 * @param {number} came bytes of data and descriptor
 * @param {boolean} isWide whether sizes have 8 bytes: they have where the local header has a zip64 field, and may elsewhere
 */
function descriptorBytes(window, came, isWide) {
  const view = viewOf(window);
  for (const sizeBytes of isWide ? [8] : [8, 4]) { // the longer ones are found by chance less often
    for (const signatureBytes of [SIGNATURE_BYTES, 0]) {
      const bytes = signatureBytes + CRC_BYTES + 2 * sizeBytes;
      if (bytes > window.length || sizesAt(view, sizeBytes)[0] !== came - bytes) continue;
      if (signatureBytes === 0 || view.getUint32(window.length - bytes, true) === SIGNATURE) return bytes;
    }
  }
  return 0;
}

/**
 * Return both sizes at the end of a descriptor, packed first.
 * @param {DataView} view
 * @param {number} bytes of each
 * @returns {[number, number]}
 */
function sizesAt(view, bytes) {
  const [packed, size] = [view.byteLength - 2 * bytes, view.byteLength - bytes];
  if (bytes === 4) return [view.getUint32(packed, true), view.getUint32(size, true)];
  return [Number(view.getBigUint64(packed, true)), Number(view.getBigUint64(size, true))];
}

/**
 * Put into the local header what a descriptor says; what stands there already must be that. Throws FormatError.
 * @param {Local} local
 * @param {Bytes} descriptor
 */
function take(local, descriptor) {
  const view = viewOf(descriptor);
  const sizeBytes = descriptor.length < CRC_BYTES + 2 * 8 ? 4 : 8;
  const crc = view.getUint32(descriptor.length - 2 * sizeBytes - CRC_BYTES, true);
  const [stored, size] = sizesAt(view, sizeBytes);
  for (const [stated, found] of [[local.crc, crc], [local.stored, stored], [local.size, size]]) {
    if (stated !== 0 && stated !== found) {
      throw new FormatError(`entry ${shown(local.name)}: ${stated} in front of the data, ${found} behind it`, local.offset);
    }
  }
  Object.assign(local, { crc, stored, size });
}
