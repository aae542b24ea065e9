/**
 * The purposes in a trust store besides releases: root, heads, restart (docs/format.md, Trust stores).
 *
 * A module of its own: a reader of bundles needs none of it, and takes such a store for its release keys.
 */

import { utf8 } from "./bytes.js";
import { FormatError, KeyFileError } from "./errors.js";
import { loadPublicKeys } from "./keys.js";
import { Members, asString } from "./members.js";
import { parse } from "./strictjson.js";
import { loadTrust } from "./trust.js";

/** @import { PublicKey } from "./keys.js" */

/** @typedef {{ threshold: number, keys: PublicKey[] }} KeySet */
/** @typedef {{ maxAge: number, until: string, production: KeySet, development?: KeySet }} Heads maxAge in seconds */
/** @typedef {{ sequence: number, created: string }} Restart */
/** @typedef {{ epoch: number, created?: string, root?: KeySet, heads?: Heads, restart?: Restart }} Purposes */

const MAX_KEYS = 16;
const MAX_AGE_S = 366 * 24 * 60 * 60;
const MOMENT = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$/;

/**
 * Return what a trust store says beside its release keys, all of it checked. Throws KeyFileError.
 * @param {string | object} input the text of its file, or its value
 * @returns {Promise<Purposes>}
 */
export async function loadPurposes(input) {
  const store = await loadTrust(input);
  try {
    const value = typeof input === "string" ? parse(utf8(input), "trust store") : input;
    const found = await parsePurposes(/** @type {Record<string, unknown>} */ (value));
    checkDisjoint([...store.keys.keys()], found);
    return found;
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new KeyFileError(error.message);
  }
}

/**
 * @param {Record<string, unknown>} value
 * @returns {Promise<Purposes>}
 */
async function parsePurposes(value) {
  const members = new Members(value, "trust store", [], Object.keys(value));
  const epoch = members.has("epoch") ? members.integer("epoch", 1) : 1;
  const created = members.has("created") ? momentOf(members, "created") : undefined;
  const root = members.has("root") ? await keySetOf(value.root, "trust store.root") : undefined;
  const heads = members.has("heads") ? await headsOf(value.heads) : undefined;
  const restart = members.has("restart") ? restartOf(value.restart) : undefined;
  if (created === undefined && (root || heads || restart || epoch > 1)) {
    throw new KeyFileError("trust store has root, heads, restart or a later epoch, but not when it was created");
  }
  return { epoch, created, root, heads, restart };
}

/**
 * @param {unknown} value
 * @param {string} place
 * @returns {Promise<KeySet>}
 */
async function keySetOf(value, place) {
  const members = new Members(value, place, ["threshold", "keys"]);
  const threshold = members.integer("threshold", 1);
  const keys = [];
  for (const [item, at] of members.array("keys", 1, MAX_KEYS)) {
    const [key, ...others] = await loadPublicKeys(asString(item, at), at);
    if (!key || others.length > 0) throw new KeyFileError(`${at}: ${1 + others.length} public keys found, expected 1`);
    keys.push(key);
  }
  const unique = new Set(keys.map(({ fingerprint }) => fingerprint)).size;
  if (unique !== keys.length) throw new KeyFileError(`${place}: names the same key twice`);
  if (threshold > keys.length) throw new KeyFileError(`${place}: threshold ${threshold} of ${keys.length} keys`);
  return { threshold, keys };
}

/**
 * @param {unknown} value
 * @returns {Promise<Heads>}
 */
async function headsOf(value) {
  const place = "trust store.heads";
  const members = new Members(value, place, ["max_age_s", "until", "production"], ["development"]);
  const maxAge = members.integer("max_age_s", 1);
  if (maxAge > MAX_AGE_S) throw new FormatError(`${place}.max_age_s: ${maxAge} is not from 1 to ${MAX_AGE_S}`);
  const until = momentOf(members, "until");
  const production = await keySetOf(members.value.production, `${place}.production`);
  if (!members.has("development")) return { maxAge, until, production };
  const development = await keySetOf(members.value.development, `${place}.development`);
  return { maxAge, until, production, development };
}

/**
 * @param {unknown} value
 * @returns {Restart}
 */
function restartOf(value) {
  const members = new Members(value, "trust store.restart", ["sequence", "created"]);
  return { sequence: members.integer("sequence", 0), created: momentOf(members, "created") };
}

/**
 * @param {Members} members
 * @param {string} name
 */
function momentOf(members, name) {
  return members.text(name, (text, place) => {
    if (!MOMENT.test(text) || Number.isNaN(Date.parse(text))) throw new FormatError(`${place}: not a time`);
    return text;
  });
}

/**
 * @param {string[]} releases fingerprints of the release keys
 * @param {Purposes} purposes
 */
function checkDisjoint(releases, { root, heads }) {
  const sets = [root, heads?.production, heads?.development].filter((set) => set !== undefined);
  const all = [...releases, ...sets.flatMap(({ keys }) => keys.map(({ fingerprint }) => fingerprint))];
  const twice = all.find((fingerprint, i) => all.indexOf(fingerprint) !== i);
  if (twice) throw new KeyFileError(`key ${twice.slice(0, 16)} has two purposes`);
}
