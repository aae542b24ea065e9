/** Who gets a candidate before the others: decided on the device, by its own secret (docs/format.md, Rollout). */

import { concat, utf8 } from "./bytes.js";
import { UsageError } from "./errors.js";
import { fromBase64 } from "./members.js";
import { sha256 } from "./webcrypto.js";

const SALT_BYTES = 16;
const SECRET_BYTES = 32;
const MAX_SHARE = 1000; // thousandths

/**
 * Say whether a device is in a candidate's share; who is in one is in every larger one under the same salt.
 *
 * salt: the candidate's, as the head has it; share: in thousandths; secret: the device's own 32 bytes, drawn once and
 * shown to nobody. Throws UsageError, FormatError.
 * @param {{ salt: string, share: number, secret: Uint8Array }} of
 * @returns {Promise<boolean>}
 */
export async function inShare({ salt, share, secret }) {
  const drawn = fromBase64(salt, "salt");
  const known = Number.isInteger(share) && share >= 0 && share <= MAX_SHARE;
  if (drawn.length !== SALT_BYTES || secret.length !== SECRET_BYTES || !known) {
    throw new UsageError(`salt of ${drawn.length} bytes, secret of ${secret.length} bytes, share of ${share} thousandths`);
  }
  const digest = await sha256(concat([utf8("capseal/v1 rollout "), drawn, secret]));
  const place = new DataView(digest.buffer).getUint32(0);
  return place * MAX_SHARE < share * 2 ** 32; // both below 2^53
}
