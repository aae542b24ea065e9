/** Who may vouch for a bundle: trusted keys, their roles, and how many different ones it takes (docs/keys.md). */

import { MAX_SIGNATURES } from "./dsse.js";
import { FormatError, KeyFileError, NotForUsError, SignatureError } from "./errors.js";
import { loadPublicKey, loadPublicKeys } from "./keys.js";
import { Members, checkRole, exactly } from "./members.js";
import { parse } from "./strictjson.js";
import { utf8 } from "./bytes.js";

/** @import { Envelope, Signature } from "./dsse.js" */
/** @import { PublicKey } from "./keys.js" */
/** @import { Purposes } from "./purposes.js" */

/** @typedef {"production" | "development"} Role */
/** @typedef {{ fingerprint: string, role: Role }} Signer */

/**
 * The text of a trust store file, its value, PEM public keys (production, threshold 1), or what loadTrust() returned.
 * @typedef {string | object | TrustStore} TrustInput
 */

const MAX_ENTRIES = 256;
const PURPOSES = ["epoch", "created", "certificates", "crls", "root", "heads", "restart"];
/** @type {Purposes} */
const NONE = { epoch: 1, certificates: [], crls: [], digest: "" };
const checkType = exactly("capseal-trust-v1");

/** Trusted keys and a threshold. Certificates in a store vouch for nobody here; they are only counted. */
export class TrustStore {
  /**
   * @param {{ key: PublicKey, role: Role }[]} keys
   * @param {number} threshold
   * @param {number} version counts the store's updates
   * @param {Purposes} purposes what it says besides
   */
  constructor(keys, threshold, version, purposes) {
    this.keys = new Map(keys.map((trusted) => [trusted.key.fingerprint, trusted]));
    this.threshold = threshold;
    this.version = version;
    this.purposes = purposes;
    const { certificates } = purposes;
    if (this.keys.size !== keys.length) throw new KeyFileError("trust store names the same key twice");
    const production = keys.filter(isProduction).length;
    const most = certificates.some(isProduction) ? MAX_SIGNATURES : Math.min(MAX_SIGNATURES, production || 1);
    if (threshold < 1 || threshold > most || keys.length + certificates.length === 0) {
      throw new KeyFileError(
        `trust store has threshold ${threshold} but ${production} production keys of ${keys.length}`,
      );
    }
  }

  /**
   * Return the trusted keys that signed, or throw SignatureError or NotForUsError.
   * @param {Envelope} envelope
   * @param {Role} role production demands a threshold of production keys; development is content with one of its own
   * @returns {Promise<Signer[]>}
   */
  async check({ message, signatures }, role) {
    /** @type {Map<string, Role>} */
    const signers = new Map();
    let certified = 0;
    for (const signature of signatures) {
      const trusted = this.keys.get(signature.keyid);
      const key = await keyOf(signature, trusted?.key);
      await key?.verify(signature.sig, message);
      if (trusted) signers.set(signature.keyid, trusted.role);
      else if (key && this.purposes.certificates.length > 0) certified++;
    }
    const production = [...signers.values()].filter((found) => found === "production").length;
    const development = role === "development" && production < signers.size;
    if (signers.size > 0 && (production >= this.threshold || development)) {
      return [...signers].map(([fingerprint, found]) => ({ fingerprint, role: found }));
    }
    if (certified > 0) {
      throw new SignatureError(
        `${certified} signatures could be vouched for by certificates only, which this reader does not judge; ` +
          `it trusts bare keys, of which ${production} signed and ${this.threshold} must`,
      );
    }
    if (signers.size === 0) {
      const shown = signatures.map(({ keyid }) => keyid.slice(0, 16)).join(", ");
      throw new SignatureError(`signed by ${shown}, which no trusted key matches`);
    }
    if (production === 0) {
      throw new NotForUsError("signed by a development key only, a production signature is demanded");
    }
    throw new SignatureError(
      `signed by ${production} trusted production keys, the threshold is ${this.threshold} different ones`,
    );
  }
}

/**
 * Return the key to verify a signature with, or undefined for a stranger's without certificates.
 * @param {Signature} signature
 * @param {PublicKey | undefined} trusted
 */
async function keyOf({ keyid, x5c }, trusted) {
  if (!x5c) return trusted;
  // Certificates are not signed by the envelope, so they must prove themselves, trusted or not. Most signatures have none.
  const { keyOfChain } = await import("./chain.js");
  const key = await keyOfChain(x5c);
  if (key.fingerprint !== keyid) {
    throw new SignatureError(`certificate is for key ${key.fingerprint.slice(0, 16)}, not for ${keyid.slice(0, 16)}`);
  }
  return key;
}

/**
 * Load whom to trust. Throws KeyFileError.
 * @param {TrustInput} input
 * @returns {Promise<TrustStore>}
 */
export async function loadTrust(input) {
  if (input instanceof TrustStore) return input;
  if (typeof input === "string" && !/^\s*\{/.test(input)) {
    const keys = await loadPublicKeys(input, "trust");
    return new TrustStore(
      keys.map((key) => ({ key, role: "production" })),
      1,
      1,
      NONE,
    );
  }
  try {
    return await parseStore(typeof input === "string" ? parse(utf8(input), "trust store") : input);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new KeyFileError(error.message);
  }
}

/**
 * Return a trust store from its JSON value. Throws FormatError, KeyFileError.
 * @param {unknown} value
 */
export async function parseStore(value) {
  const members = new Members(value, "trust store", ["type", "threshold", "keys"], ["version", ...PURPOSES]);
  members.text("type", checkType);
  const keys = [];
  for (const [item, place] of members.array("keys", 0, MAX_ENTRIES)) {
    const entry = new Members(item, place, ["role", "public_key"]);
    const role = /** @type {Role} */ (entry.text("role", checkRole));
    keys.push({ key: await loadPublicKey(entry.value["public_key"], entry.place("public_key")), role });
  }
  const threshold = members.integer("threshold", 1);
  const version = members.has("version") ? members.integer("version", 1) : 1;
  // Most stores say no more, and most readers ask for no more: what checks the rest is fetched where there is some.
  const more = PURPOSES.some((name) => members.has(name)) && (await import("./purposes.js"));
  return new TrustStore(keys, threshold, version, more ? await more.parsePurposes(members, keys) : NONE);
}

/** @param {{ role: Role }} trusted */
function isProduction({ role }) {
  return role === "production";
}
