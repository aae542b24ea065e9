/** From the first byte of a seal to a statement that may be believed, step by step (docs/format.md, Reading order). */

import { concat, toHex } from "./bytes.js";
import { MAX_ENVELOPE_BYTES, parseEnvelope, payloadOf } from "./dsse.js";
import { FormatError, TruncatedError } from "./errors.js";
import { checkExpected } from "./expect.js";
import { parseStatement } from "./statement.js";
import { checkedIndex, indexChunks } from "./tree.js";

/** @import { Bytes } from "./bytes.js" */
/** @import { Expect } from "./expect.js" */
/** @import { Source } from "./source.js" */
/** @import { Statement } from "./statement.js" */
/** @import { SignedIndex } from "./tree.js" */
/** @import { Role, Signer, TrustStore } from "./trust.js" */

const SEAL_TYPE = "application/vnd.capseal.seal.v1+json";
const MAGIC = "894341505345414c";
const HEADER_BYTES = 12;
const ALIGN_BYTES = 4096;

/**
 * A seal that passed.
 * @typedef {object} Verified
 * @property {Statement} statement what the signers vouch for
 * @property {readonly Signer[]} signers the trusted keys that signed
 */

/**
 * Read a seal and authenticate it. Throws RejectedError.
 * @param {Source} source
 * @param {TrustStore} trust
 * @param {Expect & { role: Role }} expect
 * @returns {Promise<{ verified: Verified, index: SignedIndex, sealBytes: number }>}
 */
export async function acceptSeal(source, trust, expect) {
  const cursor = new Cursor(source);
  const envelope = parseEnvelope(await cursor.take(parseHeader(await cursor.take(HEADER_BYTES))));
  const signers = await trust.check(envelope, expect.role);
  const statement = parseStatement(payloadOf(envelope, SEAL_TYPE));
  checkExpected(expect, statement);
  const { size, digest } = statement.payload;
  const entries = [];
  for (const count of indexChunks(size)) entries.push(await cursor.take(count));
  const index = await checkedIndex(concat(entries), size, digest["fsverity-sha256"]);
  const used = cursor.position;
  const padding = await cursor.take((ALIGN_BYTES - (used % ALIGN_BYTES)) % ALIGN_BYTES);
  if (padding.some((byte) => byte !== 0)) {
    throw new FormatError(`byte ${used}: padding of the seal is not zero`, used);
  }
  return { verified: deepFrozen({ statement, signers }), index, sealBytes: cursor.position };
}

/**
 * Throw TruncatedError where a detached seal that was read to its end goes on.
 * @param {Source} source
 * @param {number} sealBytes
 */
export async function checkSealEnd(source, sealBytes) {
  if ((await source.read(sealBytes, 1)).length > 0) {
    throw new TruncatedError(`seal goes on after its end at byte ${sealBytes}`, sealBytes, sealBytes + 1);
  }
}

/** Takes a seal's bytes one after the other. */
class Cursor {
  position = 0;

  /** @param {Source} source */
  constructor(source) {
    this.source = source;
  }

  /** @param {number} count */
  async take(count) {
    const expected = this.position + count;
    const data = await this.source.read(this.position, count);
    this.position += data.length;
    if (data.length < count) {
      const message = `seal ends early: ${this.position} bytes, at least ${expected} are needed`;
      throw new TruncatedError(message, expected, this.position);
    }
    return data;
  }
}

/**
 * Return the envelope's length in bytes.
 * @param {Bytes} header
 */
function parseHeader(header) {
  const magic = toHex(header.subarray(0, 8));
  if (magic !== MAGIC) throw new FormatError(`byte 0: not a sealed bundle, it starts with ${magic}`, 0);
  const envelopeBytes = new DataView(header.buffer, header.byteOffset).getUint32(8);
  if (envelopeBytes < 1 || envelopeBytes > MAX_ENVELOPE_BYTES) {
    throw new FormatError(`byte 8: envelope of ${envelopeBytes} bytes, from 1 to ${MAX_ENVELOPE_BYTES} are allowed`, 8);
  }
  return envelopeBytes;
}

/**
 * @template T
 * @param {T} value
 * @returns {T}
 */
function deepFrozen(value) {
  if (typeof value === "object" && value !== null) Object.values(Object.freeze(value)).forEach(deepFrozen);
  return value;
}
