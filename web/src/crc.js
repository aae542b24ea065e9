/** CRC-32 as in zip (ITU-T V.42), eight bytes at a time. */

const TABLE = new Uint32Array(8 * 256); // of a byte, and of one that so many bytes follow
for (let byte = 0; byte < 256; byte++) {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  TABLE[byte] = value;
}
for (let i = 256; i < TABLE.length; i++) TABLE[i] = (at(TABLE, i - 256) >>> 8) ^ at(TABLE, at(TABLE, i - 256) & 255);

/**
 * @param {Uint8Array | Uint32Array} data
 * @param {number} index
 */
function at(data, index) {
  return /** @type {number} */ (data[index]);
}

/**
 * Return the entry of the lowest byte of a value that so many bytes follow.
 * @param {number} following
 * @param {number} value
 */
function of(following, value) {
  return /** @type {number} */ (TABLE[256 * following + (value & 255)]);
}

/**
 * Return the CRC-32 of what came before and these bytes.
 * @param {Uint8Array} data
 * @param {number} [crc] of what came before
 */
export function crc32(data, crc = 0) {
  let value = ~crc;
  let i = 0;
  for (; i + 8 <= data.length; i += 8) {
    value ^= at(data, i) | (at(data, i + 1) << 8) | (at(data, i + 2) << 16) | (at(data, i + 3) << 24);
    value =
      of(7, value) ^ of(6, value >>> 8) ^ of(5, value >>> 16) ^ of(4, value >>> 24) ^
      of(3, at(data, i + 4)) ^ of(2, at(data, i + 5)) ^ of(1, at(data, i + 6)) ^ of(0, at(data, i + 7));
  }
  for (; i < data.length; i++) value = of(0, value ^ at(data, i)) ^ (value >>> 8);
  return ~value >>> 0;
}
