/** Which names an archive may have: those that every file system can hold, each under a name of its own. */

import { shown, utf8 } from "./bytes.js";
import { FormatError } from "./errors.js";

const MAX_PATH_BYTES = 1024;
const MAX_NAME_BYTES = 255;
const MAX_LEVELS = 64;
// What cannot be seen or stored everywhere: controls, separators, surrogates, bidi controls, noncharacters.
const INVISIBLE =
  /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\p{Surrogate}\p{Noncharacter_Code_Point}]/u;
const NOT_ON_WINDOWS = /[<>:"|?*\\]|[. ]$/;
const DEVICE = /^(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])[ ]*(?:\.|$)/i;

/**
 * Check a path with `/` between its parts. Throws FormatError.
 * @param {string} path
 */
export function checkPath(path) {
  const parts = path.split("/");
  if (utf8(path).length > MAX_PATH_BYTES || parts.length > MAX_LEVELS) {
    throw new FormatError(`entry ${shown(path)}: path of more than ${MAX_PATH_BYTES} bytes or ${MAX_LEVELS} parts`);
  }
  for (const part of parts) {
    if (part === "" || part === "." || part === "..") {
      throw new FormatError(`entry ${shown(path)}: has an empty part, '.' or '..'`);
    }
    if (utf8(part).length > MAX_NAME_BYTES) {
      throw new FormatError(`entry ${shown(path)}: name of more than ${MAX_NAME_BYTES} bytes`);
    }
    if (INVISIBLE.test(part) || NOT_ON_WINDOWS.test(part) || DEVICE.test(part)) {
      throw new FormatError(`entry ${shown(path)}: some system cannot store or show that name; rename it`);
    }
  }
}

/** The names of one archive, files and every folder on their way: no two that some system takes for one. */
export class Names {
  /** @type {Map<string, { path: string, file: boolean }>} */
  #seen = new Map();

  /** @param {number} limit */
  constructor(limit) {
    this.limit = limit;
  }

  /**
   * @param {string} path a folder's ends with `/`
   */
  add(path) {
    const bare = path.replace(/\/$/, "");
    checkPath(bare);
    const parts = bare.split("/");
    for (let count = 1; count <= parts.length; count++) {
      this.#add(parts.slice(0, count).join("/"), count === parts.length && bare === path, count === parts.length);
    }
  }

  /**
   * @param {string} path
   * @param {boolean} file
   * @param {boolean} named
   */
  #add(path, file, named) {
    const key = caseless(path);
    const seen = this.#seen.get(key);
    if (!seen) {
      this.#seen.set(key, { path, file });
      if (this.#seen.size > this.limit) throw new FormatError(`archive: more than ${this.limit} entries`);
    } else if (seen.path !== path || seen.file || file || (named && file)) {
      throw new FormatError(`entry ${shown(path)}: some system takes its name for that of ${shown(seen.path)}`);
    }
  }
}

/** @param {string} name */
function caseless(name) {
  // Upper case first unites what case folding does: final sigma, sharp s, ligatures. Of the small one it knows the capital
  // sharp s, and a dotless i is none: only Turkish has one for the other.
  const parts = name.normalize("NFD").replaceAll("\u1e9e", "ss").split("\u0131");
  return parts.map((part) => part.toUpperCase().toLowerCase()).join("\u0131").normalize("NFD");
}
