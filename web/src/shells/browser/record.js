/** One IndexedDB database of a device store: the state, one record, and the device's own key. */

/** @import { Bytes } from "../../bytes.js" */

const STATE = "state";
const KEYS = "keys";

/** Opened when it is first used. */
export class Records {
  /** @type {Promise<IDBDatabase> | null} */
  #open = null;

  /** @param {string} name of the database */
  constructor(name) {
    this.name = name;
  }

  /** @returns {Promise<IDBDatabase>} */
  #database() {
    this.#open ??= new Promise((resolve, reject) => {
      const request = indexedDB.open(this.name, 1);
      request.onupgradeneeded = () => [STATE, KEYS].forEach((store) => request.result.createObjectStore(store));
      request.onerror = () => reject(request.error);
      request.onsuccess = () => {
        // Whoever deletes or replaces the database must not wait for a page that sleeps.
        request.result.onversionchange = () => this.#close();
        request.result.onclose = () => void (this.#open = null);
        resolve(request.result);
      };
    });
    this.#open.catch(() => void (this.#open = null));
    return this.#open;
  }

  #close() {
    this.#open?.then((database) => database.close());
    this.#open = null;
  }

  /**
   * Return what one store has under its one key, or undefined.
   * @param {string} store
   */
  async #get(store) {
    const database = await this.#database();
    return ended(database.transaction(store, "readonly"), (transaction) => transaction.objectStore(store).get(store));
  }

  /**
   * @param {string} store
   * @param {unknown} value
   */
  async #put(store, value) {
    const database = await this.#database();
    // strict: the transaction has ended once it is on the disk, as far as the system says.
    const transaction = database.transaction(store, "readwrite", { durability: "strict" });
    await ended(transaction, () => transaction.objectStore(store).put(value, store));
  }

  /** @returns {Promise<Bytes | null>} */
  async load() {
    return (await this.#get(STATE)) ?? null;
  }

  /** @param {Bytes} record */
  save(record) {
    return this.#put(STATE, record);
  }

  /**
   * Return the device's own key pair, made at its first use: nobody can take the private key out. It is lost where the
   * browser evicts its storage, and then another one is made.
   * @returns {Promise<CryptoKeyPair>}
   */
  async deviceKey() {
    const known = await this.#get(KEYS);
    if (known) return known;
    const publicExponent = new Uint8Array([1, 0, 1]);
    const algorithm = { name: "RSA-OAEP", hash: "SHA-256", modulusLength: 3072, publicExponent };
    const pair = await crypto.subtle.generateKey(algorithm, false, ["encrypt", "decrypt"]);
    await this.#put(KEYS, pair);
    return pair;
  }
}

/**
 * Return what a request gave, once its transaction has ended well.
 * @param {IDBTransaction} transaction
 * @param {(transaction: IDBTransaction) => IDBRequest} ask
 * @returns {Promise<any>}
 */
function ended(transaction, ask) {
  return new Promise((resolve, reject) => {
    const request = ask(transaction);
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = transaction.onerror = () => reject(transaction.error ?? request.error);
  });
}
