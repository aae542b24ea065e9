/** A storage in memory, whose processes can be killed at every step of every call, and whose calls can fail. */

import { concat } from "../../src/bytes.js";
import { turns } from "../../src/turns.js";

/** What outlives a process. */
export class Disk {
  /** @type {Uint8Array<ArrayBuffer> | null} */
  record = null;
  /** @type {Map<string, Map<string, Uint8Array<ArrayBuffer>>>} */
  folders = new Map();
}

/** The process is gone: nothing that it would have done happens. */
export class Killed extends Error {}

/** Storage of one process. */
export class MemoryStorage {
  steps = 0;
  /** @type {Map<string, ReturnType<typeof turns>>} */
  #locks = new Map();

  /**
   * @param {Disk} disk
   * @param {(step: number, call: string) => void} [before] throws at the step that must not happen
   */
  constructor(disk, before = () => {}) {
    this.disk = disk;
    this.before = before;
  }

  /** @param {string} call */
  async #step(call) {
    this.before(++this.steps, call);
    await Promise.resolve();
  }

  async load() {
    await this.#step("load");
    return this.disk.record?.slice() ?? null;
  }

  /** @param {Uint8Array<ArrayBuffer>} record */
  async save(record) {
    await this.#step("save");
    this.disk.record = record.slice();
    await this.#step("saved"); // it happened, and nobody learnt of it
  }

  /**
   * @template T
   * @param {string} name
   * @param {() => Promise<T>} work
   */
  locked(name, work) {
    if (!this.#locks.has(name)) this.#locks.set(name, turns());
    return /** @type {ReturnType<typeof turns>} */ (this.#locks.get(name))(work);
  }

  async folders() {
    await this.#step("folders");
    return [...this.disk.folders.keys()];
  }

  /**
   * @param {string} folder
   * @param {string} path
   * @param {AsyncIterable<Uint8Array<ArrayBuffer>> | Iterable<Uint8Array<ArrayBuffer>>} pieces
   */
  async write(folder, path, pieces) {
    await this.#step("write");
    const files = this.disk.folders.get(folder) ?? new Map();
    this.disk.folders.set(folder, files);
    const taken = [];
    for await (const piece of pieces) {
      taken.push(piece.slice());
      files.set(path, concat(taken)); // half of a file is what a kill leaves
      await this.#step("piece");
    }
    files.set(path, concat(taken));
  }

  /**
   * @param {string} folder
   * @param {string} path
   */
  async read(folder, path) {
    await this.#step("read");
    const data = this.disk.folders.get(folder)?.get(path);
    return data ? new Blob([data]) : null;
  }

  /** @param {string} folder */
  async paths(folder) {
    await this.#step("paths");
    return [...(this.disk.folders.get(folder)?.keys() ?? [])];
  }

  /** @param {string} folder */
  async remove(folder) {
    await this.#step("remove");
    const files = this.disk.folders.get(folder);
    for (const path of files?.keys() ?? []) {
      files?.delete(path);
      await this.#step("removing");
    }
    this.disk.folders.delete(folder);
  }
}
