/** The directory of a zip and its end records: they must say what lies before them, and end the archive. */

import { shown, viewOf } from "./bytes.js";
import { FormatError } from "./errors.js";
import { UTF8 } from "./strictjson.js";

/** @import { Bytes } from "./bytes.js" */
/** @import { Input, Local } from "./zip.js" */

const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const END64 = 0x06064b50;
const LOCATOR64 = 0x07064b50;
const MAX_DIRECTORY_BYTES = 32 * 1024 * 1024;
const UTF8_NAME = 0x800;
const UNIX = 3;
const ALL_ONES = 0xffffffff;

/**
 * Return a name. Throws FormatError.
 * @param {Bytes} raw
 * @param {number} flags
 * @param {number} offset
 */
export function decoded(raw, flags, offset) {
  if ((flags & UTF8_NAME) === 0 && raw.some((byte) => byte > 126)) {
    throw new FormatError(`entry at byte ${offset}: its name is not marked as UTF-8`, offset);
  }
  try {
    return UTF8.decode(raw);
  } catch {
    throw new FormatError(`entry at byte ${offset}: its name is not UTF-8`, offset);
  }
}

/**
 * Return numbers of 32 bits, each that is all ones taken from the zip64 field.
 * @param {Bytes} extra
 * @param {number[]} short
 * @param {string} name
 * @returns {[number, number, number]}
 */
export function sizes64(extra, short, name) {
  const view = viewOf(extra);
  const long = short.filter((value) => value === ALL_ONES).length;
  let found = short;
  let seen = false;
  for (let at = 0; at < extra.length;) {
    if (at + 4 > extra.length) throw new FormatError(`entry ${shown(name)}: extra field ends early`);
    const [kind, length] = [view.getUint16(at, true), view.getUint16(at + 2, true)];
    if (at + 4 + length > extra.length) throw new FormatError(`entry ${shown(name)}: extra field ends early`);
    if (kind === 1) {
      if (seen || length !== 8 * long || long === 0) throw new FormatError(`entry ${shown(name)}: zip64 field does not fit`);
      seen = true;
      let next = at + 4;
      found = short.map((value) => {
        if (value !== ALL_ONES) return value;
        const wide = view.getBigUint64(next, true);
        next += 8;
        if (wide < BigInt(ALL_ONES) || wide > BigInt(Number.MAX_SAFE_INTEGER)) {
          throw new FormatError(`entry ${shown(name)}: zip64 field of ${wide}, which does not need it`);
        }
        return Number(wide);
      });
    }
    at += 4 + length;
  }
  if (long > 0 && !seen) throw new FormatError(`entry ${shown(name)}: zip64 field is missing`);
  return /** @type {[number, number, number]} */ (found);
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
    const name = decoded(raw, view.getUint16(4, true), input.position);
    const short = [view.getUint32(20, true), view.getUint32(16, true), view.getUint32(38, true)];
    const [size, stored, offset] = sizes64(extra, short, name);
    const local = left.get(offset);
    left.delete(offset);
    const told = [String(raw), view.getUint16(4, true), view.getUint16(6, true), view.getUint32(12, true), size, stored];
    const found = local && [local.raw, local.flags, local.method, local.crc, local.size, local.stored];
    if (String(told) !== String(found)) throw new FormatError(`entry ${shown(name)}: directory and header differ`);
    checkKind(name, view.getUint16(0, true) >> 8, view.getUint32(34, true) >>> 16);
    if (input.position - start > MAX_DIRECTORY_BYTES) throw new FormatError("archive: directory of more than 32 MiB");
  }
  if (left.size > 0) throw new FormatError(`archive: ${left.size} entries are not in its directory`);
  await checkEnd(input, signature, { count: locals.size, start, size: input.position - 4 - start });
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
  const told = [view.getUint16(0, true), view.getUint16(2, true), view.getUint16(4, true), view.getUint16(6, true)];
  const most = Math.min(count, 0xffff);
  const wide = [Math.min(size, ALL_ONES), Math.min(start, ALL_ONES)];
  const sizes = [view.getUint32(8, true), view.getUint32(12, true)];
  const masked = first === END64 && told[3] === 0xffff && sizes.every((value) => value === ALL_ONES);
  if (!masked && String([...told, ...sizes]) !== String([0, 0, most, most, ...wide])) {
    throw new FormatError("archive: end record does not fit its directory");
  }
  await input.take(view.getUint16(16, true));
  if (!(await input.ended())) throw new FormatError("archive: goes on after its end");
}
