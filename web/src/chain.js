/**
 * The certificates that a signature brings along, which must prove themselves (docs/format.md, Certificates).
 *
 * Nothing here says who trusts them: this reader trusts bare keys. So names, dates, usages and revocation are not
 * judged; that each byte is covered by a signature is.
 */

import { concat, equal } from "./bytes.js";
import { parseCertificate } from "./certificate.js";
import { DerError, INTEGER, SEQUENCE, element, rsaInPublicKeyInfo } from "./der.js";
import { KeyFileError, SignatureError } from "./errors.js";
import { PublicKey } from "./keys.js";

/** @import { Bytes } from "./bytes.js" */
/** @import { Certificate } from "./certificate.js" */

/**
 * @typedef {object} Member
 * @property {Certificate} certificate
 * @property {PublicKey} key that it is for
 * @property {{ name: string, saltLength?: number }} algorithm of the signature
 * @property {string} hash
 */

const PKCS1 = "RSASSA-PKCS1-v1_5";
const NULL = Uint8Array.of(5, 0);
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
  const chain = await Promise.all(x5c.map(parseMember));
  for (const [i, member] of chain.entries()) {
    const issuer = chain[i + 1];
    // Signed by itself, it ends the chain: what came after it would be covered by nothing.
    if ((await issued(member, member)) !== (issuer === undefined)) {
      throw new SignatureError(
        `x5c[${i}]: chain ${issuer ? "goes on after a self-signed certificate" : "has no root"}`,
      );
    }
    if (issuer && !(await issued(member, issuer))) {
      throw new SignatureError(`x5c[${i}]: certificate is not signed by the next one`);
    }
  }
  return /** @type {Member} */ (chain[0]).key;
}

/**
 * @param {Member} member
 * @param {Member} by
 */
async function issued({ certificate: { issuer, signature, signed }, algorithm, hash }, by) {
  return equal(issuer, by.certificate.subject) && by.key.verifies(algorithm, hash, signature, signed);
}

/**
 * @param {Bytes} der
 * @param {number} i
 * @returns {Promise<Member>}
 */
async function parseMember(der, i) {
  try {
    const certificate = parseCertificate(der);
    const key = await PublicKey.of(rsaInPublicKeyInfo(certificate.spki));
    return { certificate, key, ...parseAlgorithm(certificate.algorithm) };
  } catch (error) {
    if (!(error instanceof DerError || error instanceof KeyFileError)) throw error;
    throw new SignatureError(`x5c[${i}]: certificate cannot be used: ${error.message}`);
  }
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
