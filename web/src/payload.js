/** Segments of a payload: header, session key, commitment, AES-GCM (docs/format.md, Payload and Companions). */

import { equal, utf8 } from "./bytes.js";
import { FormatError, TamperedError } from "./errors.js";
import { HEADER_BYTES, SEGMENT_BYTES, segmentCount } from "./layout.js";
import { fromBase64 } from "./members.js";
import { hkdf, subtle } from "./webcrypto.js";

/** @import { Bytes } from "./bytes.js" */
/** @import { Statement } from "./statement.js" */

/** @typedef {{ salt: Bytes, prefix: Bytes }} Header */

/**
 * Read a header from the start of a payload whose first segment was checked. Throws FormatError.
 * @param {Bytes} payload
 * @returns {Header}
 */
export function parseHeader(payload) {
  if (payload.length < HEADER_BYTES || payload[0] !== HEADER_BYTES) {
    throw new FormatError(`payload header at byte 0: length byte is ${payload[0]}, expected ${HEADER_BYTES}`, 0);
  }
  return { salt: payload.slice(1, 33), prefix: payload.slice(33, HEADER_BYTES) };
}

/**
 * Throw TamperedError unless the session key is the one that was committed to: AES-GCM itself does not say.
 * @param {CryptoKey} sessionKey
 * @param {Header} header of the bundle's own payload
 * @param {Statement} statement
 */
export async function checkCommitment(sessionKey, header, statement) {
  const found = await hkdf(sessionKey, header.salt, utf8(`capseal/v1 commitment ${statement.app}`));
  if (!equal(found, fromBase64(statement.encryption.commitment, "statement.encryption.commitment"))) {
    throw new TamperedError("session key does not match the signed commitment; the wrapped key was altered");
  }
}

/** AES-256-GCM of whole segments under the key of one stream. */
export class SegmentCipher {
  /**
   * @param {CryptoKey} key
   * @param {Bytes} prefix of every nonce
   * @param {number} size of the payload, in bytes
   */
  constructor(key, prefix, size) {
    this.key = key;
    this.prefix = prefix;
    this.last = segmentCount(size) - 1;
  }

  /**
   * Return the cipher of a payload, or of the companion of that name.
   * @param {CryptoKey} sessionKey
   * @param {Header} header
   * @param {number} size of the payload, in bytes
   * @param {string} app
   * @param {string} [companion]
   */
  static async of(sessionKey, header, size, app, companion) {
    // Neither name holds a space, so no two companions, and no companion and payload, share it.
    const info = companion === undefined ? `capseal/v1 ${app}` : `capseal/v1 companion ${app} ${companion}`;
    const derived = await hkdf(sessionKey, header.salt, utf8(info));
    const key = await subtle().importKey("raw", derived, "AES-GCM", false, ["decrypt"]);
    return new SegmentCipher(key, header.prefix, size);
  }

  /**
   * Return a segment's nonce: the prefix, its number, and whether it is the last.
   * @param {number} segment
   */
  nonce(segment) {
    const iv = new Uint8Array(12);
    iv.set(this.prefix);
    new DataView(iv.buffer).setUint32(7, segment);
    iv[11] = segment === this.last ? 1 : 0;
    return iv;
  }

  /**
   * Return a segment's plaintext. Throws TamperedError where its tag fails.
   * @param {number} segment
   * @param {Bytes} data the whole segment, already checked against the index
   * @returns {Promise<Bytes>}
   */
  async decrypt(segment, data) {
    const iv = this.nonce(segment);
    const stored = segment === 0 ? data.subarray(HEADER_BYTES) : data;
    try {
      return new Uint8Array(await subtle().decrypt({ name: "AES-GCM", iv }, this.key, stored));
    } catch {
      const offset = SEGMENT_BYTES * segment;
      throw new TamperedError(
        `segment ${segment} at byte ${offset}: authentication tag fails; ` +
          "it was encrypted with another key or for another place",
        segment,
        offset,
      );
    }
  }
}
