/** What a bundle needs of the app that shall run it (docs/format.md, Statement). */

import { shown } from "./bytes.js";
import { FormatError } from "./errors.js";
import { Members, asString, checkName } from "./members.js";

/**
 * What is absent demands nothing.
 * @typedef {object} Requires
 * @property {{ min?: string, below?: string }} [native] the lowest version that will do, and the lowest that will not
 * @property {string[]} [platforms] such as `android`
 */

const VERSION = /^(?:0|[1-9][0-9]{0,14})(?:\.(?:0|[1-9][0-9]{0,14})){0,3}$/;
const MAX_PLATFORMS = 16;

/**
 * Check requirements, of which there must be one. Throws FormatError.
 * @param {Members} members
 */
export function checkRequires(members) {
  needOne(members, "native", "platforms");
  if (members.has("native")) {
    const native = members.object("native", [], ["min", "below"]);
    needOne(native, "min", "below");
    const [min, below] = ["min", "below"].map((name) => (native.has(name) ? native.text(name, checkVersion) : null));
    if (min && below && compareVersions(min, below) >= 0) {
      throw new FormatError(`${native.place("min")}: ${min} is not below ${below}`);
    }
  }
  if (members.has("platforms")) {
    const found = new Set();
    for (const [item, place] of members.array("platforms", 1, MAX_PLATFORMS)) {
      const platform = checkName(asString(item, place), place);
      if (platform !== platform.toLowerCase())
        throw new FormatError(`${place}: ${shown(platform)} is not in lower case`);
      if (found.has(platform)) throw new FormatError(`${place}: platform ${shown(platform)} appears twice`);
      found.add(platform);
    }
  }
}

/**
 * Return why a bundle does not fit what is told of an app, or null. What is not told fits.
 * @param {Requires} requires
 * @param {string | undefined} native
 * @param {string | undefined} platform
 */
export function misfit(requires, native, platform) {
  const { min, below } = requires.native ?? {};
  if (native !== undefined && min !== undefined && compareVersions(native, min) < 0) {
    return `bundle needs native version ${min} or later, here is ${native}`;
  }
  if (native !== undefined && below !== undefined && compareVersions(native, below) >= 0) {
    return `bundle needs a native version below ${below}, here is ${native}`;
  }
  if (platform !== undefined && requires.platforms && !requires.platforms.includes(platform)) {
    return `bundle is for platform ${requires.platforms.join(" or ")}, here is ${shown(platform)}`;
  }
  return null;
}

/**
 * Return a native app's version: 1 to 4 integers without leading zeros, with dots between.
 * @param {string} value
 * @param {string} place
 */
export function checkVersion(value, place) {
  if (!VERSION.test(value)) {
    throw new FormatError(`${place}: ${shown(value)} is not 1 to 4 integers of at most 15 digits such as 1.4.2`);
  }
  return value;
}

/**
 * Return a number below, at or above 0: how one version compares to another; integers that are missing are 0.
 * @param {string} one
 * @param {string} other
 */
function compareVersions(one, other) {
  const [ours, theirs] = [one.split(".").map(Number), other.split(".").map(Number)];
  for (let i = 0; i < 4; i++) {
    const difference = (ours[i] ?? 0) - (theirs[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/**
 * @param {Members} members
 * @param {string} one
 * @param {string} other
 */
function needOne(members, one, other) {
  if (!members.has(one) && !members.has(other)) {
    throw new FormatError(`${members.place(one)}: missing, and so is ${other}; one of them is required`);
  }
}
