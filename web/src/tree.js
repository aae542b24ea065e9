/** The integrity tree: segments -> index -> root -> digest (Linux fs-verity; docs/format.md, Tree and index). */

import { concat, equal, fromHex, toHex } from "./bytes.js";
import { TamperedError, TruncatedError } from "./errors.js";
import { BLOCK_BYTES, DIGEST_BYTES, SEGMENT_BYTES, segmentCount } from "./layout.js";
import { sha256 } from "./webcrypto.js";

/** @import { Bytes } from "./bytes.js" */

const INDEX_CHUNK_BYTES = 1024 * 1024;

/**
 * What every segment of a payload must be: an index that gives a signed digest.
 * @typedef {object} SignedIndex
 * @property {number} size of the payload, in bytes
 * @property {Bytes} entries 32 bytes per segment
 */

/**
 * Return the digests of the blocks of 4096 bytes, joined; the last block is padded with zeros.
 * @param {Bytes} data
 */
async function blockDigests(data) {
  const digests = [];
  // All in flight at once: WebCrypto spreads them over its threads.
  for (let at = 0; at < data.length; at += BLOCK_BYTES) {
    const block = data.subarray(at, at + BLOCK_BYTES);
    digests.push(sha256(block.length < BLOCK_BYTES ? padded(block) : block));
  }
  return concat(await Promise.all(digests));
}

/** @param {Bytes} block */
function padded(block) {
  const whole = new Uint8Array(BLOCK_BYTES);
  whole.set(block);
  return whole;
}

/**
 * Yield how many bytes to read at once of an index: memory follows what arrives, never what a seal declares.
 * @param {number} size of the payload, in bytes
 */
export function* indexChunks(size) {
  for (let missing = DIGEST_BYTES * segmentCount(size); missing > 0; missing -= INDEX_CHUNK_BYTES) {
    yield Math.min(INDEX_CHUNK_BYTES, missing);
  }
}

/**
 * Return the index of a payload whose size and digest are signed. Throws TruncatedError, TamperedError.
 * @param {Bytes} entries
 * @param {number} size
 * @param {string} signedDigest hex
 * @returns {Promise<SignedIndex>}
 */
export async function checkedIndex(entries, size, signedDigest) {
  const expected = DIGEST_BYTES * segmentCount(size);
  if (entries.length !== expected) {
    throw new TruncatedError(
      `index has ${entries.length} bytes, a payload of ${size} bytes needs ${expected}`,
      expected,
      entries.length,
    );
  }
  const found = await digest(entries, size);
  if (!equal(found, fromHex(signedDigest))) {
    throw new TamperedError(
      `index gives digest ${shortened(found)}, ${signedDigest.slice(0, 16)}… is signed; it is corrupt or was altered`,
    );
  }
  return { size, entries };
}

/**
 * Return the payload digest over an index: SHA-256 of the fs-verity descriptor, which binds root and size.
 * @param {Bytes} entries
 * @param {number} size
 */
async function digest(entries, size) {
  let level = entries;
  while (level.length > DIGEST_BYTES) level = await blockDigests(level);
  const descriptor = new Uint8Array(256);
  descriptor.set([1, 1, 12]); // version, SHA-256, log2 of the block's size
  new DataView(descriptor.buffer).setBigUint64(8, BigInt(size), true);
  descriptor.set(level, 16);
  return sha256(descriptor);
}

/**
 * Throw TamperedError where a segment differs from the signed index.
 * @param {SignedIndex} index
 * @param {number} segment
 * @param {Bytes} data the whole segment
 */
export async function checkSegment(index, segment, data) {
  const leaves = await blockDigests(data);
  // A payload of one block has no hash block: its entry is its leaf.
  const found = index.size <= BLOCK_BYTES ? leaves : await sha256(padded(leaves));
  const signed = index.entries.subarray(DIGEST_BYTES * segment, DIGEST_BYTES * (segment + 1));
  if (equal(found, signed)) return;
  const offset = SEGMENT_BYTES * segment;
  throw new TamperedError(
    `segment ${segment} at byte ${offset}: digest ${shortened(found)} differs from ${shortened(signed)} in the ` +
      "signed index; the payload is corrupt or was altered",
    segment,
    offset,
  );
}

/** @param {Bytes} digest */
function shortened(digest) {
  return `${toHex(digest.subarray(0, 8))}…`;
}

/**
 * Return the error for a payload of another size than the signed one.
 * @param {number} expected
 * @param {number} actual
 */
export function payloadEnded(expected, actual) {
  const how = actual < expected ? "ends early" : "goes on after its end";
  return new TruncatedError(`payload ${how}: ${actual} bytes, the seal says ${expected}`, expected, actual);
}
