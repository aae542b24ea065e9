/** CRC-32 as in zip (ITU-T V.42), four bytes at a time. */

const TABLES = Array.from({ length: 4 }, () => new Uint32Array(256));
const [FIRST, SECOND, THIRD, FOURTH] = /** @type {[Uint32Array, Uint32Array, Uint32Array, Uint32Array]} */ (
  /** @type {unknown} */ (TABLES)
);
for (let byte = 0; byte < 256; byte++) {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  FIRST[byte] = value;
}
for (let byte = 0; byte < 256; byte++) {
  for (let table = 1; table < 4; table++) {
    const before = at(/** @type {Uint32Array} */ (TABLES[table - 1]), byte);
    /** @type {Uint32Array} */ (TABLES[table])[byte] = (before >>> 8) ^ at(FIRST, before & 255);
  }
}

/**
 * @param {Uint32Array} table
 * @param {number} index
 */
function at(table, index) {
  return /** @type {number} */ (table[index]);
}

/**
 * Return the CRC-32 of what came before and these bytes.
 * @param {Uint8Array} data
 * @param {number} [crc] of what came before
 */
export function crc32(data, crc = 0) {
  let value = ~crc;
  let i = 0;
  for (; i + 4 <= data.length; i += 4) {
    value ^=
      /** @type {number} */ (data[i]) |
      (/** @type {number} */ (data[i + 1]) << 8) |
      (/** @type {number} */ (data[i + 2]) << 16) |
      (/** @type {number} */ (data[i + 3]) << 24);
    value =
      at(FOURTH, value & 255) ^ at(THIRD, (value >>> 8) & 255) ^ at(SECOND, (value >>> 16) & 255) ^ at(FIRST, value >>> 24);
  }
  for (; i < data.length; i++) value = at(FIRST, (value ^ /** @type {number} */ (data[i])) & 255) ^ (value >>> 8);
  return ~value >>> 0;
}
