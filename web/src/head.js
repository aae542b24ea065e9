/** Heads and recalls: what says that a release is current, and what takes one back (docs/format.md, Heads and recalls). */

import { shown, toHex } from "./bytes.js";
import { parseEnvelope, payloadOf } from "./dsse.js";
import { NotForUsError, RollbackError, SignatureError, StaleError } from "./errors.js";
import { parseHead, parseRecall } from "./headdocument.js";
import { checkSigned } from "./keyset.js";
import { loadTrust } from "./trust.js";
import { sha256 } from "./webcrypto.js";

export { parseHead, parseRecall } from "./headdocument.js";

/** @import { Bytes } from "./bytes.js" */
/** @import { Envelope } from "./dsse.js" */
/** @import { Heads } from "./purposes.js" */
/** @import { Role, TrustInput } from "./trust.js" */

/** @typedef {import("./headdocument.js").Candidate} Candidate */
/** @typedef {import("./headdocument.js").Head} Head */
/** @typedef {import("./headdocument.js").NamedRelease} NamedRelease */
/** @typedef {import("./headdocument.js").Recall} Recall */

/**
 * A head that counts; digest: of the document that was signed, by which the next one names it.
 * @typedef {{ head: Head, digest: string, document: Bytes }} AcceptedHead
 */

/** @typedef {{ app: string, channel: string, role: Role }} Reader whom a document must be for */

const HEAD_TYPE = "application/vnd.capseal.head.v1+json";
const RECALL_TYPE = "application/vnd.capseal.recall.v1+json";

/**
 * Return a head that its keys signed, for this app and channel, under this trust store, for no longer than that allows.
 *
 * Whether it follows the one before is for whoever keeps that to say. now: a moment such as 2026-11-22T21:30:00Z; where
 * it is given, the head must be fresh then. One that is not names nothing, but its withdrawals and recalls count. Throws FormatError, SignatureError, NotForUsError, RollbackError, StaleError.
 * @param {Uint8Array} bytes the envelope
 * @param {Reader & { trust: TrustInput, now?: string }} options
 * @returns {Promise<AcceptedHead>}
 */
export async function checkHead(bytes, { trust, now, ...reader }) {
  const { version, purposes } = await loadTrust(trust);
  const { epoch, heads, digest } = purposes;
  const envelope = parseEnvelope(new Uint8Array(bytes));
  if (!heads) throw new NotForUsError(`trust store version ${version} has no keys for heads`);
  const here = { version, digest, epoch, heads };
  return acceptHead(envelope, here, reader, now);
}

/**
 * Return a head that is acceptable under what a trust store says.
 * @param {Envelope} envelope
 * @param {{ version: number, digest: string, epoch: number, heads: Heads }} here
 * @param {Reader} reader
 * @param {string} [now] a moment
 * @returns {Promise<AcceptedHead>}
 */
export async function acceptHead(envelope, here, reader, now) {
  const by = await roleOfSigners(here.heads, envelope, reader.role);
  const document = payloadOf(envelope, HEAD_TYPE);
  const head = parseHead(document);
  if (head.role !== by) throw new NotForUsError(`head is for ${head.role}, signed by keys for heads of ${by}`);
  checkFor("head", head, reader);
  checkStore(head, here);
  checkValidity(head, here.heads);
  if (now) checkFresh(head, now);
  return { head, document, digest: toHex(await sha256(document)) };
}

/**
 * Throw StaleError where a head has expired.
 * @param {Head} head
 * @param {string} now a moment, never behind the latest `issued` that was accepted in the epoch, nor the trust store's `created`
 */
export function checkFresh(head, now) {
  if (now >= head.expires) throw new StaleError(`head ${head.number} expired at ${head.expires}, it is ${now}`);
}

/**
 * Return a recall that a production threshold for releases signed, and its digest, by which heads name it.
 *
 * Throws FormatError, SignatureError, NotForUsError.
 * @param {Uint8Array} bytes the envelope
 * @param {Reader & { trust: TrustInput }} options
 * @returns {Promise<{ recall: Recall, digest: string }>}
 */
export async function checkRecall(bytes, { trust, ...reader }) {
  const envelope = parseEnvelope(new Uint8Array(bytes));
  await (await loadTrust(trust)).check(envelope, "production");
  const document = payloadOf(envelope, RECALL_TYPE);
  const recall = parseRecall(document);
  checkFor("recall", recall, reader);
  if (reader.role === "production" && recall.role !== "production") {
    throw new NotForUsError(`recall is for ${recall.role}, production is demanded`);
  }
  return { recall, digest: toHex(await sha256(document)) };
}

/**
 * Return the role of the head keys that signed; which are asked is the reader's to say, not the head's.
 * @param {Heads} heads
 * @param {Envelope} envelope
 * @param {Role} role
 * @returns {Promise<Role>}
 */
async function roleOfSigners({ production, development }, envelope, role) {
  try {
    await checkSigned(production, envelope, "head");
    return "production";
  } catch (error) {
    if (!(error instanceof SignatureError) || role === "production" || !development) throw error;
    await checkSigned(development, envelope, "head");
    return "development";
  }
}

/**
 * @param {string} what
 * @param {Head | Recall} found
 * @param {Reader} here
 */
function checkFor(what, found, here) {
  if (found.app !== here.app || found.channel !== here.channel) {
    throw new NotForUsError(
      `${what} is for app ${shown(found.app)}, channel ${shown(found.channel)}, ` +
        `here is ${shown(here.app)}, ${shown(here.channel)}`,
    );
  }
}

/**
 * @param {Head} head
 * @param {{ version: number, digest: string, epoch: number }} here
 */
function checkStore({ trust, epoch }, here) {
  const named = `head names version ${trust.version} of the trust store, version ${here.version} is here`;
  if (trust.version < here.version) throw new RollbackError(named, here.version, trust.version);
  if (trust.version > here.version) throw new NotForUsError(`${named}: updates of it are missing, or withheld`);
  if (trust.digest !== here.digest) {
    throw new NotForUsError(
      `head names trust store ${trust.digest.slice(0, 16)} as version ${here.version}, here is ${here.digest.slice(0, 16)}`,
    );
  }
  if (epoch !== here.epoch) throw new NotForUsError(`head is of epoch ${epoch}, the trust store of epoch ${here.epoch}`);
}

/**
 * @param {Head} head
 * @param {Heads} heads
 */
function checkValidity({ issued, expires }, { maxAge, until }) {
  if (Date.parse(expires) - Date.parse(issued) > maxAge * 1000) {
    throw new NotForUsError(`head is valid from ${issued} to ${expires}, the trust store allows ${maxAge} s`);
  }
  if (expires > until) throw new NotForUsError(`head expires at ${expires}, the trust store's heads end at ${until}`);
}
