/** What a capseal server has for one app and channel, by the paths of docs/server.md. Bytes, which nobody here judges. */

import { concat } from "./bytes.js";
import { FormatError, TransferError, TruncatedError } from "./errors.js";
import { Members, checkName } from "./members.js";
import { answered, deadline, startOf } from "./request.js";
import { parse } from "./strictjson.js";

/** @import { Bytes } from "./bytes.js" */

const MAX_DOCUMENT_BYTES = 1024 * 1024;
const NOT_THERE = 404;

/** Where the parts of one release are. */
export class Release {
  /** @param {string} url of the release */
  constructor(url) {
    this.url = url;
    this.seal = `${url}/seal`;
    this.payload = `${url}/payload`;
  }

  /** @param {string} name of a companion */
  companion(name) {
    return { stored: `${this.url}/attachments/${checkName(name, "name")}`, index: `${this.url}/indexes/${name}` };
  }
}

/** A server, as one app on one channel sees it. */
export class Releases {
  /**
   * @param {string | URL} server
   * @param {{ app: string, channel: string, signal: AbortSignal | undefined, documentMs?: number }} told
   *   documentMs: how long one of the documents may take
   */
  constructor(server, { app, channel, signal, documentMs }) {
    const base = new URL(server, globalThis.location?.href).href.replace(/\/+$/, "");
    this.app = `${base}/v1/apps/${checkName(app, "app")}`;
    this.channel = `${this.app}/channels/${checkName(channel, "channel")}`;
    this.signal = signal;
    this.documentMs = documentMs;
  }

  /** Return the channel's head, or null where there is none. Throws TransferError. */
  head() {
    return this.#document(`${this.channel}/head`);
  }

  /** @param {string} digest of a recall */
  recall(digest) {
    return this.#document(`${this.channel}/recalls/${digest}`);
  }

  /** @param {number} version of the trust store that the update brings */
  update(version) {
    return this.#document(`${this.app}/trust/${version}`);
  }

  /**
   * Return a release, by default the latest: by what was asked for, whatever the server's own links say.
   * @param {number | null} sequence
   */
  async release(sequence) {
    return new Release(`${this.channel}/releases/${sequence ?? (await this.#latest())}`);
  }

  async #latest() {
    const url = `${this.channel}/latest`;
    const data = await this.#document(url);
    if (data === null) throw new TransferError(`${url}: no release is here`);
    try {
      const value = parse(data, "release");
      return new Members(value, "release", [], Object.keys(Object(value))).integer("sequence", 1);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      throw new TransferError(`${url}: ${error.message}`); // it is no capseal server; no bundle is to blame
    }
  }

  /**
   * @param {string} url
   * @returns {Promise<Bytes | null>}
   */
  async #document(url) {
    const { signal, end } = deadline(url, this.signal, this.documentMs);
    try {
      return await this.#read(url, signal);
    } finally {
      end();
    }
  }

  /**
   * @param {string} url
   * @param {AbortSignal} signal
   * @returns {Promise<Bytes | null>}
   */
  async #read(url, signal) {
    /** @type {Uint8Array[]} */
    const pieces = [];
    let [there, size] = [true, 0];
    const accept = (/** @type {Response} */ response) => {
      there = response.status !== NOT_THERE;
      if (there) startOf(response, 0, url);
    };
    for await (const chunk of answered(url, null, accept, signal)) {
      if (!there) return null;
      pieces.push(chunk.slice());
      size += chunk.length;
      if (size > MAX_DOCUMENT_BYTES) {
        throw new TruncatedError(`${url}: more than ${MAX_DOCUMENT_BYTES} bytes`, MAX_DOCUMENT_BYTES, size);
      }
    }
    return there ? concat(pieces) : null;
  }
}
