/**
 * The certificates that a signature brings along, which must prove themselves (docs/format.md, Certificates).
 *
 * Nothing here says who trusts them: this reader trusts bare keys. So names, dates, usages and revocation are not
 * judged; that each byte is covered by a signature is.
 */

import { concat, equal } from "./bytes.js";
import {
  BIT_STRING,
  DerError,
  Elements,
  INTEGER,
  SEQUENCE,
  checkDer,
  element,
  rsaInPublicKeyInfo,
  sequence,
} from "./der.js";
import { KeyFileError, SignatureError } from "./errors.js";
import { PublicKey } from "./keys.js";

/** @import { Bytes } from "./bytes.js" */

/**
 * @typedef {object} Certificate
 * @property {Bytes} signed TBSCertificate
 * @property {Bytes} issuer
 * @property {Bytes} subject
 * @property {PublicKey} key
 * @property {{ name: string, saltLength?: number }} algorithm
 * @property {string} hash
 * @property {Bytes} signature
 */

const PKCS1 = "RSASSA-PKCS1-v1_5";
const NULL = Uint8Array.of(5, 0);
const VERSION = 0xa0;
const EXTENSIONS = 0xa3;
const HASHES = /** @type {const} */ ([
  ["SHA-256", 32, 11, 1],
  ["SHA-384", 48, 12, 2],
  ["SHA-512", 64, 13, 3],
]);

/**
 * Return the key that a signature's certificates are for, once each is signed by the next, the last by itself.
 *
 * Throws SignatureError.
 * @param {Bytes[]} x5c in DER, the signer's own first
 */
export async function keyOfChain(x5c) {
  const chain = await Promise.all(x5c.map(parseCertificate));
  for (const [i, certificate] of chain.entries()) {
    const issuer = chain[i + 1];
    // Signed by itself, it ends the chain: what came after it would be covered by nothing.
    if ((await issued(certificate, certificate)) !== (issuer === undefined)) {
      throw new SignatureError(
        `x5c[${i}]: ${issuer ? "chain goes on after a self-signed certificate" : "chain has no root"}`,
      );
    }
    if (issuer && !(await issued(certificate, issuer))) {
      throw new SignatureError(`x5c[${i}]: certificate is not signed by the next one`);
    }
  }
  return /** @type {Certificate} */ (chain[0]).key;
}

/**
 * @param {Certificate} certificate
 * @param {Certificate} issuer
 */
async function issued({ signed, issuer, algorithm, hash, signature }, { subject, key }) {
  return equal(issuer, subject) && key.verifies(algorithm, hash, signature, signed);
}

/**
 * @param {Bytes} der
 * @param {number} i
 * @returns {Promise<Certificate>}
 */
async function parseCertificate(der, i) {
  try {
    checkDer(der);
    const certificate = sequence(der);
    const { whole: signed, body } = certificate.next(SEQUENCE);
    const outer = certificate.next(SEQUENCE).whole;
    const bits = certificate.next(BIT_STRING).body;
    certificate.end();
    // The count of unused bits in front of a signature is signed by nobody.
    if (bits[0] !== 0) throw new DerError("signature is not whole bytes");
    const { inner, issuer, subject, spki } = parseSigned(new Elements(body));
    if (!equal(inner, outer)) throw new DerError("inner and outer algorithm differ");
    const key = await PublicKey.of(rsaInPublicKeyInfo(spki));
    return { signed, issuer, subject, key, ...parseAlgorithm(outer), signature: bits.subarray(1) };
  } catch (error) {
    if (!(error instanceof DerError || error instanceof KeyFileError)) throw error;
    throw new SignatureError(`x5c[${i}]: certificate cannot be used: ${error.message}`);
  }
}

/**
 * Read a TBSCertificate (RFC 5280, section 4.1).
 * @param {Elements} signed
 */
function parseSigned(signed) {
  const version = signed.tag === VERSION ? signed.next(VERSION).body : null;
  if (version && !(version.length === 3 && version[0] === INTEGER && version[2] === 2)) throw new DerError("version");
  signed.next(INTEGER); // serial number
  const inner = signed.next(SEQUENCE).whole;
  const issuer = signed.next(SEQUENCE).whole;
  signed.next(SEQUENCE); // validity
  const subject = signed.next(SEQUENCE).whole;
  const spki = signed.next(SEQUENCE).whole;
  if (version && signed.tag === EXTENSIONS) signed.next(EXTENSIONS);
  signed.end();
  return { inner, issuer, subject, spki };
}

/**
 * Return how to verify a certificate's signature: RSA over SHA-256, SHA-384 or SHA-512 (RFC 4055).
 * @param {Bytes} identifier
 */
function parseAlgorithm(identifier) {
  for (const [hash, bytes, pkcs1, sha2] of HASHES) {
    const oid = signatureOid(pkcs1);
    if (equal(identifier, element(SEQUENCE, oid, NULL)) || equal(identifier, element(SEQUENCE, oid))) {
      return { algorithm: { name: PKCS1 }, hash };
    }
    if (equal(identifier, pssIdentifier(sha2, bytes))) {
      return { algorithm: { name: "RSA-PSS", saltLength: bytes }, hash };
    }
  }
  throw new DerError("signature is not of RSA over SHA-256, SHA-384 or SHA-512");
}

/**
 * Return 1.2.840.113549.1.1 and a last part.
 * @param {number} last
 */
function signatureOid(last) {
  return Uint8Array.of(6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, last);
}

/**
 * Return RSASSA-PSS with MGF1 over the same digest and a salt of its size: what issuers write.
 * @param {number} sha2 last part of 2.16.840.1.101.3.4.2
 * @param {number} saltBytes
 */
function pssIdentifier(sha2, saltBytes) {
  const hash = element(SEQUENCE, Uint8Array.of(6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, sha2), NULL);
  const mask = element(SEQUENCE, signatureOid(8), hash);
  const salt = element(INTEGER, Uint8Array.of(saltBytes));
  const parameters = concat([element(0xa0, hash), element(0xa1, mask), element(0xa2, salt)]);
  return element(SEQUENCE, signatureOid(10), element(SEQUENCE, parameters));
}
