/** Companions: further payloads that a seal vouches for, each with its own index (docs/format.md, Companions). */

import { concat, shown } from "./bytes.js";
import { NotForUsError } from "./errors.js";
import { Identity } from "./keys.js";
import { SegmentCipher, checkCommitment, parseHeader } from "./payload.js";
import { deadline } from "./request.js";
import { openSource } from "./source.js";
import { Stored } from "./stored.js";
import { checkedIndex, indexChunks } from "./tree.js";

/** @import { Bytes } from "./bytes.js" */
/** @import { IdentityInput } from "./keys.js" */
/** @import { Verified } from "./reading.js" */
/** @import { Source, SourceInput } from "./source.js" */
/** @import { Attachment } from "./statement.js" */

/**
 * @typedef {object} CompanionOptions
 * @property {Verified} verified the verdict on the seal
 * @property {string} name
 * @property {SourceInput} index 32 bytes per segment of the companion
 * @property {AbortSignal} [signal]
 */

/**
 * @typedef {object} SealedCompanionOptions
 * @property {IdentityInput} identity
 * @property {Uint8Array} [payloadHeader] the first 40 bytes of the bundle's own payload: then the session key is
 *   checked against its commitment
 */

/**
 * Check a companion, every byte of it, with no secret, and return what the seal says of it. Throws RejectedError.
 * @param {SourceInput} source its stored bytes
 * @param {CompanionOptions} options
 * @returns {Promise<Attachment>}
 */
export async function verifyCompanion(source, options) {
  const companion = find(options, () => true);
  const stored = await openCompanion(source, companion, options);
  try {
    await stored.check();
    return companion;
  } finally {
    await stored.source.close();
  }
}

/**
 * Check a sealed companion and yield its plaintext, as unseal() does. Throws RejectedError.
 * @param {SourceInput} source its stored bytes
 * @param {CompanionOptions & SealedCompanionOptions} options
 * @returns {AsyncGenerator<Bytes, Attachment>}
 */
export async function* unsealCompanion(source, options) {
  const companion = find(options, ({ encryption }) => encryption !== undefined);
  const identity = await Identity.of(options.identity);
  const { statement } = options.verified;
  const stored = await openCompanion(source, companion, options);
  try {
    yield* stored.plaintext(async (first) => {
      const header = parseHeader(first);
      const sessionKey = await identity.openSessionKey(statement);
      if (options.payloadHeader) {
        await checkCommitment(sessionKey, parseHeader(new Uint8Array(options.payloadHeader)), statement);
      }
      return SegmentCipher.of(sessionKey, header, companion.size, statement.app, companion.name);
    });
    return companion;
  } finally {
    await stored.source.close();
  }
}

/**
 * @param {CompanionOptions} options
 * @param {(companion: Attachment) => boolean} fits
 */
function find({ verified, name }, fits) {
  const companions = (verified.statement.attachments ?? []).filter(
    ({ digest }) => digest["fsverity-sha256"] !== undefined,
  );
  const companion = companions.find((one) => one.name === name && fits(one));
  if (!companion) throw new NotForUsError(`seal vouches for no such companion ${shown(name)}`);
  return companion;
}

/**
 * @param {SourceInput} input
 * @param {Attachment} companion
 * @param {CompanionOptions} options
 */
async function openCompanion(input, { size, digest }, { index, signal }) {
  const within = deadline("index", signal);
  const source = openSource(index, { seeking: false, signal: within.signal });
  try {
    const entries = await readEntries(source, size);
    const signed = await checkedIndex(entries, size, /** @type {string} */ (digest["fsverity-sha256"]));
    return new Stored(openSource(input, { seeking: false, signal }), signed, signal);
  } finally {
    within.end();
    await source.close();
  }
}

/**
 * Return what there is of an index, and at most one byte more than it may have: one that goes on is none.
 * @param {Source} source
 * @param {number} size of the companion, in bytes
 */
async function readEntries(source, size) {
  const pieces = [];
  let position = 0;
  for (const count of indexChunks(size)) {
    const piece = await source.read(position, count);
    pieces.push(piece);
    position += piece.length;
    if (piece.length < count) return concat(pieces);
  }
  return concat([...pieces, await source.read(position, 1)]);
}
