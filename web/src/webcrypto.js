/** The platform's cryptography, which is all that there is: SHA-256, HKDF, AES-GCM and RSA of WebCrypto. */

import { UsageError } from "./errors.js";

/** @import { Bytes } from "./bytes.js" */

/** Return crypto.subtle. Throws UsageError where a page has none. */
export function subtle() {
  const found = globalThis.crypto?.subtle;
  if (!found) throw new UsageError("crypto.subtle is missing: the page is no secure context (https, or localhost)");
  return found;
}

/**
 * Return the SHA-256, 32 bytes.
 * @param {Bytes} data
 * @returns {Promise<Bytes>}
 */
export async function sha256(data) {
  return new Uint8Array(await subtle().digest("SHA-256", data));
}

/**
 * Return 32 bytes of HKDF-SHA256.
 * @param {CryptoKey} key
 * @param {Bytes} salt
 * @param {Bytes} info
 * @returns {Promise<Bytes>}
 */
export async function hkdf(key, salt, info) {
  return new Uint8Array(await subtle().deriveBits({ name: "HKDF", hash: "SHA-256", salt, info }, key, 256));
}
