/**
 * A bundle's plaintext, rebuilt by a recipe from what is installed; fetched by ranges where that does not give it.
 *
 * Each rebuilt segment is encrypted again, and given only where it is the one that was signed. One that differs would be
 * another plaintext under the same key and nonce: it never leaves this module.
 */

import { Base } from "./base.js";
import { utf8 } from "./bytes.js";
import { unsealCompanion } from "./companion.js";
import { RejectedError, TamperedError } from "./errors.js";
import { DIGEST_BYTES, HEADER_BYTES, plainOffset, segmentCount } from "./layout.js";
import { CONTENT, readManifest } from "./manifest.js";
import { SegmentCipher, checkCommitment, parseHeader } from "./payload.js";
import { rebuild } from "./recipe.js";
import { openSource } from "./source.js";
import { Stored } from "./stored.js";
import { checkSegment } from "./tree.js";
import { hkdf, subtle } from "./webcrypto.js";

/** @import { BaseFiles } from "./base.js" */
/** @import { Bytes } from "./bytes.js" */
/** @import { Identity } from "./keys.js" */
/** @import { Arriving, Incoming } from "./plaintext.js" */
/** @import { Release } from "./releases.js" */
/** @import { InstalledBundle, State } from "./state.js" */
/** @import { Attachment, Statement } from "./statement.js" */
/** @import { Storage } from "./storage.js" */

/**
 * @typedef {object} Means
 * @property {Identity} identity
 * @property {Storage} storage
 * @property {State} state
 * @property {number} recipeMemoryBytes 0 to use no recipe
 * @property {AbortSignal | undefined} signal
 */

const FROM_NOTHING = "recipe-fresh";
const NAME_DIGEST_CHARS = 16;

/**
 * Return the plaintext by the recipe from what was confirmed, the latest first, or else by that from nothing; null where
 * there is none for what is here.
 * @param {Incoming} incoming
 * @param {Release} release
 * @param {Map<string, Attachment>} recipes by name
 * @param {Means} means
 * @returns {Promise<Arriving | null>}
 */
export async function rebuiltFrom(incoming, release, recipes, means) {
  const found = await chosen(recipes, means);
  if (!found) return null;
  const { companion, base } = found;
  const { verified } = incoming;
  const { stored, index } = release.companion(companion.name);
  const { identity, recipeMemoryBytes, signal } = means;
  const opening = { verified, name: companion.name, index, identity, ...(signal && { signal }) };
  const pieces = rebuild(unsealCompanion(stored, opening), { base, memoryBytes: recipeMemoryBytes });
  const rebuilding = new Rebuilt(incoming, release, pieces, means);
  const recipeBytes = companion.size + DIGEST_BYTES * segmentCount(companion.size);
  const { size } = verified.statement.payload;
  const source = () => (rebuilding.kept > 0 ? companion.name : "payload");
  return {
    pieces: rebuilding.plaintext(),
    download: () => ({ bytes: recipeBytes + rebuilding.fetched, of: size, source: source() }),
  };
}

/**
 * @param {Map<string, Attachment>} recipes
 * @param {Means} means
 * @returns {Promise<{ companion: Attachment, base: BaseFiles } | null>}
 */
async function chosen(recipes, { storage, state }) {
  for (const bundle of state.confirmed) {
    const files = await filesOf(storage, bundle);
    if (!files) continue;
    // By the digest of its payload, or by that of its listing, where nobody sealed it when the recipe was made.
    for (const digest of [bundle.digest, (await Base.of(files)).digest]) {
      const companion = recipes.get(`recipe-${digest.slice(0, NAME_DIGEST_CHARS)}`);
      if (companion) return { companion, base: { ...files, digest } };
    }
  }
  const fresh = recipes.get(FROM_NOTHING);
  return fresh ? { companion: fresh, base: { entries: [], read: async () => new Uint8Array() } } : null;
}

/**
 * Return the files of an installed bundle, or null where they are the base of no recipe.
 * @param {Storage} storage
 * @param {InstalledBundle} bundle
 * @returns {Promise<BaseFiles | null>}
 */
async function filesOf(storage, bundle) {
  const manifest = await readManifest(storage, bundle).catch(() => null);
  if (!manifest) return null;
  const entries = manifest.folders.map((path) => ({ name: `${path}/`, size: 0, crc32: 0 }));
  for (const [name, { size, crc }] of manifest.files) {
    if (crc === null) return null;
    entries.push({ name, size, crc32: crc });
  }
  /** @type {{ name: string, blob: Blob | null } | null} */
  let last = null;
  const read = async (/** @type {string} */ name, /** @type {number} */ offset, /** @type {number} */ length) => {
    const data = new Uint8Array(length); // what cannot be read is zeros: what is rebuilt from it is checked anyway
    try {
      if (last?.name !== name) last = { name, blob: await storage.read(bundle.folder, `${CONTENT}/${name}`) };
      const found = await last.blob?.slice(offset, offset + length).arrayBuffer();
      data.set(new Uint8Array(found ?? []));
    } catch {
      last = null;
    }
    return data;
  };
  return { entries, read };
}

/** One payload. kept: segments that the recipe gave; fetched: bytes of the payload. */
class Rebuilt {
  kept = 0;
  fetched = 0;
  /** @type {Stored | null} */
  #ranges = null;
  /** @type {Bytes} */
  #left = new Uint8Array();
  #ended = false;

  /**
   * @param {Incoming} incoming
   * @param {Release} release
   * @param {AsyncGenerator<Bytes, unknown>} pieces
   * @param {Means} means
   */
  constructor({ verified, index }, release, pieces, { identity, signal }) {
    this.statement = verified.statement;
    this.index = index;
    this.release = release;
    this.pieces = pieces;
    this.identity = identity;
    this.signal = signal;
  }

  /** @returns {AsyncGenerator<Bytes, void>} */
  async *plaintext() {
    const { content, payload } = this.statement;
    const sessionKey = await this.identity.openSessionKey(this.statement);
    const count = segmentCount(payload.size);
    /** @type {RebuildingCipher | null} */
    let cipher = null;
    try {
      for (let segment = 0; segment < count; segment++) {
        this.signal?.throwIfAborted();
        const header = segment === 0 ? await this.#taken(HEADER_BYTES) : null;
        if (header) cipher = await this.#cipherOf(sessionKey, header);
        const stop = Math.min(content.size, plainOffset(segment + 1));
        const plain = cipher && (await this.#taken(stop - plainOffset(segment)));
        if (cipher && plain && (await this.#isSigned(cipher, segment, header, plain))) {
          this.kept++;
          if (plain.length > 0) yield plain;
          continue;
        }
        const stored = await this.#fetch(segment);
        // The header of the first segment, which was checked, is the one to go by.
        cipher ??= await RebuildingCipher.ofPayload(sessionKey, stored, this.statement);
        const fetched = await cipher.decrypt(segment, stored);
        if (fetched.length > 0) yield fetched;
      }
    } finally {
      await this.pieces.return(undefined).catch(() => {});
      await this.#ranges?.source.close();
    }
  }

  /**
   * Return the cipher of a header that a recipe gave, or null where no segment could come out right by it.
   * @param {CryptoKey} sessionKey
   * @param {Bytes} header
   */
  async #cipherOf(sessionKey, header) {
    try {
      return await RebuildingCipher.ofPayload(sessionKey, header, this.statement);
    } catch (error) {
      if (!(error instanceof RejectedError)) throw error;
      return null;
    }
  }

  /**
   * @param {RebuildingCipher} cipher
   * @param {number} segment
   * @param {Bytes | null} header
   * @param {Bytes} plain
   */
  async #isSigned(cipher, segment, header, plain) {
    const sealed = await cipher.encrypt(segment, plain);
    const stored = new Uint8Array((header?.length ?? 0) + sealed.length);
    stored.set(header ?? []);
    stored.set(sealed, header?.length ?? 0);
    try {
      await checkSegment(this.index, segment, stored);
      return true;
    } catch (error) {
      if (!(error instanceof TamperedError)) throw error;
      stored.fill(0);
      return false;
    }
  }

  /** @param {number} segment */
  async #fetch(segment) {
    this.#ranges ??= new Stored(
      openSource(this.release.payload, { seeking: true, signal: this.signal }),
      this.index,
      this.signal,
    );
    const data = await this.#ranges.segment(segment);
    this.fetched += data.length;
    return data;
  }

  /**
   * Return the next bytes that the recipe gives, or null where it gives no more: any defect of it ends it.
   * @param {number} count
   */
  async #taken(count) {
    const data = new Uint8Array(count);
    let filled = 0;
    while (filled < count && !this.#ended) {
      const piece = this.#left.subarray(0, count - filled);
      data.set(piece, filled);
      filled += piece.length;
      this.#left = this.#left.subarray(piece.length);
      if (filled < count && this.#left.length === 0) await this.#next();
    }
    return filled === count ? data : null;
  }

  async #next() {
    try {
      const { done, value } = await this.pieces.next();
      this.#ended = done === true;
      this.#left = done ? new Uint8Array() : /** @type {Bytes} */ (value);
    } catch {
      this.signal?.throwIfAborted();
      this.#ended = true;
    }
  }
}

/** A payload's cipher that encrypts again what was encrypted once: never anything else comes out of here. */
class RebuildingCipher extends SegmentCipher {
  /**
   * Return the cipher of a payload that begins so, once the session key is the one that was committed to.
   * @param {CryptoKey} sessionKey
   * @param {Bytes} start
   * @param {Statement} statement
   */
  static async ofPayload(sessionKey, start, statement) {
    const header = parseHeader(start);
    await checkCommitment(sessionKey, header, statement);
    const derived = await hkdf(sessionKey, header.salt, utf8(`capseal/v1 ${statement.app}`));
    const key = await subtle().importKey("raw", derived, "AES-GCM", false, ["encrypt", "decrypt"]);
    return new RebuildingCipher(key, header.prefix, statement.payload.size);
  }

  /**
   * @param {number} segment
   * @param {Bytes} plain
   */
  async encrypt(segment, plain) {
    return new Uint8Array(await subtle().encrypt({ name: "AES-GCM", iv: this.nonce(segment) }, this.key, plain));
  }
}
