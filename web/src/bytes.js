/** Bytes and whole numbers: what every other module needs of both, and nothing that it decides. */

/** @typedef {Uint8Array<ArrayBuffer>} Bytes */

/**
 * Return pieces as one.
 * @param {Uint8Array[]} pieces
 * @returns {Bytes}
 */
export function concat(pieces) {
  const joined = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}

/**
 * Say whether two are the same, in a time that does not depend on where they differ.
 * @param {Uint8Array} one
 * @param {Uint8Array} other
 */
export function equal(one, other) {
  let difference = one.length ^ other.length;
  for (let i = 0; i < one.length; i++) difference |= (one[i] ?? 0) ^ (other[i] ?? 0);
  return difference === 0;
}

/**
 * Return lower-case hex.
 * @param {Uint8Array} data
 */
export function toHex(data) {
  return Array.from(data, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Return the bytes of hex digits.
 * @param {string} hex
 * @returns {Bytes}
 */
export function fromHex(hex) {
  return Uint8Array.from({ length: hex.length / 2 }, (_, i) => parseInt(hex.slice(2 * i, 2 * i + 2), 16));
}

/**
 * Return a view of these bytes alone, whatever else their buffer holds.
 * @param {Bytes} data
 */
export function viewOf(data) {
  return new DataView(data.buffer, data.byteOffset, data.length);
}

/**
 * Return base64.
 * @param {Uint8Array} data
 */
export function toBase64(data) {
  let binary = "";
  // In parts: each byte is an argument, of which engines take a limited number.
  for (let at = 0; at < data.length; at += 8192) binary += String.fromCharCode(...data.subarray(at, at + 8192));
  return btoa(binary);
}

/**
 * Return UTF-8.
 * @param {string} text
 * @returns {Bytes}
 */
export function utf8(text) {
  return new TextEncoder().encode(text);
}

/**
 * Return one number divided by another, rounded up: exact for every safe integer, which Math.ceil(a / b) is not.
 * @param {number} dividend
 * @param {number} divisor
 */
export function ceilDiv(dividend, divisor) {
  const rest = dividend % divisor;
  return (dividend - rest) / divisor + (rest > 0 ? 1 : 0);
}

/**
 * Return how messages show an untrusted text: quoted, and never long.
 * @param {string} text
 */
export function shown(text) {
  return JSON.stringify(text.slice(0, 64));
}
