/**
 * Frames of zstd against a raw reference (RFC 8878), which no browser unpacks: by zstd itself, in WebAssembly.
 *
 * zstd.wasm is that of the npm package @bokuweb/zstd-wasm 0.0.27 (MIT; zstd: BSD), unaltered. It sees frames and gives
 * bytes, and reaches nothing else. What is unpacked is bounded before it is.
 */

import { toHex, viewOf } from "./bytes.js";
import { FormatError, TransferError } from "./errors.js";
import { sha256 } from "./webcrypto.js";

/** @import { Bytes } from "./bytes.js" */

const WASM_SHA256 = "80260eee5795ee8072bb5821e203730c74dca3909938f5ac1128da67f96223df";
// Source, reference and frame are at most 49 MiB together; the rest is what zstd itself takes, 16 MiB to begin with.
const MAX_MEMORY_BYTES = 128 * 1024 * 1024;
const PAGE_BYTES = 64 * 1024;
const MAGIC = 0xfd2fb528;
const DICTIONARY_MAGIC = 0xec30a437;
const MAX_WINDOW_LOG = 31;
const WINDOW_LOG = 23; // a frame is at most 8 MiB

/**
 * The functions of zstd.wasm under the names that its build gave them.
 * @typedef {object} Functions
 * @property {WebAssembly.Memory} f
 * @property {() => void} g runs what C runs before main()
 * @property {(code: number) => number} h ZSTD_isError
 * @property {() => number} n ZSTD_createDCtx
 * @property {(context: number, to: number, toBytes: number, from: number, fromBytes: number, dictionary: number, dictionaryBytes: number) => number} q
 *   ZSTD_decompress_usingDict
 * @property {(bytes: number) => number} s malloc
 * @property {(at: number) => void} t free
 */

/** One decoder, whose memory goes with it. */
export class Zstd {
  #context;

  /** @param {Functions} functions */
  constructor(functions) {
    this.functions = functions;
    functions.g();
    this.#context = functions.n();
  }

  /**
   * Fetch and start the decoder. Throws TransferError where it cannot be had, or is another one than ours.
   * @param {BufferSource | undefined} wasm its bytes; by default those of the file beside this module
   */
  static async open(wasm) {
    const bytes = wasm ? asBytes(wasm) : await fetched(new URL("./zstd.wasm", import.meta.url));
    const found = toHex(await sha256(bytes));
    if (found !== WASM_SHA256) {
      throw new TransferError(`zstd.wasm: digest is ${found.slice(0, 16)}, expected ${WASM_SHA256.slice(0, 16)}`);
    }
    /** @type {WebAssembly.Memory | undefined} */
    let memory;
    const stopped = () => {
      throw new WebAssembly.RuntimeError("zstd stopped");
    };
    const grow = (/** @type {number} */ size) => {
      const wanted = size >>> 0;
      if (!memory || wanted > MAX_MEMORY_BYTES) return 0;
      memory.grow(Math.ceil((wanted - memory.buffer.byteLength) / PAGE_BYTES));
      return 1;
    };
    const imports = { a: { a: stopped, b: () => {}, c: stopped, d: () => 0, e: grow } };
    const { instance } = await WebAssembly.instantiate(bytes, imports);
    const functions = /** @type {Functions} */ (/** @type {unknown} */ (instance.exports));
    memory = functions.f;
    return new Zstd(functions);
  }

  /**
   * Return what one plain frame holds, which all of the data must be. Throws FormatError.
   * @param {Bytes} data
   * @param {number} size of what it holds
   * @param {Bytes} reference
   * @param {string} where what it is, for messages
   * @returns {Bytes}
   */
  unpacked(data, size, reference, where) {
    const frame = checkedFrame(data, size, where);
    const { f: memory, h: isError, q: unpack, s: allocate, t: free } = this.functions;
    // With these four bytes in front it would be read as another kind of dictionary; matches count from its end.
    const guard = reference.length >= 8 && viewOf(reference).getUint32(0, true) === DICTIONARY_MAGIC ? 1 : 0;
    /** @type {number[]} */
    const taken = [];
    const place = (/** @type {number} */ bytes) => {
      const at = allocate(Math.max(1, bytes)) >>> 0;
      if (at === 0) throw new FormatError(`${where}: no memory for ${bytes} bytes`);
      taken.push(at);
      return at;
    };
    try {
      const [from, dictionary, to] = [frame.length, guard + reference.length, size].map(place);
      const heap = new Uint8Array(memory.buffer);
      heap.set(frame, from);
      heap.set(reference, /** @type {number} */ (dictionary) + guard);
      if (guard) heap[/** @type {number} */ (dictionary)] = 0;
      const [at, source, raw] = /** @type {number[]} */ ([to, from, dictionary]);
      const found = unpack(this.#context, at ?? 0, size, source ?? 0, frame.length, raw ?? 0, guard + reference.length);
      if (isError(found)) throw new FormatError(`${where}: cannot be unpacked: zstd error ${-found}`);
      if (found !== size) throw new FormatError(`${where}: unpacks to ${found} bytes, expected ${size}`);
      return new Uint8Array(memory.buffer).slice(at, (at ?? 0) + size);
    } catch (error) {
      if (!(error instanceof WebAssembly.RuntimeError)) throw error;
      throw new FormatError(`${where}: cannot be unpacked: ${error.message}`);
    } finally {
      taken.forEach((at) => free(at));
    }
  }
}

/**
 * Return a frame that is one, of that content size, without checksum and dictionary number, up to the end of the data.
 * @param {Bytes} data
 * @param {number} size
 * @param {string} where
 */
function checkedFrame(data, size, where) {
  const refused = () => new FormatError(`${where}: no plain zstd frame of ${size} bytes`);
  const view = viewOf(data);
  if (data.length < 6 || view.getUint32(0, true) !== MAGIC) throw refused();
  const descriptor = view.getUint8(4);
  const [sizeCode, single, dictionaryCode] = [descriptor >> 6, (descriptor >> 5) & 1, descriptor & 3];
  if ((descriptor & 0x0c) !== 0 || (sizeCode === 0 && !single)) throw refused(); // reserved, checksum; no size
  const windowLog = single ? 0 : 10 + (view.getUint8(5) >> 3);
  if (windowLog > MAX_WINDOW_LOG) throw refused();
  const dictionaryBytes = [0, 1, 2, 4][dictionaryCode] ?? 0;
  const sizeAt = 6 - single + dictionaryBytes;
  const sizeBytes = 1 << sizeCode;
  let at = sizeAt + sizeBytes;
  if (data.length < at) throw refused();
  if (data.subarray(sizeAt - dictionaryBytes, sizeAt).some((byte) => byte !== 0)) throw refused();
  const [low, mid] = [view.getUint8(sizeAt), sizeBytes === 2 ? view.getUint16(sizeAt, true) + 256 : 0];
  const long = sizeBytes === 8 ? Number(view.getBigUint64(sizeAt, true)) : sizeBytes === 4 ? view.getUint32(sizeAt, true) : 0;
  if ((sizeBytes === 1 ? low : sizeBytes === 2 ? mid : long) !== size) throw refused();
  for (let last = 0; !last;) {
    if (data.length < at + 3) throw refused();
    const head = view.getUint16(at, true) + view.getUint8(at + 2) * 65536;
    last = head & 1;
    // A block of one repeated byte holds that byte; all others as many as they say.
    at += 3 + (((head >> 1) & 3) === 1 ? 1 : head >> 3);
  }
  if (at !== data.length) throw refused();
  if (windowLog <= WINDOW_LOG) return data;
  // A larger window says nothing here, where all of the frame is unpacked at once; zstd on 32 bits refuses the largest.
  const frame = data.slice();
  frame[5] = (WINDOW_LOG - 10) << 3;
  return frame;
}

/**
 * @param {BufferSource} wasm
 * @returns {Bytes}
 */
function asBytes(wasm) {
  return ArrayBuffer.isView(wasm)
    ? new Uint8Array(new Uint8Array(wasm.buffer, wasm.byteOffset, wasm.byteLength))
    : new Uint8Array(wasm);
}

/** @param {URL} url */
async function fetched(url) {
  let why;
  try {
    const answer = await fetch(url);
    if (answer.ok) return new Uint8Array(await answer.arrayBuffer());
    why = `answered ${answer.status}`;
  } catch (error) {
    why = String(error);
  }
  throw new TransferError(`zstd.wasm cannot be fetched from ${url.href}: ${why}`);
}
