/** verify(), unseal() and open(): check a sealed bundle, and read it. */

import { UsageError } from "./errors.js";
import { checkedExpect } from "./expect.js";
import { Identity } from "./keys.js";
import { plainOffset, segmentAt } from "./layout.js";
import { SegmentCipher, checkCommitment, parseHeader } from "./payload.js";
import { acceptSeal, checkSealEnd } from "./reading.js";
import { deadline } from "./request.js";
import { openSource, rebased } from "./source.js";
import { Stored } from "./stored.js";
import { loadTrust } from "./trust.js";

/** @import { Bytes } from "./bytes.js" */
/** @import { Expect } from "./expect.js" */
/** @import { IdentityInput } from "./keys.js" */
/** @import { Verified } from "./reading.js" */
/** @import { SourceInput } from "./source.js" */
/** @import { TrustInput } from "./trust.js" */

/**
 * @typedef {object} VerifyOptions
 * @property {TrustInput} trust who may vouch
 * @property {Expect} [expect] what is demanded beyond their signatures
 * @property {SourceInput} [seal] a detached seal; the source is the payload then
 * @property {AbortSignal} [signal]
 */

/** @typedef {VerifyOptions & { identity: IdentityInput }} UnsealOptions identity: the recipient's key */

const VERIFY_OPTIONS = ["trust", "expect", "seal", "signal"];
const UNSEAL_OPTIONS = [...VERIFY_OPTIONS, "identity"];

/**
 * Check a sealed bundle, every byte of it, with no secret, and return what it says. Throws RejectedError.
 * @param {SourceInput} source
 * @param {VerifyOptions} options
 * @returns {Promise<Verified>}
 */
export async function verify(source, options) {
  const { verified, stored, close } = await openBundle(source, options, VERIFY_OPTIONS, false);
  try {
    await stored.check();
    return verified;
  } finally {
    await close();
  }
}

/**
 * Check a sealed bundle and yield its plaintext in pieces of up to 512 KiB, each only once its digest and tag passed.
 *
 * That the bundle is whole is known when the last one was taken: act on none of them before. Throws RejectedError.
 * @param {SourceInput} source
 * @param {UnsealOptions} options
 * @returns {AsyncGenerator<Bytes, Verified>} returns what the bundle says
 */
export async function* unseal(source, options) {
  const identity = await identityIn(options);
  const { verified, stored, close } = await openBundle(source, options, UNSEAL_OPTIONS, false);
  try {
    yield* stored.plaintext((first) => openCipher(verified, identity, first));
    return verified;
  } finally {
    await close();
  }
}

/**
 * Open a sealed bundle to read here and there. Throws RejectedError.
 * @param {SourceInput} source all but a ReadableStream
 * @param {UnsealOptions} options
 * @returns {Promise<SealedFile>}
 */
export async function open(source, options) {
  const identity = await identityIn(options);
  const { verified, stored, close } = await openBundle(source, options, UNSEAL_OPTIONS, true);
  try {
    stored.checkSize();
    return new SealedFile(verified, stored, await openCipher(verified, identity, await stored.segment(0)), close);
  } catch (error) {
    await close();
    throw error;
  }
}

/** The plaintext of a sealed bundle; a read touches only the segments that it needs, and checks each. */
export class SealedFile {
  /** @type {{ segment: number, plain: Promise<Bytes> } | null} */
  #last = null;
  #stored;
  #cipher;

  /**
   * @param {Verified} verified
   * @param {Stored} stored
   * @param {SegmentCipher} cipher
   * @param {() => Promise<void>} close ends what is still being fetched
   */
  constructor(verified, stored, cipher, close) {
    this.verified = verified;
    this.close = close;
    this.#stored = stored;
    this.#cipher = cipher;
  }

  /** Bytes of plaintext. */
  get size() {
    return this.verified.statement.content.size;
  }

  /**
   * Return bytes of the plaintext, fewer only at its end. Throws TamperedError, TruncatedError.
   * @param {number} offset
   * @param {number} length
   * @returns {Promise<Bytes>}
   */
  async read(offset, length) {
    if (![offset, length].every((number) => Number.isSafeInteger(number) && number >= 0)) {
      throw new UsageError(`read(${offset}, ${length}): not two integers from 0`);
    }
    const end = Math.min(this.size, offset + length);
    const result = new Uint8Array(Math.max(0, end - offset));
    for (let at = offset; at < end;) {
      const segment = segmentAt(at);
      const plain = await this.#plain(segment);
      const piece = plain.subarray(at - plainOffset(segment), end - plainOffset(segment));
      result.set(piece, at - offset);
      at += piece.length;
    }
    return result;
  }

  /** @param {number} segment */
  #plain(segment) {
    if (this.#last?.segment === segment) return this.#last.plain;
    const plain = this.#stored.segment(segment).then((data) => this.#cipher.decrypt(segment, data));
    const last = (this.#last = { segment, plain });
    // What failed, by the network perhaps, is tried again when it is asked for again.
    plain.catch(() => this.#last === last && (this.#last = null));
    return plain;
  }
}

/**
 * Authenticate a bundle's seal; no byte of the payload is read yet.
 * @param {SourceInput} input
 * @param {VerifyOptions} options
 * @param {string[]} known names of options
 * @param {boolean} seeking
 */
async function openBundle(input, options, known, seeking) {
  const unknown = Object.keys(options ?? {}).find((name) => !known.includes(name));
  if (unknown !== undefined) throw new UsageError(`unknown option ${JSON.stringify(unknown)}`);
  if (!options?.trust) throw new UsageError("option trust is missing: whose signatures count?");
  const expect = checkedExpect(options.expect ?? {});
  const trust = await loadTrust(options.trust);
  const source = openSource(input, { seeking, signal: options.signal });
  const close = () => source.close();
  try {
    if (seeking && !source.seekable)
      throw new UsageError("open() cannot read a stream here and there; unseal() reads it");
    const { verified, index, sealBytes } = await accepted(options, source, trust, expect);
    return { verified, stored: new Stored(rebased(source, sealBytes), index, options.signal), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/**
 * Authenticate a seal; sealBytes: how many of the source's own bytes were it.
 * @param {VerifyOptions} options
 * @param {import("./source.js").Source} source
 * @param {import("./trust.js").TrustStore} trust
 * @param {ReturnType<typeof checkedExpect>} expect
 * @param {number} [sealMs] how long a seal of its own may take
 */
export async function accepted({ seal, signal }, source, trust, expect, sealMs) {
  if (seal === undefined) return acceptSeal(source, trust, expect);
  const within = deadline("seal", signal, sealMs);
  const detached = openSource(seal, { seeking: false, signal: within.signal });
  try {
    const found = await acceptSeal(detached, trust, expect);
    await checkSealEnd(detached, found.sealBytes);
    return { ...found, sealBytes: 0 };
  } finally {
    within.end();
    await detached.close();
  }
}

/**
 * Return the payload's cipher: header, wrapped key and commitment are looked at only now.
 * @param {Verified} verified
 * @param {Identity} identity
 * @param {Bytes} firstSegment that was checked
 */
export async function openCipher({ statement }, identity, firstSegment) {
  const header = parseHeader(firstSegment);
  const sessionKey = await identity.openSessionKey(statement);
  await checkCommitment(sessionKey, header, statement);
  return SegmentCipher.of(sessionKey, header, statement.payload.size, statement.app);
}

/** @param {UnsealOptions} options */
function identityIn(options) {
  if (!options?.identity) throw new UsageError("option identity is missing: whose key opens it?");
  return Identity.of(options.identity);
}
