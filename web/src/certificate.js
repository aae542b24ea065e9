/**
 * What is in an X.509 certificate, as far as DER and RFC 5280, section 4.1, fix its structure.
 *
 * What names, dates and extensions mean is not looked at: nobody is trusted for their sake here.
 */

import { toHex } from "./bytes.js";
import {
  BIT_STRING,
  DerError,
  Elements,
  INTEGER,
  OCTET_STRING,
  OID,
  SEQUENCE,
  SET,
  checkDer,
  sequence,
} from "./der.js";

/** @import { Bytes } from "./bytes.js" */

export const BOOLEAN = 0x01;
/** @type {number} */
const VERSION = 0xa0;
const UNIQUE_IDS = [0x81, 0x82];
const EXTENSIONS = 0xa3;
const UTC_TIME = 0x17;
const GENERALIZED_TIME = 0x18;
const TIME = /^[0-9]{4}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])(?:[01][0-9]|2[0-3])[0-5][0-9][0-5][0-9]Z$/;

/**
 * @typedef {object} Certificate
 * @property {Bytes} signed TBSCertificate
 * @property {Bytes} algorithm AlgorithmIdentifier of the signature
 * @property {Bytes} issuer
 * @property {Bytes} subject
 * @property {Bytes} spki
 * @property {Bytes} signature
 */

/**
 * Parse a certificate strictly. Throws DerError.
 * @param {Bytes} der
 * @returns {Certificate}
 */
export function parseCertificate(der) {
  checkDer(der);
  const certificate = sequence(der);
  const { whole: signed, body } = certificate.next(SEQUENCE);
  const algorithm = certificate.next(SEQUENCE).whole;
  const bits = certificate.next(BIT_STRING).body;
  certificate.end();
  // The count of unused bits in front of a signature is signed by nobody.
  if (bits[0] !== 0) throw new DerError("signature is not whole bytes");
  const { inner, issuer, subject, spki } = parseSigned(new Elements(body));
  if (toHex(inner) !== toHex(algorithm)) throw new DerError("inner and outer algorithm differ");
  return { signed, algorithm, issuer, subject, spki, signature: bits.subarray(1) };
}

/** @param {Elements} signed */
function parseSigned(signed) {
  if (signed.tag === VERSION && toHex(signed.next().body) !== "020102") throw new DerError("version is not 3");
  signed.next(INTEGER); // serial number
  const inner = signed.next(SEQUENCE).whole;
  const issuer = signed.next(SEQUENCE);
  const validity = signed.inside(SEQUENCE);
  checkTime(validity);
  checkTime(validity);
  validity.end();
  const subject = signed.next(SEQUENCE);
  [issuer, subject].forEach(({ body }) => checkName(new Elements(body)));
  const spki = signed.next(SEQUENCE).whole;
  for (const tag of UNIQUE_IDS) if (signed.tag === tag) signed.next();
  if (signed.tag === EXTENSIONS) checkExtensions(sequence(signed.next().body));
  signed.end();
  return { inner, issuer: issuer.whole, subject: subject.whole, spki };
}

/** @param {Elements} validity where a time comes next */
export function checkTime(validity) {
  const { tag, body } = validity.next();
  const text = String.fromCharCode(...body);
  const spelled = tag === UTC_TIME ? `20${text}` : tag === GENERALIZED_TIME ? text : "";
  if (!TIME.test(spelled)) throw new DerError("not a time");
}

/** @param {Elements} name */
export function checkName(name) {
  while (!name.ended) {
    const parts = name.inside(SET);
    do {
      const part = parts.inside(SEQUENCE);
      part.next(OID);
      part.next();
      part.end();
    } while (!parts.ended);
  }
}

/** @param {Elements} extensions */
export function checkExtensions(extensions) {
  const found = new Set();
  while (!extensions.ended) {
    const extension = extensions.inside(SEQUENCE);
    const id = toHex(extension.next(OID).body);
    if (found.has(id)) throw new DerError("an extension appears twice");
    found.add(id);
    if (extension.tag === BOOLEAN && extension.next().body[0] === 0) throw new DerError("default that is spelled out");
    extension.next(OCTET_STRING);
    extension.end();
  }
}
