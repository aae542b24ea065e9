/**
 * What a trust store says besides its release keys: root, heads, restart, certificates (docs/format.md, Trust stores).
 *
 * A module of its own, fetched where a store has any of it: most readers of bundles need none.
 */

import { toHex, utf8 } from "./bytes.js";
import { parseCertificate } from "./certificate.js";
import { DerError, rsaInPublicKeyInfo } from "./der.js";
import { KeyFileError } from "./errors.js";
import { PublicKey, loadPublicKey, pemBlocks } from "./keys.js";
import { Members, asString, checkMoment, checkRole } from "./members.js";
import { checkRevocationList } from "./revocation.js";
import { textOf } from "./storetext.js";
import { sha256 } from "./webcrypto.js";

/** @import { Bytes } from "./bytes.js" */
/** @import { Role } from "./trust.js" */

/** @typedef {{ threshold: number, keys: PublicKey[] }} KeySet */
/** @typedef {{ maxAge: number, until: string, production: KeySet, development?: KeySet }} Heads maxAge in seconds */
/** @typedef {{ sequence: number, created: string }} Restart */
/** @typedef {{ role: Role, der: Bytes, fingerprint: string }} TrustedCertificate fingerprint: of the key that it is for */

/**
 * @typedef {object} Purposes
 * @property {number} epoch of the keys for heads
 * @property {string} [created] UTC
 * @property {KeySet} [root]
 * @property {Heads} [heads]
 * @property {Restart} [restart]
 * @property {TrustedCertificate[]} certificates which vouch for nobody here
 * @property {Bytes[]} crls in DER
 * @property {string} digest of the store: SHA-256 of its text, hex; empty where the store has nothing but release keys
 */

const MAX_ENTRIES = 256;
const MAX_KEYS = 16;
const MAX_AGE_S = 366 * 24 * 60 * 60;

/**
 * Return what a trust store says besides its release keys. Throws FormatError, KeyFileError.
 * @param {Members} members of the store
 * @param {{ key: PublicKey, role: Role }[]} releases its release keys
 * @returns {Promise<Purposes>}
 */
export async function parsePurposes(members, releases) {
  const version = members.has("version") ? members.integer("version", 1) : 1;
  const threshold = members.integer("threshold", 1);
  const certificates = [];
  if (members.has("certificates")) {
    for (const [item, place] of members.array("certificates", 0, MAX_ENTRIES)) {
      certificates.push(...(await certificatesOf(new Members(item, place, ["role", "certificate"]))));
    }
  }
  const crls = members.has("crls") ? members.array("crls", 0, MAX_ENTRIES).flatMap(revocationListsOf) : [];
  const purposes = {
    epoch: members.has("epoch") ? members.integer("epoch", 1) : 1,
    ...(members.has("created") && { created: members.text("created", checkMoment) }),
    ...(members.has("root") && { root: await keySetOf(members, "root") }),
    ...(members.has("heads") && { heads: await headsOf(members) }),
    ...(members.has("restart") && { restart: restartOf(members) }),
    certificates,
    crls,
  };
  checkPurposes(purposes, releases);
  const keys = new Map(releases.map((trusted) => [trusted.key.fingerprint, trusted]));
  return { ...purposes, digest: toHex(await sha256(utf8(textOf({ version, threshold, keys, purposes })))) };
}

/**
 * Throw KeyFileError where what a store says does not fit together.
 * @param {Omit<Purposes, "digest">} purposes
 * @param {{ key: PublicKey }[]} releases
 */
function checkPurposes({ epoch, created, root, heads, restart, certificates }, releases) {
  if (new Set(certificates.map(({ der }) => toHex(der))).size !== certificates.length) {
    throw new KeyFileError("trust store names the same certificate twice");
  }
  if (created === undefined && (root || heads || restart || epoch > 1)) {
    throw new KeyFileError("trust store has root, heads, restart or a later epoch, but not when it was created");
  }
  if (!root && !heads) return;
  /** @type {[string, string[]][]} */
  const named = [["releases", [...releases.map(({ key }) => key), ...certificates].map(({ fingerprint }) => fingerprint)]];
  /** @type {[string, KeySet | undefined][]} */
  const sets = [["root", root], ["production heads", heads?.production], ["development heads", heads?.development]];
  for (const [purpose, set] of sets) if (set) named.push([purpose, set.keys.map(({ fingerprint }) => fingerprint)]);
  checkDisjoint(named);
}

/** @param {[string, string[]][]} named fingerprints of the keys of each purpose */
function checkDisjoint(named) {
  const seen = new Map();
  for (const [purpose, fingerprints] of named) {
    for (const fingerprint of fingerprints) {
      const other = seen.get(fingerprint) ?? purpose;
      seen.set(fingerprint, other);
      if (other !== purpose) {
        throw new KeyFileError(
          `key ${fingerprint.slice(0, 16)} is for ${other} and for ${purpose}; no key has two purposes`,
        );
      }
    }
  }
}

/**
 * @param {Members} outer
 * @param {string} name
 * @returns {Promise<KeySet>}
 */
async function keySetOf(outer, name) {
  const members = outer.object(name, ["threshold", "keys"]);
  const keys = [];
  for (const [item, place] of members.array("keys", 1, MAX_KEYS)) keys.push(await loadPublicKey(item, place));
  const threshold = members.integer("threshold", 1);
  if (new Set(keys.map(({ fingerprint }) => fingerprint)).size !== keys.length) {
    throw new KeyFileError(`${members.where}: names the same key twice`);
  }
  if (threshold > keys.length) throw new KeyFileError(`${members.where}: threshold ${threshold} of ${keys.length} keys`);
  return { threshold, keys };
}

/**
 * @param {Members} outer
 * @returns {Promise<Heads>}
 */
async function headsOf(outer) {
  const members = outer.object("heads", ["max_age_s", "until", "production"], ["development"]);
  return {
    maxAge: members.integer("max_age_s", 1, MAX_AGE_S),
    until: members.text("until", checkMoment),
    production: await keySetOf(members, "production"),
    ...(members.has("development") && { development: await keySetOf(members, "development") }),
  };
}

/**
 * @param {Members} outer
 * @returns {Restart}
 */
function restartOf(outer) {
  const members = outer.object("restart", ["sequence", "created"]);
  return { sequence: members.integer("sequence", 0), created: members.text("created", checkMoment) };
}

/**
 * @param {Members} entry
 * @returns {Promise<TrustedCertificate[]>}
 */
async function certificatesOf(entry) {
  const place = entry.place("certificate");
  const found = derOf(entry.text("certificate", (text) => text), "CERTIFICATE", place);
  const role = /** @type {Role} */ (entry.text("role", checkRole));
  return Promise.all(found.map(async (der) => ({ role, der, fingerprint: await keyIn(der, place) })));
}

/**
 * Return the fingerprint of the key that a certificate is for, whatever its kind.
 * @param {Bytes} der
 * @param {string} place
 */
async function keyIn(der, place) {
  try {
    const { spki } = parseCertificate(der);
    try {
      return (await PublicKey.of(rsaInPublicKeyInfo(spki))).fingerprint;
    } catch (error) {
      if (!(error instanceof DerError || error instanceof KeyFileError)) throw error;
      return toHex(await sha256(spki)); // a key that capseal does not allow; no bare key is the same one
    }
  } catch (error) {
    if (!(error instanceof DerError)) throw error;
    throw new KeyFileError(`${place}: certificate cannot be parsed: ${error.message}`);
  }
}

/** @param {[unknown, string]} item */
function revocationListsOf([item, place]) {
  const found = derOf(asString(item, place), "X509 CRL", place);
  for (const der of found) {
    try {
      checkRevocationList(der);
    } catch (error) {
      if (!(error instanceof DerError)) throw error;
      throw new KeyFileError(`${place}: unusable revocation list: ${error.message}`);
    }
  }
  return found;
}

/**
 * Return what the blocks of that label hold; others are ignored.
 * @param {string} text
 * @param {string} label
 * @param {string} place
 */
function derOf(text, label, place) {
  const found = pemBlocks(text, place).filter((block) => block.label === label);
  if (found.length === 0) throw new KeyFileError(`${place}: no PEM ${label}`);
  return found.map(({ der }) => der);
}
