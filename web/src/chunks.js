/** The chunks of a stream, one after the other. */

import { UsageError } from "./errors.js";

/** @import { Bytes } from "./bytes.js" */

const BUFFER_BYTES = 256 * 1024;

/**
 * A chunk is good until the next one is asked for. cancel() ends what is under way, too.
 * @typedef {{ next: () => Promise<IteratorResult<Uint8Array, void>>, cancel: () => void }} Chunks
 */

/**
 * Return the chunks of a stream. Throws UsageError where somebody else reads it.
 * @param {ReadableStream<Uint8Array>} stream
 * @returns {Chunks}
 */
export function chunksOf(stream) {
  if (stream.locked) throw new UsageError("stream is locked: somebody else reads it");
  // One buffer again and again, where the stream can: garbage of its chunks would take 130 MiB of a page.
  let buffer = new ArrayBuffer(BUFFER_BYTES);
  const buffered = bufferedReader(stream);
  const reader = buffered ?? stream.getReader();
  const read = () =>
    buffered?.read(new Uint8Array(buffer)) ?? /** @type {ReadableStreamDefaultReader} */ (reader).read();
  return {
    async next() {
      const { done, value } = await read();
      if (done) return { done, value: undefined };
      if (!(value instanceof Uint8Array)) throw new UsageError("stream gives something else than Uint8Array");
      if (buffered) buffer = /** @type {Bytes} */ (value).buffer;
      return { done, value };
    },
    cancel: () => void reader.cancel().catch(() => {}), // a stream that failed has said so already
  };
}

/** @param {ReadableStream<Uint8Array>} stream */
function bufferedReader(stream) {
  try {
    return stream.getReader({ mode: "byob" });
  } catch {
    return null; // no byte stream, or a browser without them
  }
}
