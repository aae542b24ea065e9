/**
 * Bytes from a server: in order with resume, or by ranges; a server that knows no ranges answers with the whole.
 *
 * Nothing that a server says is believed: what the bytes are is for the seal to say. Headers only tell early what went
 * wrong, and a page of another origin may not even see them.
 */

import { FinalTransferError, Version, answered, pause, startOf } from "./request.js";
import { turns } from "./turns.js";

/** @import { Bytes } from "./bytes.js" */

const WINDOW_BYTES = 64 * 1024; // so that a seal is not asked for in four pieces

/** The whole of what is at a URL, in order; where it breaks off, it goes on from there. */
export class HttpStream {
  #controller = new AbortController();
  #chunks;
  /** @type {Promise<IteratorResult<Uint8Array, void>> | undefined} */
  #failed;

  /**
   * @param {string} url
   * @param {AbortSignal | undefined} signal
   */
  constructor(url, signal) {
    const { signal: own } = this.#controller;
    signal?.addEventListener("abort", () => this.#controller.abort(signal.reason), { signal: own });
    if (signal?.aborted) this.#controller.abort(signal.reason);
    this.#chunks = streamed(url, own);
  }

  next() {
    const step = this.#failed ?? this.#chunks.next();
    // Asked again, a generator that threw would only say that it has ended: as if the bundle ended there.
    step.catch(() => void (this.#failed = step));
    return step;
  }

  /** End what is under way, too: of a generator that waits, return() would only wait as well. */
  cancel() {
    this.#controller.abort();
    this.#chunks.return().catch(() => {}); // whoever waits for a chunk is told
  }
}

/**
 * @param {string} url
 * @param {AbortSignal} signal
 * @returns {AsyncGenerator<Uint8Array, void>}
 */
async function* streamed(url, signal) {
  const version = new Version(url);
  let position = 0;
  for (let failures = 0; ;) {
    try {
      let skip = 0;
      const accept = (/** @type {Response} */ response) => {
        version.check(response);
        skip = startOf(response, position, url) === position ? 0 : position;
      };
      for await (const chunk of answered(url, position > 0 ? `bytes=${position}-` : null, accept, signal)) {
        const piece = chunk.subarray(skip);
        skip = Math.max(0, skip - chunk.length);
        if (piece.length === 0) continue; // what was here before is no progress: a whole may break off there for ever
        position += piece.length;
        failures = 0;
        yield piece;
      }
      return;
    } catch (error) {
      await pause(error, ++failures, signal);
    }
  }
}

/** What is at a URL, read here and there: a Source (source.js). */
export class HttpRanges {
  seekable = true;
  /** @type {number | null} */
  size = null;
  /** @type {{ start: number, data: Bytes } | null} */
  #window = null;
  /** @type {Spool | null} */
  #whole = null;
  #version;

  /**
   * @param {string} url
   * @param {AbortSignal | undefined} signal
   */
  constructor(url, signal) {
    this.url = url;
    this.signal = signal;
    this.#version = new Version(url);
  }

  /**
   * @param {number} offset
   * @param {number} length
   * @returns {Promise<Bytes>}
   */
  async read(offset, length) {
    if (length === 0) return new Uint8Array();
    if (this.#whole) return this.#fromWhole(offset, length);
    const held = this.#window;
    if (held && held.start <= offset && offset + length <= held.start + held.data.length) {
      return held.data.slice(offset - held.start, offset - held.start + length);
    }
    const data = await this.#fetched(offset, Math.max(length, WINDOW_BYTES));
    if (!data) return this.#fromWhole(offset, length);
    if (length <= WINDOW_BYTES) this.#window = { start: offset, data };
    return data.slice(0, length);
  }

  async close() {
    this.#window = null;
    this.#whole?.chunks.cancel();
  }

  /**
   * @param {number} offset
   * @param {number} length
   */
  async #fromWhole(offset, length) {
    const whole = (this.#whole ??= new Spool(new HttpStream(this.url, this.signal)));
    try {
      return await whole.read(offset, length);
    } catch (error) {
      if (this.#whole === whole) this.#whole = null; // whoever asks again begins again
      throw error;
    }
  }

  /**
   * @param {number} offset
   * @param {number} length
   */
  async #fetched(offset, length) {
    for (let failures = 0; ;) {
      try {
        return await this.#fetch(offset, length);
      } catch (error) {
        await pause(error, ++failures, this.signal);
      }
    }
  }

  /**
   * Return the bytes of a range, fewer only at the end; null where the server answers with the whole.
   * @param {number} offset
   * @param {number} length
   */
  async #fetch(offset, length) {
    const data = new Uint8Array(length);
    let [filled, whole] = [0, false];
    const accept = (/** @type {Response} */ response) => {
      this.#version.check(response);
      whole = startOf(response, offset, this.url) !== offset || response.status === 200;
      const total = /\/([0-9]{1,15})$/.exec(response.headers.get("content-range") ?? "")?.[1];
      if (total) this.size = Number(total);
    };
    for await (const chunk of answered(this.url, `bytes=${offset}-${offset + length - 1}`, accept, this.signal)) {
      if (whole) return null;
      if (chunk.length > length - filled)
        throw new FinalTransferError(`${this.url}: more than the ${length} bytes asked for`);
      data.set(chunk, filled);
      filled += chunk.length;
    }
    return whole ? null : data.subarray(0, filled);
  }
}

/** A stream of which everything that has passed can be read again; browsers keep large Blobs on disk. */
class Spool {
  #blob = new Blob();
  #inTurn = turns();

  /** @param {HttpStream} chunks */
  constructor(chunks) {
    this.chunks = chunks;
  }

  /**
   * @param {number} offset
   * @param {number} length
   */
  async read(offset, length) {
    await this.#inTurn(() => this.#fill(offset + length));
    return new Uint8Array(await this.#blob.slice(offset, offset + length).arrayBuffer());
  }

  /** @param {number} end */
  async #fill(end) {
    /** @type {BlobPart[]} */
    const parts = [this.#blob];
    for (let size = this.#blob.size; size < end;) {
      const { done, value } = await this.chunks.next();
      if (done) break;
      parts.push(new Blob([/** @type {Bytes} */ (value)])); // a copy
      size += value.length;
    }
    if (parts.length > 1) this.#blob = new Blob(parts);
  }
}
