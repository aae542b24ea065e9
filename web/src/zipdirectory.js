/** The directory of a zip and its end records: they must say what lies before them, and end the archive. */

import { shown, viewOf } from "./bytes.js";
import { FormatError } from "./errors.js";
import { UTF8 } from "./strictjson.js";

/** @import { Bytes } from "./bytes.js" */
/** @import { Local } from "./zip.js" */
/** @import { Input } from "./zipinput.js" */

const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const END64 = 0x06064b50;
const LOCATOR64 = 0x07064b50;
const MAX_DIRECTORY_BYTES = 32 * 1024 * 1024;
const UTF8_NAME = 0x800;
const UNIX = 3;
const ZIP64 = 1;
export const SHAPING_FLAGS = 0x2069; // encrypted, in three ways, a patch, or sizes behind the data
const NEWEST_VERSION = 46; // as in engine/capseal/archive/directory.py
const ALL_ONES = 0xffffffff;

/**
 * Return a name, which is UTF-8 whether it is marked so or not: Info-ZIP and macOS do not. Throws FormatError.
 * @param {Bytes} raw
 * @param {number} offset
 */
export function decoded(raw, offset) {
  try {
    return UTF8.decode(raw);
  } catch {
    throw new FormatError(`entry at byte ${offset}: its name is not UTF-8`, offset);
  }
}

/**
 * Return both sizes that a header in front of data gives: where one is all ones, its zip64 field holds both; isWide: it has
 * one.
 * @param {Bytes} extra
 * @param {number} size
 * @param {number} stored
 * @param {string} name
 */
export function localSizes(extra, size, stored, name) {
  const field = zip64Field(extra, name);
  const isWide = field.length > 0;
  if (size !== ALL_ONES && stored !== ALL_ONES) return { size, stored, isWide };
  const [longSize = 0, longStored = 0] = wideNumbers(field, 2, name);
  if ((size !== ALL_ONES && size !== longSize) || (stored !== ALL_ONES && stored !== longStored)) {
    throw new FormatError(`entry ${shown(name)}: zip64 field and header differ`);
  }
  return { size: longSize, stored: longStored, isWide };
}

/**
 * Return numbers of 32 bits, each that is all ones taken from the zip64 field, which holds them and nothing else.
 * @param {Bytes} extra
 * @param {[number, number, number]} short
 * @param {string} name
 */
function directoryNumbers(extra, short, name) {
  const long = wideNumbers(zip64Field(extra, name), short.filter((value) => value === ALL_ONES).length, name);
  return /** @type {typeof short} */ (short.map((value) => (value === ALL_ONES ? long.shift() : value)));
}

/**
 * Return what the zip64 field of an extra block holds; nothing where there is none.
 * @param {Bytes} extra
 * @param {string} name
 */
function zip64Field(extra, name) {
  const view = viewOf(extra);
  let at = 0;
  let found = new Uint8Array();
  // Fewer than 4 bytes align what follows.
  for (let length = 0; at + 4 <= extra.length; at += 4 + length) {
    length = view.getUint16(at + 2, true);
    if (at + 4 + length > extra.length) throw new FormatError(`entry ${shown(name)}: extra field ends early`);
    if (view.getUint16(at, true) !== ZIP64) continue;
    if (found.length > 0) throw new FormatError(`entry ${shown(name)}: two zip64 fields`);
    found = extra.slice(at + 4, at + 4 + length);
  }
  if (extra.subarray(at).some((byte) => byte !== 0)) throw new FormatError(`entry ${shown(name)}: extra field ends early`);
  return found;
}

/**
 * Return the numbers of a zip64 field, which has so many.
 * @param {Bytes} field
 * @param {number} count
 * @param {string} name
 */
function wideNumbers(field, count, name) {
  if (field.length !== 8 * count) {
    throw new FormatError(`entry ${shown(name)}: zip64 field of ${field.length} bytes, ${count} numbers of 8 are expected`);
  }
  const view = viewOf(field);
  return Array.from({ length: count }, (_, i) => {
    const wide = view.getBigUint64(8 * i, true);
    if (wide > BigInt(Number.MAX_SAFE_INTEGER)) throw new FormatError(`entry ${shown(name)}: zip64 field of ${wide}`);
    return Number(wide);
  });
}

/**
 * Throw FormatError unless directory and end records say what was found, and the archive ends there.
 * @param {Input} input
 * @param {number} first signature, which was read already
 * @param {Map<number, Local>} locals
 * @param {number} start of the directory
 */
export async function checkDirectory(input, first, locals, start) {
  const left = new Map(locals);
  let signature = first;
  for (; signature === CENTRAL; signature = (await input.view(4)).getUint32(0, true)) {
    const view = await input.view(42);
    const raw = await input.take(view.getUint16(24, true));
    const extra = await input.take(view.getUint16(26, true));
    await input.take(view.getUint16(28, true));
    const name = decoded(raw, input.position);
    const [flags, system] = [view.getUint16(4, true), view.getUint16(0, true) >> 8];
    const [size, stored, offset] = directoryNumbers(
      extra,
      [view.getUint32(20, true), view.getUint32(16, true), view.getUint32(38, true)],
      name,
    );
    checkVersion(name, view.getUint16(2, true));
    if (view.getUint16(30, true) !== 0) throw new FormatError(`entry ${shown(name)}: on another disk`);
    const local = left.get(offset);
    left.delete(offset);
    const ascii = raw.every((byte) => byte < 128);
    const meaning = SHAPING_FLAGS | (ascii ? 0 : UTF8_NAME);
    const told = [String(raw), flags & meaning, view.getUint16(6, true), view.getUint32(12, true), size, stored];
    const found = local && [local.raw, local.flags & meaning, local.method, local.crc, local.size, local.stored];
    if (String(told) !== String(found)) throw new FormatError(`entry ${shown(name)}: directory and header differ`);
    if (!ascii && (flags & UTF8_NAME) === 0 && system !== UNIX) {
      throw new FormatError(`entry ${shown(name)}: its name is neither ASCII nor marked as UTF-8`);
    }
    checkKind(name, system, view.getUint32(34, true) >>> 16);
    if (input.position - start > MAX_DIRECTORY_BYTES) throw new FormatError("archive: directory of more than 32 MiB");
  }
  if (left.size > 0) throw new FormatError(`archive: ${left.size} entries are not in its directory`);
  await checkEnd(input, signature, { count: locals.size, start, size: input.position - 4 - start });
}

/**
 * Check what version is needed to extract an entry. Throws FormatError.
 * @param {string} name
 * @param {number} version
 */
export function checkVersion(name, version) {
  const found = version & 0xff;
  if (found > NEWEST_VERSION) throw new FormatError(`entry ${shown(name)}: needs version ${found}, ${NEWEST_VERSION} is known`);
}

/**
 * @param {string} name
 * @param {number} system
 * @param {number} mode
 */
function checkKind(name, system, mode) {
  const kind = system === UNIX ? mode & 0xf000 : 0;
  const expected = name.endsWith("/") ? 0x4000 : 0x8000;
  if (kind !== 0 && kind !== expected) throw new FormatError(`entry ${shown(name)}: a link, or no regular file`);
}

/**
 * @param {Input} input
 * @param {number} first signature, which was read already
 * @param {{ count: number, start: number, size: number }} directory
 */
async function checkEnd(input, first, { count, start, size }) {
  let signature = first;
  if (signature === END64) {
    const at = input.position - 4;
    const view = await input.view(52);
    const told = [4, 20, 28, 36, 44].map((offset, i) => (i === 0 ? 0n : view.getBigUint64(offset, true)));
    const found = [0n, BigInt(count), BigInt(count), BigInt(size), BigInt(start)];
    const locator = await input.view(20);
    const right = locator.getUint32(0, true) === LOCATOR64 && locator.getBigUint64(8, true) === BigInt(at);
    if (String(told) !== String(found) || view.getBigUint64(0, true) !== 44n || !right) {
      throw new FormatError("archive: end record of zip64 does not fit");
    }
    signature = (await input.view(4)).getUint32(0, true);
  }
  if (signature !== END) throw new FormatError("archive: neither an entry nor its directory's end");
  const view = await input.view(18);
  const right = [0, 0, count, count, size, start];
  const fits = right.every((value, i) => {
    const told = i < 4 ? view.getUint16(2 * i, true) : view.getUint32(4 * i - 8, true);
    return told === value || (first === END64 && told === (i < 4 ? 0xffff : ALL_ONES)); // each may stand for what is there
  });
  if (!fits) throw new FormatError("archive: end record does not fit its directory");
  await input.take(view.getUint16(16, true));
  if (!(await input.ended())) throw new FormatError("archive: goes on after its end");
}
