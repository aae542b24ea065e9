/**
 * Signed updates of a trust store, so that devices follow a rotation without a new build (docs/format.md, Trust stores).
 *
 * The rules are those of TUF's root metadata (TUF specification, 5.3).
 */

import { utf8 } from "./bytes.js";
import { parseEnvelope, payloadOf } from "./dsse.js";
import { FormatError, KeyFileError, NotForUsError, RollbackError } from "./errors.js";
import { checkSigned } from "./keyset.js";
import { Members, checkFingerprint } from "./members.js";
import { parse } from "./strictjson.js";
import { loadTrust, parseStore } from "./trust.js";

export { textOf } from "./storetext.js";

/** @import { Bytes } from "./bytes.js" */
/** @import { KeySet, Purposes } from "./purposes.js" */
/** @import { TrustInput, TrustStore } from "./trust.js" */

const UPDATE_TYPE = "application/vnd.capseal.trust-update.v1+json";

/**
 * Return the store that an update brings, if the present store's root accepts it, and the new one's.
 *
 * Throws SignatureError, RollbackError, NotForUsError, FormatError.
 * @param {TrustInput} trust the present store
 * @param {string | Uint8Array} update an envelope
 * @returns {Promise<TrustStore>}
 */
export async function acceptUpdate(trust, update) {
  const { version, purposes } = await loadTrust(trust);
  if (!purposes.root) throw new NotForUsError(`trust store version ${version} has no root, so nobody may change it`);
  const envelope = parseEnvelope(typeof update === "string" ? utf8(update) : new Uint8Array(update));
  const content = payloadOf(envelope, UPDATE_TYPE);
  await checkSigned(purposes.root, envelope, `update of trust store version ${version}, whose root`);
  const { previous, store } = await parseContent(content);
  if (store.version <= version) {
    throw new RollbackError(
      `update brings version ${store.version} of the trust store, version ${version} is here already`,
      version,
      store.version,
    );
  }
  const here = purposes.digest;
  if (store.version !== version + 1 || previous !== here) {
    throw new NotForUsError(
      `update to version ${store.version} is for trust store ${previous.slice(0, 16)}, ` +
        `here is version ${version}, ${here.slice(0, 16)}`,
    );
  }
  const { root } = store.purposes;
  if (!root) {
    throw new FormatError(`trust update: version ${store.version} has no root, and could never be changed again`);
  }
  await checkSigned(root, envelope, `new trust store version ${store.version}, whose root`);
  checkEpoch(purposes, store.purposes);
  return store;
}

/**
 * Return the store that an update brings, and the digest of the one that it is for; nothing is verified.
 *
 * Throws FormatError.
 * @param {Bytes} update
 */
export async function readUpdate(update) {
  return parseContent(payloadOf(parseEnvelope(update), UPDATE_TYPE));
}

/** @param {Uint8Array} content */
async function parseContent(content) {
  const members = new Members(parse(content, "trust update"), "trust update", ["previous", "store"]);
  const previous = members.text("previous", checkFingerprint);
  try {
    return { previous, store: await parseStore(members.value["store"]) };
  } catch (error) {
    if (!(error instanceof KeyFileError)) throw error;
    throw new FormatError(`trust update: ${error.message}`);
  }
}

/**
 * Throw FormatError unless the epoch is one more where keys or thresholds of heads differ, and else the same.
 * @param {Purposes} old
 * @param {Purposes} next
 */
function checkEpoch(old, next) {
  const expected = sameHeadKeys(old, next) ? old.epoch : old.epoch + 1;
  if (next.epoch !== expected) {
    throw new FormatError(
      `trust update: epoch ${next.epoch} follows epoch ${old.epoch}, expected ${expected}: ` +
        "a change of the heads' keys raises it by one, and nothing else does",
    );
  }
}

/**
 * Tell whether keys and thresholds of heads are the same in two stores.
 * @param {Purposes} one
 * @param {Purposes} other
 */
export function sameHeadKeys({ heads: one }, { heads: other }) {
  return sameSet(one?.production, other?.production) && sameSet(one?.development, other?.development);
}

/**
 * @param {KeySet | undefined} one
 * @param {KeySet | undefined} other
 */
function sameSet(one, other) {
  if (!one || !other) return one === other;
  const names = new Set(one.keys.map(({ fingerprint }) => fingerprint));
  return (
    one.threshold === other.threshold &&
    one.keys.length === other.keys.length &&
    other.keys.every(({ fingerprint }) => names.has(fingerprint))
  );
}
