/** Sets of bare keys, a threshold of which must sign: root and heads (docs/format.md, Trust stores). */

import { SignatureError } from "./errors.js";

/** @import { Envelope } from "./dsse.js" */
/** @import { KeySet } from "./purposes.js" */

/**
 * Throw SignatureError unless a threshold of different keys of a set signed.
 *
 * A signature that names a key of the set must verify, or all are refused; those of strangers count for nothing.
 * @param {KeySet} set
 * @param {Envelope} envelope
 * @param {string} what the signed thing and whose set this is, for messages
 */
export async function checkSigned(set, { message, signatures }, what) {
  const keys = new Map(set.keys.map((key) => [key.fingerprint, key]));
  const signers = new Set();
  for (const { keyid, sig, x5c } of signatures) {
    // Nobody signs x5c, and here nobody looks at it: it would only spell the same document otherwise.
    if (x5c) throw new SignatureError(`${what}: signature of ${keyid.slice(0, 16)} carries certificates, bare keys sign it`);
    const key = keys.get(keyid);
    if (!key) continue;
    await key.verify(sig, message);
    signers.add(keyid);
  }
  if (signers.size < set.threshold) {
    throw new SignatureError(
      `${what}: signed by ${signers.size} of its ${keys.size} keys, the threshold is ${set.threshold} different ones`,
    );
  }
}
