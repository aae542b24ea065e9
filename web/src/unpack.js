/** From a bundle's plaintext to a folder of files: written as it arrives, where nobody reads before all of it passed. */

import { toHex } from "./bytes.js";
import { FormatError } from "./errors.js";
import { CONTENT, FileDigest, MANIFEST, SEAL, encodeManifest } from "./manifest.js";
import { sha256 } from "./webcrypto.js";
import { checkPath, entries } from "./zip.js";

/** @import { Bytes } from "./bytes.js" */
/** @import { ContentFile } from "./manifest.js" */
/** @import { Statement } from "./statement.js" */
/** @import { Storage } from "./storage.js" */
/** @import { ArchiveLimits } from "./zip.js" */

const ZIP_MEDIA_TYPE = "application/zip";
const CHECK = 3; // raise it whenever something is allowed that was refused: what was refused is tried once more then

/**
 * Return what the state calls a refusal by this check with these limits.
 * @param {ArchiveLimits} limits
 */
export function nameOfCheck({ contentBytes, entries: most, ratio }) {
  return `web archive check ${CHECK}, ${contentBytes} bytes, ${most} entries, ratio ${ratio}`;
}

/** What bytes that a publisher vouches for prove: that they must not be unpacked. */
export class ArchiveRefused extends FormatError {}

/**
 * Fill a new folder with a bundle's content, its manifest and its seal; return the SHA-256 of the manifest, hex.
 *
 * Throws ArchiveRefused, and what the content and the storage throw.
 * @param {Storage} storage
 * @param {string} folder
 * @param {AsyncIterable<Bytes>} plaintext
 * @param {{ statement: Statement, seal: Bytes, limits: ArchiveLimits }} of
 */
export async function fill(storage, folder, plaintext, { statement, seal, limits }) {
  /** @type {Map<string, ContentFile>} */
  const files = new Map();
  /** @type {Set<string>} */
  const folders = new Set();
  const arriving = new Arriving(plaintext);
  const keep = async (/** @type {string} */ path, /** @type {AsyncIterable<Bytes>} */ pieces) => {
    const digest = new FileDigest();
    await storage.write(folder, `${CONTENT}/${path}`, digesting(pieces, digest));
    const parts = path.split("/");
    for (let count = 1; count < parts.length; count++) folders.add(parts.slice(0, count).join("/"));
    return { size: digest.size, digest: await digest.hex() };
  };
  const { name, mediaType, size } = statement.content;
  try {
    if (mediaType === ZIP_MEDIA_TYPE) {
      for await (const entry of entries(arriving.pieces(), limits, size)) {
        if (entry.name.endsWith("/")) folders.add(entry.name.slice(0, -1));
        else {
          const kept = await keep(entry.name, entry.pieces);
          files.set(entry.name, { ...kept, crc: entry.crc32() });
        }
      }
    } else {
      checkPath(name);
      if (size > limits.contentBytes) {
        throw new FormatError(`content of ${size} bytes, at most ${limits.contentBytes} are allowed`);
      }
      files.set(name, { ...(await keep(name, arriving.pieces())), crc: null });
    }
  } catch (error) {
    // What failed before the archive was looked at is no proof of anything.
    if (!(error instanceof FormatError) || error === arriving.error) throw error;
    throw new ArchiveRefused(error.message, error.offset);
  }
  const manifest = encodeManifest({ folders: [...folders].sort(), files: new Map([...files].sort(byPath)) });
  await storage.write(folder, MANIFEST, [manifest]);
  await storage.write(folder, SEAL, [seal]);
  return toHex(await sha256(manifest));
}

/**
 * @param {[string, unknown]} one
 * @param {[string, unknown]} other
 */
function byPath([one], [other]) {
  return one < other ? -1 : 1;
}

/** Plaintext that knows what its own end was. */
class Arriving {
  /** @type {unknown} */
  error = null;

  /** @param {AsyncIterable<Bytes>} plaintext */
  constructor(plaintext) {
    this.plaintext = plaintext;
  }

  async *pieces() {
    try {
      yield* this.plaintext;
    } catch (error) {
      this.error = error;
      throw error;
    }
  }
}

/**
 * @param {AsyncIterable<Bytes>} pieces
 * @param {FileDigest} digest
 */
async function* digesting(pieces, digest) {
  for await (const piece of pieces) {
    await digest.add(piece);
    yield piece;
  }
}
