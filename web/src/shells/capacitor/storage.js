/** Where a device store is kept in a Capacitor app: its state in IndexedDB, its files by the plugin for the file system. */

import { toBase64 } from "../../bytes.js";
import { Records } from "../browser/record.js";
import { webLocks } from "../locks.js";

/** @import { Bytes } from "../../bytes.js" */
/** @import { Storage } from "../../storage.js" */

/** @typedef {import("@capacitor/filesystem").FilesystemPlugin} FilesystemPlugin */

/** What of `Capacitor` is used. @typedef {Pick<import("@capacitor/core").CapacitorGlobal, "convertFileSrc" | "isNativePlatform">} Bridge */

// Every call crosses a bridge as text: base64 of 768 KiB is 1 MiB.
const PIECE_BYTES = 768 * 1024;
const MISSING = /OS-PLUG-FILE-0008|does not exist|doesn't exist|no such file/i;

/** @implements {Storage} */
export class CapacitorStorage {
  /**
   * @param {object} options
   * @param {FilesystemPlugin} options.filesystem the plugin `Filesystem`
   * @param {Bridge} options.capacitor the core object `Capacitor`
   * @param {string} [options.name] one for each app and channel
   * @param {import("@capacitor/filesystem").Directory} [options.directory] app-private and not in backups, if it can be
   */
  constructor({ filesystem, capacitor, name = "capseal", directory }) {
    this.filesystem = filesystem;
    this.capacitor = capacitor;
    this.name = name;
    // Directory.Library: private on both systems, and not evicted; the enumeration is not loaded for its one word.
    this.directory = directory ?? /** @type {import("@capacitor/filesystem").Directory} */ ("LIBRARY");
    this.records = new Records(name);
    this.locked = webLocks(name);
  }

  load() {
    return this.records.load();
  }

  /** @param {Bytes} record */
  save(record) {
    return this.records.save(record);
  }

  /** @param {string} [path] below the store's own folder */
  place(path) {
    return { directory: this.directory, path: path === undefined ? this.name : `${this.name}/${path}` };
  }

  async folders() {
    return (await this.#listed(undefined)).map(({ name }) => name);
  }

  /**
   * @param {string} folder
   * @param {string} path
   * @param {AsyncIterable<Bytes> | Iterable<Bytes>} pieces
   */
  async write(folder, path, pieces) {
    const place = this.place(`${folder}/${path}`);
    let begun = false;
    for await (const piece of regrouped(pieces)) {
      const data = toBase64(piece);
      if (begun) await this.filesystem.appendFile({ ...place, data });
      else await this.filesystem.writeFile({ ...place, data, recursive: true });
      begun = true;
    }
    if (!begun) await this.filesystem.writeFile({ ...place, data: "", recursive: true });
  }

  /**
   * @param {string} folder
   * @param {string} path
   * @returns {Promise<Blob | null>}
   */
  async read(folder, path) {
    const place = this.place(`${folder}/${path}`);
    const found = await orMissing(this.filesystem.stat(place));
    if (found?.type !== "file") return null;
    if (!this.capacitor.isNativePlatform()) return blobOf((await this.filesystem.readFile(place)).data);
    // Not across the bridge: the web view reads the file itself.
    const { uri } = await this.filesystem.getUri(place);
    const answer = await fetch(this.capacitor.convertFileSrc(uri), { cache: "no-store" });
    if (!answer.ok) throw new Error(`${path}: the web view answers with status ${answer.status}`);
    return answer.blob();
  }

  /** @param {string} folder */
  async paths(folder) {
    const found = [];
    const open = [""];
    for (let prefix = open.pop(); prefix !== undefined; prefix = open.pop()) {
      for (const { name, type } of await this.#listed(`${folder}/${prefix}`.replace(/\/$/, ""))) {
        if (type === "directory") open.push(`${prefix}${name}/`);
        else found.push(prefix + name);
      }
    }
    return found;
  }

  /** @param {string} folder */
  async remove(folder) {
    await orMissing(this.filesystem.rmdir({ ...this.place(folder), recursive: true }));
  }

  /** @param {string | undefined} path */
  async #listed(path) {
    return (await orMissing(this.filesystem.readdir(this.place(path))))?.files ?? [];
  }
}

/**
 * Return what a call gives, or null where what it is about is not there.
 * @template T
 * @param {Promise<T>} call
 */
async function orMissing(call) {
  try {
    return await call;
  } catch (error) {
    const { code = "", message = "" } = /** @type {{ code?: string, message?: string }} */ (error);
    if (MISSING.test(`${code} ${message}`)) return null;
    throw error;
  }
}

/**
 * Yield bytes in pieces of the size that crosses the bridge best, the last one smaller.
 * @param {AsyncIterable<Bytes> | Iterable<Bytes>} pieces
 */
async function* regrouped(pieces) {
  const piece = new Uint8Array(PIECE_BYTES);
  let filled = 0;
  for await (const data of pieces) {
    for (let at = 0; at < data.length;) {
      const part = data.subarray(at, at + PIECE_BYTES - filled);
      piece.set(part, filled);
      at += part.length;
      filled += part.length;
      if (filled < PIECE_BYTES) continue;
      yield piece;
      filled = 0;
    }
  }
  if (filled > 0) yield piece.subarray(0, filled);
}

/** @param {string | Blob} data base64, or what is no text at all */
function blobOf(data) {
  if (typeof data !== "string") return data;
  return new Blob([Uint8Array.from(atob(data), (character) => character.charCodeAt(0))]);
}
