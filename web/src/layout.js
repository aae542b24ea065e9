/** Where segments lie in plaintext and payload (docs/format.md, Payload); sizes and offsets are in bytes. */

import { ceilDiv } from "./bytes.js";
import { FormatError } from "./errors.js";

export const DIGEST_BYTES = 32;
export const BLOCK_BYTES = 4096;
export const SEGMENT_BYTES = 512 * 1024;
export const HEADER_BYTES = 1 + 32 + 7;
const TAG_BYTES = 16;
/** Plaintext bytes of every full segment but the first, which also holds the header. */
const PLAIN_BYTES = SEGMENT_BYTES - TAG_BYTES;
const MAX_SEGMENTS = 2 ** 32; // the nonce counts them in 32 bits
export const MAX_CONTENT_BYTES = MAX_SEGMENTS * PLAIN_BYTES - HEADER_BYTES;
/** Payload and all companions together: 2 PiB. */
export const MAX_STORED_BYTES = MAX_SEGMENTS * SEGMENT_BYTES;

/**
 * Return how many segments, and so index entries, a payload of that size has.
 * @param {number} payloadBytes
 */
export function segmentCount(payloadBytes) {
  return ceilDiv(payloadBytes, SEGMENT_BYTES);
}

/**
 * Return the payload's size for that many plaintext bytes.
 * @param {number} contentBytes
 */
export function payloadBytesOf(contentBytes) {
  return HEADER_BYTES + contentBytes + TAG_BYTES * ceilDiv(contentBytes + HEADER_BYTES, PLAIN_BYTES);
}

/**
 * Return how many plaintext bytes a payload of that size holds. Throws FormatError where none has that size.
 * @param {number} payloadBytes
 * @param {string} place
 */
export function contentBytesOf(payloadBytes, place) {
  const contentBytes = payloadBytes - HEADER_BYTES - TAG_BYTES * segmentCount(payloadBytes);
  if (contentBytes < 0 || payloadBytesOf(contentBytes) !== payloadBytes) {
    throw new FormatError(`${place}: ${payloadBytes} bytes are no stream of whole segments, each with its tag`);
  }
  return contentBytes;
}

/**
 * Return the offset in the plaintext of a segment's first byte.
 * @param {number} segment
 */
export function plainOffset(segment) {
  return Math.max(0, segment * PLAIN_BYTES - HEADER_BYTES);
}

/**
 * Return the number of the segment that holds that plaintext offset.
 * @param {number} plainPosition
 */
export function segmentAt(plainPosition) {
  return Math.floor((plainPosition + HEADER_BYTES) / PLAIN_BYTES);
}
