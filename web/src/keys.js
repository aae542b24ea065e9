/** RSA keys: from PEM or CryptoKey, fingerprint, PSS verify, OAEP unwrap (docs/format.md, Keys). */

import { toHex } from "./bytes.js";
import {
  DerError,
  INTEGER,
  positive,
  privateKeyInfo,
  publicKeyInfo,
  rsaInPrivateKeyInfo,
  rsaInPublicKeyInfo,
  sequence,
} from "./der.js";
import { KeyFileError, NotForUsError, SignatureError } from "./errors.js";
import { asString, fromBase64 } from "./members.js";
import { sha256, subtle } from "./webcrypto.js";

/** @import { Bytes } from "./bytes.js" */
/** @import { Statement } from "./statement.js" */

/**
 * Who can open a bundle: the recipient's private key as PEM or CryptoKey, a pair of CryptoKeys, or what Identity.of() gave.
 * @typedef {string | CryptoKey | CryptoKeyPair | Identity} IdentityInput
 */

const MIN_BITS = 3072;
const MAX_BITS = 8192;
const EXPONENT = "010001"; // 65537
const SALT_BYTES = 32;
const KEY_BYTES = 32;
const OAEP = { name: "RSA-OAEP", hash: "SHA-256" };
const PUBLIC = "identity: a public key; a private key is expected here";
const BLOCK = /^-----BEGIN ([A-Z0-9 ]+)-----([^-]*)-----END ([A-Z0-9 ]+)-----/gm; // a line, not what is commented out

/** An RSA public key of 3072 to 8192 bits with exponent 65537. */
export class PublicKey {
  /**
   * @param {Bytes} spki SubjectPublicKeyInfo in its one encoding
   * @param {string} fingerprint SHA-256 of it, in hex: the format's `kid` and `keyid`
   */
  constructor(spki, fingerprint) {
    this.spki = spki;
    this.fingerprint = fingerprint;
  }

  /**
   * Return the key of an RSAPublicKey in DER. Throws KeyFileError.
   * @param {Bytes} rsaPublicKey
   */
  static async of(rsaPublicKey) {
    checkStrength(rsaPublicKey);
    const spki = publicKeyInfo(rsaPublicKey);
    return new PublicKey(spki, toHex(await sha256(spki)));
  }

  /**
   * Throw SignatureError unless this is an RSA-PSS signature of the message with a 32-byte salt.
   * @param {Bytes} signature
   * @param {Bytes} message
   */
  async verify(signature, message) {
    if (!(await this.verifies({ name: "RSA-PSS", saltLength: SALT_BYTES }, "SHA-256", signature, message))) {
      throw new SignatureError(
        `signature by key ${this.fingerprint.slice(0, 16)} does not fit the signed bytes; ` +
          "the seal is corrupt or was altered",
      );
    }
  }

  /**
   * Say whether a signature of that algorithm is of the message.
   * @param {{ name: string, saltLength?: number }} algorithm
   * @param {string} hash
   * @param {Bytes} signature
   * @param {Bytes} message
   */
  async verifies(algorithm, hash, signature, message) {
    const key = await subtle().importKey("spki", this.spki, { name: algorithm.name, hash }, false, ["verify"]);
    return subtle().verify(algorithm, key, signature, message);
  }
}

/**
 * Load every public key of PEM text: SubjectPublicKeyInfo or PKCS#1. Throws KeyFileError.
 * @param {string} pem
 * @param {string} where for messages
 */
export async function loadPublicKeys(pem, where) {
  const blocks = pemBlocks(pem, where);
  const keys = [];
  for (const { label, der } of blocks) {
    if (label.endsWith("PRIVATE KEY")) throw new KeyFileError(`${where}: a private key; a public key is expected here`);
    if (label !== "PUBLIC KEY" && label !== "RSA PUBLIC KEY") {
      throw new KeyFileError(`${where}: PEM of ${label}; this reader trusts bare public keys only`);
    }
    keys.push(await PublicKey.of(label === "PUBLIC KEY" ? rsaIn(rsaInPublicKeyInfo, der, where) : der));
  }
  if (keys.length === 0) throw new KeyFileError(`${where}: not a PEM public key`);
  return keys;
}

/**
 * Load one public key of PEM text. Throws FormatError where it is no text, KeyFileError.
 * @param {unknown} pem
 * @param {string} where for messages
 */
export async function loadPublicKey(pem, where) {
  const [key, ...others] = await loadPublicKeys(asString(pem, where), where);
  if (!key || others[0]) throw new KeyFileError(`${where}: ${1 + others.length} public keys found, expected 1`);
  return key;
}

/** Whoever can unwrap a session key: a private key, and its public key's fingerprint where that is known. */
export class Identity {
  /**
   * @param {CryptoKey} key
   * @param {string | null} kid
   */
  constructor(key, kid) {
    this.key = key;
    this.kid = kid;
  }

  /**
   * Return an identity. Throws KeyFileError.
   * @param {IdentityInput} input
   */
  static async of(input) {
    if (input instanceof Identity) return input;
    if (typeof input === "string") return identityOfPem(input);
    const key = "privateKey" in input ? input.privateKey : input;
    if (key.type === "public") throw new KeyFileError(PUBLIC);
    const { name, hash } = /** @type {RsaHashedKeyAlgorithm} */ (key.algorithm ?? {});
    if (name !== "RSA-OAEP" || hash?.name !== "SHA-256" || !key.usages.includes("decrypt")) {
      throw new KeyFileError("identity: not a private CryptoKey for RSA-OAEP with SHA-256 that may decrypt");
    }
    if (!("publicKey" in input)) return new Identity(key, null);
    const spki = new Uint8Array(await subtle().exportKey("spki", input.publicKey));
    return new Identity(key, (await PublicKey.of(rsaIn(rsaInPublicKeyInfo, spki, "identity"))).fingerprint);
  }

  /**
   * Return the session key, not yet checked against its commitment. Throws NotForUsError.
   * @param {Statement} statement
   */
  async openSessionKey(statement) {
    const { recipients } = statement.encryption;
    // A private CryptoKey does not say whose it is: then all are tried, and the commitment tells if one fits.
    const ours = this.kid === null ? recipients : recipients.filter((recipient) => recipient.kid === this.kid);
    for (const { encrypted_key } of ours) {
      const sessionKey = await this.#unwrap(fromBase64(encrypted_key, "encrypted_key"));
      if (sessionKey) return subtle().importKey("raw", sessionKey, "HKDF", false, ["deriveBits"]);
    }
    const us = this.kid?.slice(0, 16) ?? "a CryptoKey";
    if (ours.length > 0) throw new NotForUsError(`wrapped session key cannot be opened by key ${us}`);
    const theirs = recipients.slice(0, 4).map(({ kid }) => kid.slice(0, 16));
    throw new NotForUsError(`no identity fits: ours is ${us}, the bundle is sealed for ${theirs.join(", ")}`);
  }

  /** @param {Bytes} wrapped */
  async #unwrap(wrapped) {
    try {
      const sessionKey = await subtle().decrypt({ name: "RSA-OAEP" }, this.key, wrapped);
      return sessionKey.byteLength === KEY_BYTES ? sessionKey : null;
    } catch {
      return null; // WebCrypto says only that it failed (OperationError)
    }
  }
}

/** @param {string} pem */
async function identityOfPem(pem) {
  const [block, ...others] = pemBlocks(pem, "identity");
  if (!block || others.length > 0) throw new KeyFileError("identity: not one PEM private key");
  const { label, der } = block;
  if (label !== "PRIVATE KEY" && label !== "RSA PRIVATE KEY") {
    if (label.endsWith("PUBLIC KEY")) throw new KeyFileError(PUBLIC);
    throw new KeyFileError(`identity: PEM of ${label}; an unencrypted PKCS#8 private key is expected`);
  }
  const pkcs8 = label === "PRIVATE KEY" ? der : privateKeyInfo(der);
  const { fingerprint } = await PublicKey.of(rsaIn(rsaInPrivateKeyInfo, pkcs8, "identity"));
  try {
    return new Identity(await subtle().importKey("pkcs8", pkcs8, OAEP, false, ["decrypt"]), fingerprint);
  } catch {
    throw new KeyFileError("identity: cannot load the private key: it is damaged or unsupported");
  }
}

/**
 * Return the blocks of PEM text (RFC 7468); what stands around them is ignored. Throws KeyFileError.
 * @param {string} text
 * @param {string} where
 * @returns {{ label: string, der: Bytes }[]}
 */
export function pemBlocks(text, where) {
  return Array.from(text.matchAll(BLOCK), ([, label = "", body = "", end]) => {
    if (label !== end) throw new KeyFileError(`${where}: PEM of ${label} ends as ${end}`);
    try {
      return { label, der: fromBase64(body.replace(/[ \t\r\n]/g, ""), where) };
    } catch {
      throw new KeyFileError(`${where}: PEM of ${label} is damaged, or encrypted`);
    }
  });
}

/**
 * Return modulus and exponent.
 * @param {Bytes} rsaPublicKey
 * @returns {[Bytes, Bytes]}
 */
function numbersIn(rsaPublicKey) {
  const key = sequence(rsaPublicKey);
  const [modulus, exponent] = [positive(key.next(INTEGER).body), positive(key.next(INTEGER).body)];
  key.end();
  return [modulus, exponent];
}

/**
 * @template T
 * @param {(data: Bytes) => T} read
 * @param {Bytes} data
 * @param {string} where
 */
function rsaIn(read, data, where) {
  try {
    return read(data);
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    throw new KeyFileError(`${where}: damaged, or not an RSA key: ${error.message}`);
  }
}

/** @param {Bytes} rsaPublicKey */
function checkStrength(rsaPublicKey) {
  const [modulus, exponent] = rsaIn(numbersIn, rsaPublicKey, "RSA key");
  const bits = 8 * modulus.length - Math.clz32(modulus[0] ?? 0) + 24;
  if (bits < MIN_BITS || bits > MAX_BITS) {
    throw new KeyFileError(`RSA key has ${bits} bits, from ${MIN_BITS} to ${MAX_BITS} are allowed`);
  }
  if (toHex(exponent) !== EXPONENT) {
    throw new KeyFileError(`RSA public exponent is 0x${toHex(exponent)}, only 65537 is allowed`);
  }
}
