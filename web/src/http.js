/**
 * Bytes from a server: in order with resume, or by ranges; a server that knows no ranges answers with the whole.
 *
 * Nothing that a server says is believed: what the bytes are is for the seal to say. Headers only tell early what went
 * wrong, and a page of another origin may not even see them.
 */

import { chunksOf } from "./chunks.js";
import { CapsealError, SourceChangedError, TransferError } from "./errors.js";
import { turns } from "./turns.js";

/** @import { Bytes } from "./bytes.js" */

const ATTEMPTS = 6; // without getting any further
const FIRST_WAIT_MS = 250;
const MOST_WAIT_MS = 10_000;
const IDLE_MS = 30_000; // without a byte
const WINDOW_BYTES = 64 * 1024; // so that a seal is not asked for in four pieces
const PASSING = [408, 425, 429];

/** A transfer that would fail again at once. */
class FinalTransferError extends TransferError {}

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
        position += piece.length;
        failures = 0;
        if (piece.length > 0) yield piece;
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

/** Notices where another file has taken the place of the one that was begun. */
class Version {
  /** @type {string | null} */
  #etag = null;

  /** @param {string} url */
  constructor(url) {
    this.url = url;
  }

  /** @param {Response} response */
  check(response) {
    const etag = response.headers.get("etag");
    if (this.#etag !== null && etag !== null && etag !== this.#etag) {
      throw new SourceChangedError(`${this.url}: changed while it was being read`);
    }
    this.#etag ??= etag;
  }
}

/**
 * Return the offset of the first byte of an answer. Throws TransferError where it is none of what was asked for.
 * @param {Response} response
 * @param {number} asked
 * @param {string} url
 */
function startOf(response, asked, url) {
  const { status } = response;
  if (status === 200) return 0;
  const range = response.headers.get("content-range");
  const begins = range === null || range.startsWith(`bytes ${asked}-`);
  if (status === 416 || (status === 206 && begins)) return asked;
  const failure = `${url}: asked for the bytes from ${asked} on, got status ${status}${range ? ` and ${range}` : ""}`;
  if (status >= 500 || PASSING.includes(status)) throw new TransferError(failure);
  throw new FinalTransferError(failure);
}

/**
 * Yield what a server answers, chunk by chunk, each good until the next one is asked for.
 *
 * Throws TransferError, and what accept() throws.
 * @param {string} url
 * @param {string | null} range
 * @param {(response: Response) => void} accept
 * @param {AbortSignal | undefined} signal
 */
async function* answered(url, range, accept, signal) {
  const controller = new AbortController();
  const stop = () => controller.abort(signal?.reason);
  signal?.addEventListener("abort", stop);
  let timer;
  /** @type {<T>(promise: Promise<T>) => Promise<T>} */
  const watched = async (promise) => {
    timer = setTimeout(() => controller.abort(new TransferError(`${url}: no byte for ${IDLE_MS / 1000} s`)), IDLE_MS);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
    }
  };
  try {
    signal?.throwIfAborted();
    const headers = range === null ? undefined : { range };
    const response = await watched(fetch(url, { headers, signal: controller.signal, cache: "no-store" }));
    accept(response);
    if (response.status === 416 || !response.body) return; // it ends where the range begins
    const chunks = chunksOf(response.body);
    for (;;) {
      const { done, value } = await watched(chunks.next());
      if (done) return;
      yield value;
    }
  } catch (error) {
    if (error instanceof CapsealError) throw error;
    if (controller.signal.aborted) throw controller.signal.reason;
    throw new TransferError(`${url}: ${/** @type {Error} */ (error).message}`);
  } finally {
    signal?.removeEventListener("abort", stop);
    controller.abort();
  }
}

/**
 * Wait after a failure that may pass; throw every other one, and the last of too many.
 * @param {unknown} error
 * @param {number} failures in a row
 * @param {AbortSignal | undefined} signal
 */
async function pause(error, failures, signal) {
  if (!(error instanceof TransferError) || error instanceof FinalTransferError || failures >= ATTEMPTS) throw error;
  const most = Math.min(MOST_WAIT_MS, FIRST_WAIT_MS * 2 ** failures);
  await new Promise((resolve) => {
    const timer = setTimeout(resolve, most * (0.5 + Math.random() / 2));
    signal?.addEventListener("abort", () => resolve(clearTimeout(timer)), { once: true });
  });
  signal?.throwIfAborted();
}
