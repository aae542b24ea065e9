/** One request, what its answer says of itself, and when it is worth another one. */

import { chunksOf } from "./chunks.js";
import { CapsealError, SourceChangedError, TransferError } from "./errors.js";

const ATTEMPTS = 6; // without getting any further
const FIRST_WAIT_MS = 250;
const MOST_WAIT_MS = 10_000;
const IDLE_MS = 30_000; // without a byte
const DOCUMENT_MS = 120_000; // all of a small document: a byte now and then never is idle
const PASSING = [408, 425, 429];

/** A transfer that would fail again at once. */
export class FinalTransferError extends TransferError {}

/** Notices where another file has taken the place of the one that was begun. */
export class Version {
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
export function startOf(response, asked, url) {
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
export async function* answered(url, range, accept, signal) {
  const controller = new AbortController();
  const stop = () => controller.abort(signal?.reason);
  signal?.addEventListener("abort", stop);
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  /** @type {<T>(promise: Promise<T>) => Promise<T>} */
  const watched = async (promise) => {
    /** @type {Promise<never>} */
    const idle = new Promise((_, reject) => {
      timer = setTimeout(() => {
        const late = new TransferError(`${url}: no byte for ${IDLE_MS / 1000} s`);
        controller.abort(late);
        reject(late); // a body that cannot be unpacked may not even end by that: Node waits for ever
      }, IDLE_MS);
    });
    try {
      return await Promise.race([promise, idle]);
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
    if (signal?.aborted) throw signal.reason;
    if (controller.signal.aborted) throw controller.signal.reason;
    throw new TransferError(`${url}: ${/** @type {Error} */ (error).message}`);
  } finally {
    signal?.removeEventListener("abort", stop);
    controller.abort();
  }
}

/**
 * Return a signal for the reading of a small document, which also ends it where that takes too long, by a
 * TransferError; end() is called when it was read.
 * @param {string} what it is called so in messages
 * @param {AbortSignal | undefined} signal ends it as well
 * @param {number} [mostMs]
 * @returns {{ signal: AbortSignal, end: () => void }}
 */
export function deadline(what, signal, mostMs = DOCUMENT_MS) {
  const controller = new AbortController();
  const stop = () => controller.abort(signal?.reason);
  if (signal?.aborted) stop();
  signal?.addEventListener("abort", stop);
  // What is final is not tried again: that would take as long once more.
  const late = new FinalTransferError(`${what}: did not come in ${mostMs / 1000} s`);
  const timer = setTimeout(() => controller.abort(late), mostMs);
  const end = () => {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
  };
  return { signal: controller.signal, end };
}

/**
 * Wait after a failure that may pass; throw every other one, and the last of too many.
 * @param {unknown} error
 * @param {number} failures in a row
 * @param {AbortSignal | undefined} signal
 */
export async function pause(error, failures, signal) {
  if (!(error instanceof TransferError) || error instanceof FinalTransferError || failures >= ATTEMPTS) throw error;
  const most = Math.min(MOST_WAIT_MS, FIRST_WAIT_MS * 2 ** failures);
  await new Promise((resolve) => {
    const timer = setTimeout(resolve, most * (0.5 + Math.random() / 2));
    signal?.addEventListener("abort", () => resolve(clearTimeout(timer)), { once: true });
  });
  signal?.throwIfAborted();
}
