/** The members of a JSON object, taken one by one, and the spellings that their values must have. */

import { shown } from "./bytes.js";
import { FormatError } from "./errors.js";

/** @import { Bytes } from "./bytes.js" */

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
const FINGERPRINT = /^[0-9a-f]{64}$/;
const MEDIA_TYPE = /^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$/;
const MOMENT = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$/;
// Code points that are printable: no category C or Z but the space. \p knows the engine's Unicode, as Python its own.
const TEXT = /^(?:[^\p{C}\p{Z}]| ){1,255}$/u;
// Of everything that an allowed RSA key makes: 3072 to 8192 bits.
const MIN_RSA_BYTES = 384;
const MAX_RSA_BYTES = 1024;

/** One JSON object; what is missing, extra or mistyped throws FormatError. */
export class Members {
  /**
   * @param {unknown} value
   * @param {string} where for messages
   * @param {readonly string[]} required
   * @param {readonly string[]} [optional]
   */
  constructor(value, where, required, optional = []) {
    if (kindOf(value) !== "object") throw new FormatError(`${where}: expected an object, found ${kindOf(value)}`);
    /** @type {Record<string, unknown>} */
    this.value = /** @type {Record<string, unknown>} */ (value);
    this.where = where;
    for (const name of required) {
      if (!this.has(name)) throw new FormatError(`${where}: member ${shown(name)} is missing`);
    }
    for (const name of Object.keys(this.value)) {
      if (!required.includes(name) && !optional.includes(name)) {
        throw new FormatError(`${where}: unknown member ${shown(name)}`);
      }
    }
  }

  /** @param {string} name */
  has(name) {
    return Object.hasOwn(this.value, name);
  }

  /**
   * Return how messages name that member.
   * @param {string} name
   */
  place(name) {
    return `${this.where}.${name}`;
  }

  /**
   * @param {string} name
   * @param {readonly string[]} required
   * @param {readonly string[]} [optional]
   */
  object(name, required, optional = []) {
    return new Members(this.value[name], this.place(name), required, optional);
  }

  /**
   * Return what a check makes of a string member.
   * @template T
   * @param {string} name
   * @param {(value: string, place: string) => T} check
   */
  text(name, check) {
    const place = this.place(name);
    return check(asString(this.value[name], place), place);
  }

  /**
   * Return an integer member within bounds.
   * @param {string} name
   * @param {number} least
   * @param {number} [most]
   */
  integer(name, least, most = Number.MAX_SAFE_INTEGER) {
    const value = this.value[name];
    const place = this.place(name);
    if (typeof value !== "number" || !Number.isSafeInteger(value)) {
      throw new FormatError(`${place}: expected an integer, found ${kindOf(value)}`);
    }
    if (value < least || value > most) throw new FormatError(`${place}: ${value} is not from ${least} to ${most}`);
    return value;
  }

  /**
   * Return the items of an array member, each with its place.
   * @param {string} name
   * @param {number} least
   * @param {number} most
   * @returns {[unknown, string][]}
   */
  array(name, least, most) {
    const value = this.value[name];
    const place = this.place(name);
    if (!Array.isArray(value)) throw new FormatError(`${place}: expected an array, found ${kindOf(value)}`);
    if (value.length < least || value.length > most) {
      throw new FormatError(`${place}: ${value.length} items, from ${least} to ${most} are allowed`);
    }
    return value.map((item, i) => [item, `${place}[${i}]`]);
  }

  /**
   * Return the bytes of a base64 member.
   * @param {string} name
   */
  base64(name) {
    return this.text(name, fromBase64);
  }

  /**
   * Return the bytes of a base64 member that has the size of an RSA signature or wrapped key.
   * @param {string} name
   */
  rsaBytes(name) {
    const data = this.base64(name);
    if (data.length < MIN_RSA_BYTES || data.length > MAX_RSA_BYTES) {
      throw new FormatError(`${this.place(name)}: ${data.length} bytes do not fit any allowed key`);
    }
    return data;
  }
}

/** @param {unknown} value */
function kindOf(value) {
  return value === null ? "null" : Array.isArray(value) ? "array" : typeof value;
}

/**
 * Return a value that is a string.
 * @param {unknown} value
 * @param {string} place
 */
export function asString(value, place) {
  if (typeof value !== "string") throw new FormatError(`${place}: expected a string, found ${kindOf(value)}`);
  return value;
}

/**
 * Decode base64 in its one canonical spelling.
 * @param {string} text
 * @param {string} place
 * @returns {Bytes}
 */
export function fromBase64(text, place) {
  let binary;
  try {
    binary = atob(text);
  } catch {
    throw new FormatError(`${place}: not base64`);
  }
  // atob() passes over white space, missing padding and stray bits.
  if (btoa(binary) !== text) throw new FormatError(`${place}: not the canonical base64 of its bytes`);
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

/**
 * @param {RegExp} pattern
 * @param {string} what
 */
function spelled(pattern, what) {
  return (/** @type {string} */ value, /** @type {string} */ place) => {
    if (!pattern.test(value)) throw new FormatError(`${place}: ${shown(value)} is not ${what}`);
    return value;
  };
}

export const checkName = spelled(NAME, "a name of 1 to 128 letters, digits, '.', '_' or '-'");
export const checkText = spelled(TEXT, "1 to 255 printable characters");
export const checkMediaType = spelled(MEDIA_TYPE, "a media type");
export const checkFingerprint = spelled(FINGERPRINT, "64 hex digits in lower case");
export const checkRole = spelled(/^(?:production|development)$/, "a role: 'production' or 'development'");

/**
 * Return a file's bare name.
 * @param {string} value
 * @param {string} place
 */
export function checkFileName(value, place) {
  if (value === "." || value === ".." || /[/\\]/.test(value)) {
    throw new FormatError(`${place}: ${shown(value)} is not a bare file name`);
  }
  return checkText(value, place);
}

/**
 * Return a time: UTC, whole seconds, from the calendar.
 * @param {string} value
 * @param {string} place
 */
export function checkMoment(value, place) {
  const time = MOMENT.test(value) ? new Date(value) : new Date(NaN);
  // Date makes 2 March of 30 February, and knows a year 0.
  if (Number.isNaN(time.getTime()) || time.toISOString() !== value.replace("Z", ".000Z") || value < "0001") {
    throw new FormatError(`${place}: ${shown(value)} is not a time such as 2026-11-22T21:30:00Z`);
  }
  return value;
}

/**
 * Return a check for one value only.
 * @param {string} expected
 */
export function exactly(expected) {
  return (/** @type {string} */ value, /** @type {string} */ place) => {
    if (value !== expected) throw new FormatError(`${place}: ${shown(value)} is unknown, expected ${shown(expected)}`);
    return value;
  };
}
