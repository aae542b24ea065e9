/** DER (X.690), as much of it as keys and certificates need: strict to read, and one SubjectPublicKeyInfo to write. */

import { concat } from "./bytes.js";

/** @import { Bytes } from "./bytes.js" */

export const INTEGER = 0x02;
export const BIT_STRING = 0x03;
export const OCTET_STRING = 0x04;
export const OID = 0x06;
export const SEQUENCE = 0x30;
export const SET = 0x31;
const BOOLEAN = 0x01;
const NULL = 0x05;
const CONSTRUCTED = 0x20;
const MAX_DEPTH = 32;

/** AlgorithmIdentifier rsaEncryption with its NULL (RFC 8017, A.1). */
const RSA_ALGORITHM = Uint8Array.of(SEQUENCE, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, NULL, 0);

/** Bytes are not what DER allows, or not what is expected there. */
export class DerError extends Error {}

/** The elements of one value, read one after the other. */
export class Elements {
  #at = 0;

  /** @param {Bytes} data */
  constructor(data) {
    this.data = data;
  }

  get ended() {
    return this.#at === this.data.length;
  }

  /** The next element's tag, or undefined at the end. */
  get tag() {
    return this.data[this.#at];
  }

  /**
   * Take the next element. Throws DerError where it has another tag or is not DER.
   * @param {number} [tag]
   * @returns {{ tag: number, body: Bytes, whole: Bytes }} whole: with tag and length
   */
  next(tag) {
    const start = this.#at;
    const found = this.#byte();
    if (tag !== undefined && found !== tag) throw new DerError(`tag ${found} at byte ${start}, expected ${tag}`);
    if ((found & 0x1f) === 0x1f) throw new DerError(`tag of several bytes at byte ${start}`);
    const length = this.#length();
    const end = this.#at + length;
    if (end > this.data.length) throw new DerError(`element at byte ${start} ends at ${end}, beyond the end`);
    const body = this.data.subarray(this.#at, end);
    this.#at = end;
    return { tag: found, body, whole: this.data.subarray(start, end) };
  }

  /** Throw DerError unless this is the end. */
  end() {
    if (!this.ended) throw new DerError(`goes on after byte ${this.#at}`);
  }

  /** @param {number} tag */
  inside(tag) {
    return new Elements(this.next(tag).body);
  }

  #byte() {
    const byte = this.data[this.#at++];
    if (byte === undefined) throw new DerError("ends early");
    return byte;
  }

  #length() {
    const first = this.#byte();
    if (first < 0x80) return first;
    let length = 0;
    for (let i = 0x80; i < first; i++) length = length * 256 + this.#byte();
    // One spelling: no indefinite form, no leading zeros, and the short form where it will do.
    const shortest = length < 0x80 ? 0 : length < 0x100 ? 1 : length < 0x10000 ? 2 : length < 0x1000000 ? 3 : 4;
    if (first - 0x80 !== shortest) throw new DerError("length is not in its shortest form");
    return length;
  }
}

/**
 * Return the elements of a SEQUENCE that is all of the data.
 * @param {Bytes} data
 */
export function sequence(data) {
  const outer = new Elements(data);
  const inner = outer.inside(SEQUENCE);
  outer.end();
  return inner;
}

/**
 * Throw DerError unless data is DER all the way down, as far as tags tell.
 * @param {Bytes} data
 * @param {number} [depth]
 */
export function checkDer(data, depth = 0) {
  if (depth > MAX_DEPTH) throw new DerError("nested too deeply");
  const elements = new Elements(data);
  while (!elements.ended) {
    const { tag, body } = elements.next();
    const [first = 0, second = 0] = body;
    // Of the universal types only these two have parts, and they always do.
    const universal = (tag & 0xc0) === 0;
    if (universal && (tag & CONSTRUCTED ? tag !== SEQUENCE && tag !== SET : tag === 0x10 || tag === 0x11)) {
      throw new DerError(`tag ${tag}`);
    }
    if (tag & CONSTRUCTED) checkDer(body, depth + 1);
    else if (tag === BOOLEAN && (body.length !== 1 || (first !== 0 && first !== 0xff))) throw new DerError("boolean");
    else if (tag === OID && (body.length === 0 || !isWholeOid(body))) throw new DerError("object identifier");
    else if (tag === NULL && body.length > 0) throw new DerError("null with a value");
    else if (tag === BIT_STRING && (body.length === 0 || first > 7)) throw new DerError("bit string");
    else if (tag === INTEGER && (body.length === 0 || (body.length > 1 && isPadding(first, second)))) {
      throw new DerError("integer is not in its shortest form");
    }
  }
}

/**
 * Say whether each number of an object identifier ends, and begins without padding.
 * @param {Bytes} body
 */
function isWholeOid(body) {
  return body.every((byte, i) => (byte !== 0x80 || (body[i - 1] ?? 0) >= 0x80) && (byte < 0x80 || i + 1 < body.length));
}

/**
 * @param {number} first
 * @param {number} second
 */
function isPadding(first, second) {
  return (first === 0 && second < 0x80) || (first === 0xff && second >= 0x80);
}

/**
 * Return the number in an INTEGER that is positive, without its leading zero.
 * @param {Bytes} body
 */
export function positive(body) {
  const [first, second = 0] = body;
  if (first === undefined || first >= 0x80 || (body.length > 1 && isPadding(first, second))) {
    throw new DerError("integer is negative, or not in its shortest form");
  }
  return first === 0 ? body.subarray(1) : body;
}

/**
 * Return an element.
 * @param {number} tag
 * @param {Uint8Array[]} pieces
 */
export function element(tag, ...pieces) {
  const body = concat(pieces);
  const length = [];
  for (let rest = body.length; rest > 0; rest = Math.floor(rest / 256)) length.unshift(rest % 256);
  const head = body.length < 0x80 ? [tag, body.length] : [tag, 0x80 + length.length, ...length];
  return concat([Uint8Array.from(head), body]);
}

/**
 * Return the SubjectPublicKeyInfo of an RSAPublicKey, both in DER.
 * @param {Bytes} rsaPublicKey
 */
export function publicKeyInfo(rsaPublicKey) {
  return element(SEQUENCE, RSA_ALGORITHM, element(BIT_STRING, Uint8Array.of(0), rsaPublicKey));
}

/**
 * Return the RSAPublicKey inside a SubjectPublicKeyInfo. Throws DerError where it is another kind of key.
 * @param {Bytes} data
 */
export function rsaInPublicKeyInfo(data) {
  const info = sequence(data);
  takeRsaAlgorithm(info);
  const key = info.next(BIT_STRING).body;
  info.end();
  if (key[0] !== 0) throw new DerError("key is not whole bytes");
  return key.subarray(1);
}

/**
 * Return the PKCS#8 of an RSAPrivateKey (RFC 5208).
 * @param {Bytes} rsaPrivateKey
 */
export function privateKeyInfo(rsaPrivateKey) {
  const version = element(INTEGER, Uint8Array.of(0));
  return element(SEQUENCE, version, RSA_ALGORITHM, element(OCTET_STRING, rsaPrivateKey));
}

/**
 * Return the RSAPublicKey that belongs to a PKCS#8 private key. Throws DerError where it is another kind of key.
 * @param {Bytes} data
 */
export function rsaInPrivateKeyInfo(data) {
  const info = sequence(data);
  info.next(INTEGER);
  takeRsaAlgorithm(info);
  const key = sequence(info.next(OCTET_STRING).body);
  key.next(INTEGER);
  return element(SEQUENCE, key.next(INTEGER).whole, key.next(INTEGER).whole);
}

/** @param {Elements} info */
function takeRsaAlgorithm(info) {
  const { body } = info.next(SEQUENCE);
  const known = RSA_ALGORITHM.subarray(2);
  // Some leave out the NULL.
  if (![known.length, known.length - 2].includes(body.length) || body.some((byte, i) => byte !== known[i])) {
    throw new DerError("not an RSA key");
  }
}
