/**
 * JSON as the format allows it, and the values in it, of which each has one spelling (docs/format.md, Conventions).
 *
 * UTF-8, no duplicate members, no floats, integers up to 2^53-1 (RFC 8259, RFC 7493), at most 32 levels. JSON.parse
 * takes the last of two members and any number, so the parser is our own.
 */

import { shown } from "./bytes.js";
import { FormatError } from "./errors.js";

/** @typedef {null | boolean | number | string | JsonValue[] | { [name: string]: JsonValue }} JsonValue */

const MAX_NESTING = 32;
/** The one strict decoder. */
// ignoreBOM keeps a byte order mark, which the grammar then refuses; fatal makes it strict (Encoding Standard, 8.1).
export const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const NUMBER = /-?(?:0|[1-9][0-9]*)/y;
const SPACE = /[ \t\n\r]*/y;
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4})/y;
const LITERALS = /** @type {const} */ ({ true: true, false: false, null: null });

/**
 * Parse one JSON text strictly. Throws FormatError.
 * @param {Uint8Array} data
 * @param {string} where what it is, for messages
 * @returns {JsonValue}
 */
export function parse(data, where) {
  let text;
  try {
    text = UTF8.decode(data);
  } catch {
    throw new FormatError(`${where}: not UTF-8`);
  }
  return new Parser(text, where).document();
}

class Parser {
  #at = 0;

  /**
   * @param {string} text
   * @param {string} where
   */
  constructor(text, where) {
    this.text = text;
    this.where = where;
  }

  document() {
    const value = this.#value(1);
    this.#skip();
    if (this.#at < this.text.length) this.#fail("goes on after its end");
    return value;
  }

  /**
   * @param {string} why
   * @returns {never}
   */
  #fail(why) {
    throw new FormatError(`${this.where} at character ${this.#at}: ${why}`, this.#at);
  }

  #skip() {
    this.#take(SPACE);
  }

  /**
   * Return what a sticky expression matches here, and go past it.
   * @param {RegExp} pattern
   */
  #take(pattern) {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.text)?.[0];
    this.#at += found?.length ?? 0;
    return found;
  }

  /** @param {string} character */
  #skipTo(character) {
    this.#skip();
    if (this.text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  /**
   * @param {number} level
   * @returns {JsonValue}
   */
  #value(level) {
    this.#skip();
    const first = this.text[this.#at];
    if (first === "{" || first === "[") {
      if (level > MAX_NESTING) this.#fail(`nested deeper than ${MAX_NESTING} levels`);
      this.#at++;
      return first === "{" ? this.#object(level) : this.#array(level);
    }
    if (first === '"') return this.#string();
    for (const [name, value] of Object.entries(LITERALS)) {
      if (this.text.startsWith(name, this.#at)) {
        this.#at += name.length;
        return value;
      }
    }
    return this.#number();
  }

  #number() {
    const start = this.#at;
    const spelled = this.#take(NUMBER);
    const next = this.text[this.#at];
    const value = Number(spelled);
    if (spelled === undefined) return this.#fail("expected a value");
    if (next === "." || next === "e" || next === "E" || spelled === "-0" || !Number.isSafeInteger(value)) {
      this.#at = start;
      return this.#fail(`number ${this.text.slice(start, start + 32)} is not an integer within 2^53-1`);
    }
    return value;
  }

  #string() {
    const start = this.#at++;
    this.#take(PLAIN);
    while (this.text[this.#at] === "\\") {
      if (this.#take(ESCAPE) === undefined) this.#fail("escape that JSON has not");
      this.#take(PLAIN);
    }
    if (this.text[this.#at] !== '"') this.#fail("string that does not end, or holds a control character");
    this.#at++;
    const value = /** @type {string} */ (JSON.parse(this.text.slice(start, this.#at)));
    // Escapes can spell lone surrogates, which no UTF-8 text can hold.
    if (/\p{Surrogate}/u.test(value)) this.#fail("lone surrogate in a string");
    return value;
  }

  /** @param {number} level */
  #array(level) {
    /** @type {JsonValue[]} */
    const items = [];
    if (this.#skipTo("]")) return items;
    do items.push(this.#value(level + 1));
    while (this.#skipTo(","));
    if (!this.#skipTo("]")) this.#fail("expected ',' or ']'");
    return items;
  }

  /** @param {number} level */
  #object(level) {
    // Without a prototype, a member may be named __proto__ and is one like all others.
    /** @type {{ [name: string]: JsonValue }} */
    const members = Object.create(null);
    if (this.#skipTo("}")) return members;
    do {
      this.#skip();
      if (this.text[this.#at] !== '"') this.#fail("expected the name of a member");
      const name = this.#string();
      if (name in members) this.#fail(`member ${shown(name)} appears twice`);
      if (!this.#skipTo(":")) this.#fail("expected ':'");
      members[name] = this.#value(level + 1);
    } while (this.#skipTo(","));
    if (!this.#skipTo("}")) this.#fail("expected ',' or '}'");
    return members;
  }
}
