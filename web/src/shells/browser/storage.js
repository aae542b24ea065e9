/** Where a device store is kept in a browser: its state in IndexedDB, its files in the origin's private file system. */

import { webLocks } from "../locks.js";
import { Records } from "./record.js";

/** @import { Bytes } from "../../bytes.js" */
/** @import { Storage } from "../../storage.js" */

/** @implements {Storage} */
export class BrowserStorage {
  /** @param {{ name?: string }} [options] name: one for each app and channel of an origin */
  constructor({ name = "capseal" } = {}) {
    this.name = name;
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

  async #root() {
    return (await navigator.storage.getDirectory()).getDirectoryHandle(this.name, { create: true });
  }

  async folders() {
    const found = [];
    for await (const [name] of await this.#root()) found.push(name);
    return found;
  }

  /**
   * @param {string} folder
   * @param {string} path
   * @param {AsyncIterable<Bytes> | Iterable<Bytes>} pieces
   */
  async write(folder, path, pieces) {
    const [parent, name] = await this.#parentOf(folder, path, true);
    const handle = await parent.getFileHandle(name, { create: true });
    const writable = await handle.createWritable();
    try {
      for await (const piece of pieces) await writable.write(piece);
    } catch (error) {
      await writable.abort().catch(() => {}); // what failed first is what has to be told
      throw error;
    }
    await writable.close();
  }

  /**
   * @param {string} folder
   * @param {string} path
   * @returns {Promise<Blob | null>}
   */
  async read(folder, path) {
    try {
      const [parent, name] = await this.#parentOf(folder, path, false);
      return await (await parent.getFileHandle(name)).getFile();
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  }

  /** @param {string} folder */
  async paths(folder) {
    try {
      return await pathsIn(await (await this.#root()).getDirectoryHandle(folder), "");
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  }

  /** @param {string} folder */
  async remove(folder) {
    try {
      await (await this.#root()).removeEntry(folder, { recursive: true });
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }

  /**
   * @param {string} folder
   * @param {string} path
   * @param {boolean} create
   * @returns {Promise<[FileSystemDirectoryHandle, string]>}
   */
  async #parentOf(folder, path, create) {
    const parts = [folder, ...path.split("/")];
    const name = /** @type {string} */ (parts.pop());
    let parent = await this.#root();
    for (const part of parts) parent = await parent.getDirectoryHandle(part, { create });
    return [parent, name];
  }
}

/**
 * @param {FileSystemDirectoryHandle} folder
 * @param {string} prefix
 * @returns {Promise<string[]>}
 */
async function pathsIn(folder, prefix) {
  const found = [];
  for await (const [name, handle] of folder) {
    if (handle.kind === "file") found.push(prefix + name);
    else found.push(...(await pathsIn(/** @type {FileSystemDirectoryHandle} */ (handle), `${prefix}${name}/`)));
  }
  return found;
}

/** @param {unknown} error */
function isMissing(error) {
  return error instanceof DOMException && (error.name === "NotFoundError" || error.name === "TypeMismatchError");
}
