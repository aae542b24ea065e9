/**
 * DSSE envelopes: one payload of a named type and its signatures (docs/format.md, Envelope).
 *
 * https://github.com/secure-systems-lab/dsse, protocol 1.0.2, in one encoding only.
 */

import { concat, equal, shown, utf8 } from "./bytes.js";
import { FormatError } from "./errors.js";
import { Members, asString, checkFingerprint, checkMediaType, fromBase64 } from "./members.js";
import { parse } from "./strictjson.js";

/** @import { Bytes } from "./bytes.js" */

export const MAX_ENVELOPE_BYTES = 1024 * 1024;
export const MAX_SIGNATURES = 16;
const MAX_CERTIFICATES = 8;

/**
 * @typedef {object} Signature
 * @property {string} keyid fingerprint of the key that made it
 * @property {Bytes} sig RSA-PSS
 * @property {Bytes[] | null} x5c the signer's certificates in DER, its own first (RFC 7515, section 4.1.6)
 */

/**
 * @typedef {object} Envelope
 * @property {string} payloadType
 * @property {Bytes} payload
 * @property {Signature[]} signatures
 * @property {Bytes} message what is signed: DSSE's pre-authentication encoding
 */

/**
 * Parse an envelope strictly; its payload stays unread and unverified. Throws FormatError.
 * @param {Bytes} data
 * @returns {Envelope}
 */
export function parseEnvelope(data) {
  const members = new Members(parse(data, "envelope"), "envelope", ["payload", "payloadType", "signatures"]);
  const payload = members.base64("payload");
  const payloadType = members.text("payloadType", checkMediaType);
  const signatures = members.array("signatures", 1, MAX_SIGNATURES).map(([item, place]) => parseSignature(item, place));
  // What no signature covers must have one spelling only, or it could be altered unnoticed.
  if (!equal(encode(members.value), data)) {
    throw new FormatError("envelope: not in the canonical encoding (members in order, no white space)");
  }
  const head = utf8(`DSSEv1 ${payloadType.length} ${payloadType} ${payload.length} `);
  return { payloadType, payload, signatures, message: concat([head, payload]) };
}

/**
 * Return an envelope's payload, which must be of that type. Throws FormatError.
 * @param {Envelope} envelope
 * @param {string} payloadType
 */
export function payloadOf(envelope, payloadType) {
  // What was signed as one kind of document must never pass for another.
  if (envelope.payloadType !== payloadType) {
    const found = shown(envelope.payloadType);
    throw new FormatError(`envelope.payloadType: ${found} is unknown, expected ${shown(payloadType)}`);
  }
  return envelope.payload;
}

/**
 * @param {unknown} value
 * @param {string} place
 * @returns {Signature}
 */
function parseSignature(value, place) {
  const members = new Members(value, place, ["keyid", "sig"], ["x5c"]);
  const x5c = members.has("x5c") ? members.array("x5c", 1, MAX_CERTIFICATES) : null;
  return {
    keyid: members.text("keyid", checkFingerprint),
    sig: members.rsaBytes("sig"),
    x5c: x5c && x5c.map(([item, where]) => fromBase64(asString(item, where), where)),
  };
}

/**
 * Return the one encoding of an envelope whose members were checked: their texts are canonical already.
 * @param {Record<string, any>} value
 */
function encode({ payload, payloadType, signatures }) {
  const ordered = signatures.map((/** @type {any} */ { keyid, sig, x5c }) => ({ keyid, sig, x5c }));
  return utf8(JSON.stringify({ payload, payloadType, signatures: ordered }));
}
